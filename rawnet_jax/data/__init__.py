"""Protocols, audio, caches, batches."""
