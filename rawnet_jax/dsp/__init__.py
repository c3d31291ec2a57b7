"""Signal processing in jnp: filter banks and spectra."""
