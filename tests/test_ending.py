"""A command that a signal asks to end."""

import contextlib
import os
import signal

import pytest

from rawnet_jax.errors import Interrupted
from rawnet_jax.jobs.ending import ended_by_signals


def swallow_a_signal(after):
    with ended_by_signals():
        with contextlib.suppress(Exception):  # as tqdm does while it starts a thread
            os.kill(os.getpid(), signal.SIGTERM)
        after.append("went on")


def test_a_library_that_swallows_errors_does_not_swallow_the_signal():
    after: list[str] = []
    with pytest.raises(Interrupted, match="terminated") as caught:
        swallow_a_signal(after)
    assert caught.value.signal_number == signal.SIGTERM
    assert not after
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
