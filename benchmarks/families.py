"""Which fakes and how much genuine speech a detector needs: one family left out, the data curve.

    python -m benchmarks.families --pool pool --output runs/families

From the training list of a fold this writes lists that lack one family of fakes, hold a share of
the genuine recordings (with their copies), or hold a few families alone. configs/general.py is
trained on each, all for about as many steps, and evaluated on the dev part of the fold and on
fakes of every training family beside the genuine speech of dev. So a family that a run lacked is
seen as new. The test part is not opened. Run it again to resume; runs that are not done are left
out of the table. --only trains some.
"""

import argparse
import math
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks.general import command, train
from rawnet_jax.atomic_file import write_bytes_atomically, write_text_atomically
from rawnet_jax.csv_text import csv_rows, csv_text
from rawnet_jax.data.score_file import ScoreTable, read_scores
from rawnet_jax.labels import Label
from rawnet_jax.metrics.det import eer
from rawnet_jax.reports.canvas import BONAFIDE_COLOUR, SPOOF_COLOUR, png
from rawnet_jax.terminal import show

COPIES = ("transposed-convolution", "inverse-stft")
"""Families of vocoders, whose fakes are copies of genuine recordings of the list."""

_FEW = 20  # one trial of dev in so many is looked at while it trains
_SMALL = 300  # families with fewer fakes are left out together
_ABOVE: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "ncols": 2}
_TRAINED = "families"  # list with fakes of every training family

Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Plan:
    """One run.

    Attributes:
        name: of its folder and list.
        families: of fakes that its list holds.
        share: of the genuine recordings that it holds.
    """

    name: str
    families: tuple[str, ...]
    share: float = 1.0

    @property
    def has_engines(self) -> bool:
        """Whether it holds fakes that are no copies."""
        return bool(set(self.families) - set(COPIES))


def plans_of(counts: dict[str, int]) -> list[Plan]:
    """Return every run, the most telling ones first.

    Args:
        counts: fakes of each family of the training list.
    """
    order = [*COPIES, *sorted(set(counts) - set(COPIES), key=lambda name: -counts[name])]
    whole = tuple(name for name in order if name in counts)
    small = tuple(name for name in whole if counts[name] < _SMALL)
    large = [name for name in whole if name not in small and name not in COPIES]

    def without(name: str, left: Sequence[str]) -> Plan:
        return Plan(f"without_{name}", tuple(one for one in whole if one not in left))

    return [
        Plan("all", whole),
        *(without(name, [name]) for name in COPIES if name in whole),
        Plan("genuine_1_4", whole, 1 / 4),
        *(without(name, [name]) for name in large[:1]),
        Plan("families_2", whole[:2]),
        Plan("genuine_1_8", whole, 1 / 8),
        Plan("genuine_1_2", whole, 1 / 2),
        *(without(name, [name]) for name in large[1:]),
        *([without("small", small)] if small else []),
        Plan("families_1", whole[:1]),
        Plan("families_4", whole[:4]),
    ]


def recording_of(utterance: str) -> str:
    """Return the name of the recording that a piece is cut from."""
    return utterance.rsplit("_", 1)[0]


def chosen_rows(rows: Sequence[Row], plan: Plan) -> list[Row]:
    """Return the rows of a training list that a plan keeps.

    Smaller shares are parts of larger ones, and of every kept recording all pieces and copies are
    kept. Fakes that are no copies do not depend on the share.
    """
    kept = {
        row["utterance_id"]
        for row in rows
        if row["label"] == "bonafide"
        and zlib.crc32(recording_of(row["utterance_id"]).encode()) < plan.share * 2**32
    }
    return [
        row
        for row in rows
        if (
            row["utterance_id"] in kept
            if row["label"] == "bonafide"
            else row["family"] in plan.families
            and (row["family"] not in COPIES or row["source"] in kept)
        )
    ]


def families_list(rows: Sequence[Row], dev: Sequence[Row], most: int) -> list[Row]:
    """Return the genuine speech of dev and at most so many fakes of each training family."""
    spoof = sorted(
        (row for row in rows if row["label"] == "spoof"),
        key=lambda row: zlib.crc32(row["utterance_id"].encode()),
    )
    taken: Counter[str] = Counter()
    fakes = []
    for row in spoof:
        if taken[row["family"]] < most:
            taken[row["family"]] += 1
            fakes.append(row)
    return [row for row in dev if row["label"] == "bonafide"] + fakes


def epochs_for(num_genuine: int, steps: int, batch: int = 64) -> int:
    """Return how many epochs of so many pairs have about so many steps."""
    return max(1, round(steps / math.ceil(2 * num_genuine / batch)))


def rates(
    found: ScoreTable, family_of: dict[str, str], only: set[str] | None = None
) -> dict[str, float]:
    """Return the equal error rate in percent, of all fakes ("") and of each family.

    Args:
        found: scores with labels.
        family_of: family of each utterance.
        only: utterances that count; None = all.
    """
    assert found.labels is not None
    counts = np.array([only is None or one in only for one in found.utterance_ids])
    genuine = found.scores[counts & (found.labels == Label.BONAFIDE)]
    spoof = counts & (found.labels == Label.SPOOF)
    family = np.array([family_of[one] for one in found.utterance_ids])
    parts = {"": spoof} | {one: spoof & (family == one) for one in np.unique(family[spoof])}
    return {str(name): 100 * eer(genuine, found.scores[part]).eer for name, part in parts.items()}


class Bench:
    """The lists of a pool's fold, and the runs on them."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.pool = options.pool.resolve()
        self.output = options.output.resolve()
        self.rows = self._list(f"{options.fold}.train")
        self.dev = self._list(f"{options.fold}.dev")
        counts = Counter(row["family"] for row in self.rows if row["label"] == "spoof")
        self.plans = plans_of(counts)
        self.clear = {row["utterance_id"] for row in self._list("all.train.clear")}
        self.family_of = {row["utterance_id"]: row["family"] for row in [*self.rows, *self.dev]}

    def _list(self, name: str) -> list[Row]:
        path = self.pool / "protocols" / f"{name}.csv"
        head, *rows = csv_rows(path.read_text("utf-8"))
        return [dict(zip(head, row, strict=True)) for row in rows]

    def _write(self, name: str, rows: Sequence[Row]) -> Path:
        path = self.output / "lists" / f"{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        head = list(rows[0])
        table = [head, *([row[key] for key in head] for row in rows)]
        write_text_atomically(path, csv_text(table))
        return path

    def run(self, plan: Plan) -> None:
        """Train and evaluate one run, or what is left of it."""
        workdir = self.output / plan.name
        if (workdir / "eval" / "metrics.json").exists():
            return
        rows = chosen_rows(self.rows, plan)
        genuine = sum(row["label"] == "bonafide" for row in rows)
        epochs = epochs_for(genuine, self.options.steps)
        more = [f"--config.train.num_epochs={epochs}", f"--config.train.best_from_epoch={epochs}"]
        if not plan.has_engines:
            more.append("--config.data.unpaired_share=0")
        trials = families_list(self.rows, self.dev, self.options.fakes)
        more.append(f"--config.data.eval_protocol={self._write(_TRAINED, trials)}")
        # Nothing is chosen by dev while it trains, and small lists have many epochs.
        lists = (self._write(plan.name, rows), self._write("few", self.dev[::_FEW]))
        train(self.pool, workdir, lists, self.options.seed, more)
        dev = f"--config.data.dev_protocol=protocols/{self.options.fold}.dev.csv"
        command("evaluate", f"--workdir={workdir}", "--threshold-rule=miss=0.01", dev)

    def rates_of(self, plan: Plan) -> dict[str, float] | None:
        """Return error rates of dev ("dev", "clear") and by family; None while a run is not done.

        Families of training are against the genuine speech of dev.
        """
        folder = self.output / plan.name / "eval"
        if not (folder / "metrics.json").exists():
            return None
        dev = read_scores(folder / "dev_scores.txt")
        found = rates(read_scores(folder / "scores.txt"), self.family_of)
        of_dev = {
            "dev": rates(dev, self.family_of)[""],
            "clear": rates(dev, self.family_of, self.clear)[""],
        }
        return of_dev | {name: rate for name, rate in found.items() if name}

    def size(self, plan: Plan) -> tuple[int, int]:
        """Return the genuine pieces and the fakes of a plan's list."""
        rows = chosen_rows(self.rows, plan)
        genuine = sum(row["label"] == "bonafide" for row in rows)
        return genuine, len(rows) - genuine


def table(bench: Bench, found: dict[str, dict[str, float]]) -> list[str]:
    """Return the lines of the table, in Markdown; families that a run lacked in bold."""
    families = [name for name in next(iter(found.values())) if name not in ("dev", "clear")]
    heads = ("trained on", "genuine", "fakes", "dev", "dev, clear", *families)
    lines = ["| " + " | ".join(heads) + " |", "|---" + "|---:" * (len(heads) - 1) + "|"]
    for plan in bench.plans:
        if plan.name not in found:
            continue
        rate = found[plan.name]
        cells = [f"{rate['dev']:.1f}", f"{rate['clear']:.1f}"]
        for name in families:
            mark = "" if name in plan.families else "**"
            cells.append(f"{mark}{rate[name]:.1f}{mark}")
        genuine, fakes = bench.size(plan)
        what = plan.name.replace("_", " ")
        lines.append(f"| {what} | {genuine:,} | {fakes:,} | " + " | ".join(cells) + " |")
    return lines


def _mean_seen(bench: Bench, found: dict[str, dict[str, float]], family: str) -> float:
    """Return the mean error of a family over the runs that were trained on it."""
    runs = [plan for plan in bench.plans if plan.name in found and family in plan.families]
    return float(np.mean([found[plan.name][family] for plan in runs]))


def picture(bench: Bench, found: dict[str, dict[str, float]]) -> bytes:
    """Draw the error with one family left out, and over genuine speech and families."""
    left = [plan for plan in bench.plans if plan.name in found and "without" in plan.name]
    curves = {
        name: [p for p in bench.plans if p.name.startswith(name.split()[0]) and p.name in found]
        for name in ("genuine pieces", "families of fakes")
    }
    curves = {name: plans for name, plans in curves.items() if plans}
    whole = bench.plans[0]

    def draw(figure: Figure) -> None:
        widths = (1.5, *[1] * len(curves))
        bars, *panels = figure.subplots(1, len(widths), width_ratios=widths, squeeze=False)[0]
        own = [(plan, [n for n in whole.families if n not in plan.families]) for plan in left]
        names = [plan.name.removeprefix("without_") for plan in left]
        at = np.arange(len(left))
        seen = [np.mean([_mean_seen(bench, found, name) for name in lost]) for _, lost in own]
        new = [np.mean([found[plan.name][name] for name in lost]) for plan, lost in own]
        bars.barh(at - 0.2, seen, 0.38, color=BONAFIDE_COLOUR, label="trained on")
        bars.barh(at + 0.2, new, 0.38, color=SPOOF_COLOUR, label="left out")
        bars.set_yticks(at, names)
        bars.invert_yaxis()
        bars.set_axisbelow(True)
        bars.grid(False, axis="y")
        bars.set_xlabel("EER of a family that is …, %")
        bars.legend(**_ABOVE)
        for axes, (name, plans) in zip(panels, curves.items(), strict=True):
            done = sorted([*plans, whole], key=lambda p: (p.share, len(p.families)))
            places = [
                bench.size(p)[0] if name.startswith("genuine") else len(p.families) for p in done
            ]
            for key, style in (("dev", "-o"), ("clear", "--s")):
                axes.plot(places, [found[p.name][key] for p in done], style, label=key)
            axes.set_xscale("log", base=2)
            axes.set_xticks(places, [f"{place:,}" for place in places])
            axes.set_xlabel(name)
            axes.set_ylabel("EER of dev, %")
            axes.legend(**_ABOVE)

    return png(draw, (4.5 + 4 * len(curves), 3.8))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pool", type=Path, required=True, help="what build-pool wrote")
    parser.add_argument("--output", type=Path, required=True, help="folder of lists and runs")
    parser.add_argument("--fold", default="fold3", help="default: %(default)s")
    parser.add_argument("--steps", type=int, default=340, help="of each run, about")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fakes", type=int, default=100, help="of a family that are scored")
    parser.add_argument("--only", nargs="*", metavar="RUN", help="to train; none = draw alone")
    bench = Bench(parser.parse_args(arguments))
    for plan in bench.plans:
        if bench.options.only is None or plan.name in bench.options.only:
            bench.run(plan)
    every = {plan.name: bench.rates_of(plan) for plan in bench.plans}
    found = {name: rate for name, rate in every.items() if rate is not None}
    if bench.plans[0].name not in found:
        show("the run on all fakes is not done; no table")
        return
    lines = table(bench, found)
    write_text_atomically(bench.output / "table.md", "\n".join(lines) + "\n")
    write_bytes_atomically(bench.output / "families.png", picture(bench, found))
    show("\n".join(lines))


if __name__ == "__main__":
    main()
