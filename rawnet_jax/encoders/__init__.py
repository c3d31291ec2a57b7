"""Speech encoders (self-supervised, Whisper), as Linen modules to put a detector's head on."""
