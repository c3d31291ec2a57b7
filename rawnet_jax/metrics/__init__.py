"""Metrics from scores: numpy in, numbers out."""
