"""Millions of recordings: manifest, shards, workers that may die, storage that may fail."""
