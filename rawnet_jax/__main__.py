"""``python -m rawnet_jax COMMAND``."""

import sys

from rawnet_jax.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
