"""Flags of XLA with which programs compile in a quarter of the time, and run somewhat slower."""

from importlib.metadata import version

# Of the two ways in which XLA:CPU writes fused loops, the older one compiles three times as fast.
# Only versions that have the choice may be told: others end at a flag that they do not know.
_HAS_OLDER = version("jaxlib").startswith("0.10.")
_OLDER = "--xla_cpu_use_fusion_emitters=false" if _HAS_OLDER else ""

QUICK_TO_COMPILE = (
    f"--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true {_OLDER}".strip()
)
"""For ``XLA_FLAGS``."""

TO_THE_BIT = {"xla_cpu_use_fusion_emitters": True} if _HAS_OLDER else {}
"""Compiler options for the gradient of ``jnp.max``.

JAX compares each value with the largest. The older way may compute a value twice, and not to the
same bit: no value is the largest then, and the gradient is lost.
"""
