"""Vocoders that resynthesise a recording: from a waveform to its copy. See `table.VOCODERS`."""
