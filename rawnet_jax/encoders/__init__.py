"""Self-supervised speech encoders, as Linen modules to put a detector's head on."""
