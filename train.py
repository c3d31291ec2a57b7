"""Train a spoof detector: ``python train.py --config configs/FILE.py --workdir runs/x``."""

import sys

from rawnet_jax.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
