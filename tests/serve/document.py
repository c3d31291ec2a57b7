"""Requests that fit the OpenAPI document of a service, and what must hold of the answers."""

from collections.abc import Callable
from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance


def check_answers(url: str, is_tried: Callable[[str], bool], max_examples: int) -> set[str]:
    """Try the operations of some paths: no 5xx, and answers as the document says; returns paths."""
    document: Any = schemathesis.openapi.from_url(f"{url}/openapi.json")
    named = set()
    for found in document.get_all_operations():
        operation = found.ok()
        if not is_tried(operation.path):
            continue
        named.add(operation.path)

        @settings(max_examples=max_examples, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def answers(case):
            if case.method == "POST" and not isinstance(case.body, bytes | dict):
                case.body = b"RIFF"
            answer = case.call(timeout=20)
            assert answer.status_code < 500, answer.text
            case.validate_response(answer, excluded_checks=[positive_data_acceptance])

        answers()
    return named
