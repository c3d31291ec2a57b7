"""JSON of files that may be damaged."""

import json
from typing import Any

_MOST_DIGITS = 300  # a float has up to 309


def parsed_json(text: str) -> Any:
    """Return what JSON text holds.

    Raises:
        ValueError: it is not JSON, nested too deeply to be ours, or holds a whole number that no
            float comes near.
    """
    try:
        return json.loads(text, parse_int=_whole)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _whole(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"it holds a number of {len(digits):,} digits")
    return int(digits)
