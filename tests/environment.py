"""How JAX is set up for tests and for the processes that they start.

A module of its own, since pytest and the tests that import ``tests.conftest`` each run that file:
twice set up, a test and its child processes would look for compiled programs in two folders.
"""

import atexit
import os
import shutil
import signal
import tempfile

# Tests spend more time on compiling than on computing, so LLVM does without its optimisations.
# Processes that a test starts have these flags too, and one device.
QUICK_TO_COMPILE = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
# Eight virtual devices on a CPU: tests of sharding use them all, the others take the first.
os.environ["XLA_FLAGS"] = " ".join(
    [
        os.environ.get("XLA_FLAGS", ""),
        QUICK_TO_COMPILE,
        "--xla_force_host_platform_device_count=8",
    ]
).strip()
os.environ["JAX_PLATFORMS"] = "cpu"
# Compiled programs are shared with the commands that tests start, and stay out of the user's home.
# Small ones too: most are, and a program is read in a third of the time that it takes to compile.
os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="rawnet_jax_compiled_")
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)
# A shell that runs the suite in the background has it ignore Ctrl-C, and so would what tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
