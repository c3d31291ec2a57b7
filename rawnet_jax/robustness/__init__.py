"""How a run fares when recordings are not as clean as those that it learned from."""
