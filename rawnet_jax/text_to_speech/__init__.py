"""Text-to-speech engines that are installed: how each is found, listed and asked to speak."""
