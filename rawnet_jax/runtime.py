"""How JAX and the process are set up before anything is compiled."""

import os
from pathlib import Path

import jax

from rawnet_jax.config import RuntimeConfig


def start_runtime(config: RuntimeConfig) -> None:
    """Set up JAX as the config says. Call before anything is compiled."""
    jax.config.update("jax_default_matmul_precision", config.matmul_precision)
    folder = config.compilation_cache
    if folder == "auto" and not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = str(Path(home) / "rawnet_jax" / "compiled")
    if folder != "auto":
        jax.config.update("jax_compilation_cache_dir", folder or None)
