"""Calculation on scores; no model needed."""
