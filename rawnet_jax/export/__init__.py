"""Exports a trained run as one file that runs without this package."""
