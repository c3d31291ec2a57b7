"""Simulated speech, rooms, devices and replay, and the corpora written from them."""
