"""A small encoder of every kind, and what it makes of two clips."""

import functools

from tests.encoders.small_encoders import (
    FAMILIES,
    LENGTHS,
    MHUBERT,
    clips,
    drawn,
    encoded,
)
from tests.encoders.small_whisper import WHISPER

ALL = {**FAMILIES, "mhubert": MHUBERT, "whisper": WHISPER}


@functools.cache
def padded(name):
    """Variables of a small encoder, and what it makes of two clips of a batch."""
    variables = drawn(ALL[name])
    return variables, encoded(ALL[name], variables, clips(), LENGTHS)
