"""How JAX and the process are set up before anything is compiled."""

import os
from pathlib import Path

import jax

from rawnet_jax.config import RuntimeConfig
from rawnet_jax.mesh import all_devices


def start_runtime(config: RuntimeConfig) -> None:
    """Set up JAX as the config says, and start it. Call before anything is compiled.

    Raises:
        ConfigError: JAX cannot start here.
    """
    jax.config.update("jax_default_matmul_precision", config.matmul_precision)
    folder = config.compilation_cache
    if folder == "auto" and not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = str(Path(home) / "rawnet_jax" / "compiled")
    if folder != "auto":
        jax.config.update("jax_compilation_cache_dir", folder or None)
    all_devices()
