"""The names of the formats that a run is exported to.

They stand below the models, which say the ones they go into, and below `rawnet_jax.export`, which
writes them. The command line reads them without JAX.
"""

FORMATS = ("stablehlo", "onnx", "tflite")

INT8 = "int8"
"""8-bit weights and activations, of tflite alone."""
