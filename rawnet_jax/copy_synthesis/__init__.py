"""Vocoders that say a recording again: from a waveform to its copy. See `table.VOCODERS`."""
