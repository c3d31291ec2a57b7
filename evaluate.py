"""Score a run on its eval partition: ``python evaluate.py --workdir runs/x``."""

import sys

from rawnet_jax.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["evaluate", *sys.argv[1:]]))
