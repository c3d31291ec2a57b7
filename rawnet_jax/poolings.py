"""The poolings over time of a linear probe, by name.

They stand below the networks, which compute them, and are read by the command line without JAX.
"""

STATISTICS = ("mean", "std", "max")
"""Of each channel over the frames of a clip; std has the number of frames in its denominator."""

POOLINGS = {"mean": ("mean",), "mean_std": ("mean", "std"), "max": ("max",)}
"""Name of a pooling -> the statistics that it puts side by side."""
