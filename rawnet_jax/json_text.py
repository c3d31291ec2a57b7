"""JSON of files that may be damaged."""

import json
from typing import Any


def parsed_json(text: str) -> Any:
    """Return what JSON text holds.

    Raises:
        ValueError: it is no JSON, or nested too deeply to be ours.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
