"""Names of the checkpoints of a run, without orbax, which `rawnet_jax.checkpoint` brings."""

FOLDER = "checkpoints"
"""Of a work directory; each of the others is a folder in it."""

BEST = "best"
LATEST = "latest"
SWA = "swa"
