"""Audio spoof detection from the raw waveform, in JAX and Flax."""
