"""Speech encoders, self-supervised ones and Whisper's, as Linen modules to put a detector's head on."""
