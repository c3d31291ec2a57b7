"""Builds a training pool from clones of public repositories, by a table."""
