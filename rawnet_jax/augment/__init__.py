"""Augmentation on the device: each effect a pure function of a key and one clip."""
