"""Neural vocoders and codecs, of waveforms. Their copies of real speech are fakes."""
