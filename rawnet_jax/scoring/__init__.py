"""From waveforms to scores."""
