"""Progress bars for work that is counted in batches."""

import sys

from tqdm import tqdm

_QUIET_INTERVAL_S = 10.0


class BatchBars:
    """Makes bars, or invisible ones.

    Args:
        shown: whether to draw them.
    """

    def __init__(self, shown: bool) -> None:
        self.shown = shown

    def __call__(self, description: str, total: int, initial: int = 0, unit: str = "batch") -> tqdm:
        """Return a bar over `total` batches (or another unit), `initial` of them done."""
        return tqdm(
            desc=description,
            total=total,
            initial=initial,
            unit=unit,
            leave=False,
            dynamic_ncols=True,
            disable=not self.shown,
            # A log file gets a line now and then instead of a picture that moves.
            mininterval=0.1 if sys.stderr.isatty() else _QUIET_INTERVAL_S,
        )
