"""How JAX is set up for tests and for the processes that they start.

A module of its own, since pytest and the tests that import ``tests.conftest`` each run that file:
twice set up, a test and its child processes would look for compiled programs in two folders.
"""

import atexit
import os
import shutil
import signal
import tempfile

from fuzzing.quick_xla import QUICK_TO_COMPILE

# Eight virtual devices on a CPU: tests of sharding use them all, the others take the first.
# Processes that a test starts are quick to compile too, and have one device.
_FLAGS = f"{QUICK_TO_COMPILE} --xla_force_host_platform_device_count=8"
_GIVEN = os.environ.get("XLA_FLAGS", "")
if _FLAGS not in _GIVEN:  # else pytest-xdist started this process, and the first one has set it all
    os.environ["XLA_FLAGS"] = f"{_GIVEN} {_FLAGS}".strip()
    os.environ["JAX_PLATFORMS"] = "cpu"
    # Compiled programs are shared by all processes of a run, and stay out of the user's home.
    # Small ones too: most are, and a program is read in a third of the time that it takes to
    # compile.
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="rawnet_jax_compiled_")
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)
# A shell that runs the suite in the background has it ignore Ctrl-C, and so would what tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
