"""Networks, and the registry that names them."""
