"""Trained detectors, each in a folder of its own."""
