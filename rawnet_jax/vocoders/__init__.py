"""Neural vocoders: log-mel spectrogram in, waveform out. Their copies of real speech are fakes."""
