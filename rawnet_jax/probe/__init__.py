"""A linear classifier of what a frozen speech encoder makes of a clip."""
