"""Weights of PyTorch."""
