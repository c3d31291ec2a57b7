"""What the commands do: one function with its options each; no flags, no parsers."""
