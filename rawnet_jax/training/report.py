"""What a run prints on the terminal."""

from collections.abc import Sequence

import numpy as np

from rawnet_jax.terminal import show


def say(line: str) -> None:
    """Print a line without tearing a progress bar."""
    show(line)


def epoch_line(
    title: str,
    trains: Sequence[dict[str, float]],
    devs: Sequence[dict[str, float]],
    seconds: float,
) -> str:
    """Return an epoch in one line; of several seeds, mean ± standard deviation over them.

    Args:
        title: such as ``epoch 3/10``.
        trains: metrics of each seed on the clips it trained on.
        devs: metrics of each seed on dev.
        seconds: of the epoch.
    """

    def of(figures: Sequence[dict[str, float]], name: str, digits: int, factor: float = 1.0) -> str:
        values = factor * np.array([one[name] for one in figures])
        spread = f" ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else ""
        return f"{values.mean():.{digits}f}{spread}"

    def part(figures: Sequence[dict[str, float]]) -> str:
        accuracy, area = of(figures, "accuracy", 3), of(figures, "auc", 3)
        return f"loss {of(figures, 'loss', 4)} acc {accuracy} auc {area}"

    eer = of(devs, "eer", 2, 100.0)
    return f"{title}: train {part(trains)} | dev {part(devs)} eer {eer} % | {seconds:.1f} s"
