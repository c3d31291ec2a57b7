"""A trained run as one file that needs none of this package."""
