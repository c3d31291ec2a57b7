"""How well fake segments are found: for a terminal, as CSV and as JSON."""

from dataclasses import asdict
from pathlib import Path

from rawnet_jax.atomic_file import write_text_atomically
from rawnet_jax.csv_text import csv_text
from rawnet_jax.evaluation.localisation import Localisation
from rawnet_jax.evaluation.summary import percent
from rawnet_jax.fitted_file import write_fitted
from rawnet_jax.reports.tables import UNKNOWN, in_columns

RECORD_NAME = "segments.json"
_CONTENT = "localisation of fake segments"


def format_localisation(found: Localisation) -> str:
    """Return the figures for a terminal, without a final line end."""
    rows = [["frame", "bona fide", "spoof", "EER", "without score"]]
    rows += [
        [
            f"{frame.frame_ms:g} ms",
            f"{frame.num_bonafide:,}",
            f"{frame.num_spoof:,}",
            UNKNOWN if frame.eer is None else percent(frame.eer.eer),
            f"{frame.num_unscored:,}",
        ]
        for frame in found.frames
    ]
    at = found.at_threshold
    chosen = "given" if found.given else "of that EER, found on these recordings"
    precision = UNKNOWN if at.precision is None else percent(at.precision)
    lines = [
        f"{found.num_recordings:,} recordings, {found.bonafide_s:.2f} s bona fide, "
        f"{found.spoof_s:.2f} s fake",
        *([f"{found.num_without:,} trials have no time line"] if found.num_without else []),
        "",
        *in_columns(rows, right_from=1),
        "",
        f"EER of time      {percent(found.by_time.eer)}",
        f"Threshold        {at.threshold:.4g} ({chosen})",
        f"  Precision      {precision} of the time called fake is fake",
        f"  Recall         {percent(at.recall)} of the fake time is called fake",
        f"  F1             {percent(at.f1)}",
        f"  False alarms   {percent(at.false_alarms)} of the bona fide time is called fake",
    ]
    return "\n".join(lines)


def write_localisation(folder: Path, found: Localisation) -> list[tuple[str, Path]]:
    """Write figures and table, each whole or not at all; returns (what, where).

    Raises:
        DataError: a file cannot be written.
    """
    write_fitted(folder / RECORD_NAME, _CONTENT, asdict(found) | {"f1": found.at_threshold.f1})
    rows: list[list[object]] = [
        ["frame_ms", "num_bonafide", "num_spoof", "num_unscored", "eer", "threshold"]
    ]
    rows += [
        [
            frame.frame_ms,
            frame.num_bonafide,
            frame.num_spoof,
            frame.num_unscored,
            *((None, None) if frame.eer is None else (frame.eer.eer, frame.eer.threshold)),
        ]
        for frame in found.frames
    ]
    write_text_atomically(folder / "segments.csv", csv_text(rows))
    return [("figures", folder / RECORD_NAME), ("table", folder / "segments.csv")]
