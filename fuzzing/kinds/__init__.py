"""Kinds of input that are mutated; each module makes commands with one mutated input."""
