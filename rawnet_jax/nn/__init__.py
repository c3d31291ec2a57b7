"""Layers and CPU kernels that networks are built from."""
