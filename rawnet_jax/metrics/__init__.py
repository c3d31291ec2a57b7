"""Figures from scores: numpy in, numbers out."""
