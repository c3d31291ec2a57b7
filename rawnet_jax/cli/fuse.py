"""``fuse``: fit a fusion of several systems' scores on dev and apply it to eval."""

import argparse
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rawnet_jax.atomic_file import make_folder
from rawnet_jax.data.join import Aligned, read_aligned
from rawnet_jax.data.protocol_file import PROTOCOL_CORPORA, read_protocol
from rawnet_jax.data.score_file import write_scores
from rawnet_jax.errors import DataError
from rawnet_jax.evaluation.fusion import (
    FUSION_KINDS,
    Fusion,
    LogisticFusion,
    fit_fusion,
    load_fusion,
    save_fusion,
)
from rawnet_jax.metrics.det import eer, looks_negated
from rawnet_jax.metrics.validation import split_by_label

_LOG = logging.getLogger(__name__)

EPILOG = """\
Written into the output folder: fusion.json, dev_scores.txt and eval_scores.txt (fused scores,
higher = more bona fide).

Examples:

  python -m rawnet_jax fuse --dev A/dev.txt B/dev.txt --eval A/eval.txt B/eval.txt --output fused
  python -m rawnet_jax fuse --fusion fused/fusion.json --eval A/new.txt B/new.txt --output new

With one system, --kind logistic calibrates its scores.
"""


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """The scores of one partition: of the systems, and of their fusion."""

    name: str
    aligned: Aligned
    fused: np.ndarray


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "fuse",
        help="fuse the scores of several systems",
        description="Fit a fusion on the dev scores of several systems and apply it to their eval "
        "scores. Eval has no part in the fit.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--dev", nargs="+", type=Path, metavar="FILE", help="dev scores, one file a system"
    )
    source.add_argument(
        "--fusion", type=Path, metavar="FILE", help="apply this fusion.json instead of fitting one"
    )
    parser.add_argument(
        "--eval",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="scores to fuse, in the order of --dev",
    )
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--kind",
        choices=FUSION_KINDS,
        default="logistic",
        help="logistic: a weighted sum, gives log-likelihood ratios; svm: a polynomial support "
        "vector machine (default: %(default)s)",
    )
    parser.add_argument(
        "--p-bonafide",
        type=float,
        default=0.5,
        metavar="P",
        help="prior that the logistic fit is best for (default: %(default)s)",
    )
    parser.add_argument("--names", nargs="+", help="of the systems (default: from their files)")
    add_protocol_arguments(parser, "--protocol", "keys of dev, where its files have none")
    parser.add_argument(
        "--eval-protocol", type=Path, metavar="FILE", help="keys of eval, where its files have none"
    )
    parser.add_argument(
        "--allow-missing",
        action="store_true",
        help="leave out trials that a file lacks, instead of stopping",
    )
    parser.set_defaults(run=run)


def add_protocol_arguments(parser: argparse.ArgumentParser, flag: str, what: str) -> None:
    """Add the flags of a protocol that joins score files."""
    parser.add_argument(flag, type=Path, metavar="FILE", help=f"protocol: {what}")
    parser.add_argument(
        "--corpus",
        choices=PROTOCOL_CORPORA,
        default="",
        metavar="NAME",
        help="whose form protocols have, where their lines do not tell: "
        + ", ".join(PROTOCOL_CORPORA),
    )


def run(args: argparse.Namespace, _overrides: list[str]) -> int:
    """Run the command; returns the exit status."""
    parts: list[_Part] = []
    if args.dev:
        dev = _read(args, args.dev, args.protocol)
        fusion = _fit(args, dev)
        parts.append(_Part("dev", dev, fusion.apply(dev.scores)))
    else:
        fusion = load_fusion(args.fusion)
        if not args.eval:
            raise DataError("--fusion: nothing to apply it to; wanted --eval FILE ...")
    if args.eval:
        _check_count("--eval", args.eval, fusion.names)
        scored = _read(args, args.eval, args.eval_protocol)
        parts.append(_Part("eval", scored, fusion.apply(scored.scores)))
    _warn_of_overlap(parts)
    folder = args.output
    make_folder(folder)
    if args.dev:
        save_fusion(folder / "fusion.json", fusion)
    for part in parts:
        write_scores(folder / f"{part.name}_scores.txt", part.aligned.table(part.fused))
    print(_table(fusion, parts))
    if args.dev:
        print(f"\nfusion: {folder / 'fusion.json'}")
    for part in parts:
        print(f"{part.name + ':':<7} {folder / f'{part.name}_scores.txt'}")
    return 0


def _read(args: argparse.Namespace, paths: Sequence[Path], protocol: Path | None) -> Aligned:
    trials = read_protocol(protocol, args.corpus) if protocol else None
    aligned = read_aligned(paths, trials, protocol=str(protocol), allow_missing=args.allow_missing)
    for name, lost in aligned.left_out.items():
        _LOG.warning("%s: %s utterances left out, not in every file", name, f"{len(lost):,}")
    if trials is not None and len(aligned) < len(trials):
        _LOG.warning(
            "%s: %s of its %s trials left out, not in every score file",
            protocol,
            f"{len(trials) - len(aligned):,}",
            f"{len(trials):,}",
        )
    return aligned


def _fit(args: argparse.Namespace, dev: Aligned) -> Fusion:
    names = args.names or _short_names(args.dev)
    _check_count("--names", names, args.dev)
    if dev.labels is None:
        raise DataError(f"{args.dev[0]}: holds no keys; wanted --protocol with those of dev")
    for name, scores in zip(names, dev.scores.T, strict=True):
        if looks_negated(*split_by_label(scores, dev.labels)):
            _LOG.warning(
                "%s: its negated scores would have the lower EER on dev; higher should mean more "
                "bona fide. Nothing is flipped",
                name,
            )
    return fit_fusion(args.kind, dev.scores, dev.labels, names, args.p_bonafide)


def _short_names(paths: Sequence[Path]) -> list[str]:
    """Name systems by their files, or in full where those are called the same."""
    stems = [path.stem for path in paths]
    return stems if len(set(stems)) == len(stems) else [str(path) for path in paths]


def _check_count(flag: str, given: Sequence[object], wanted: Sequence[object]) -> None:
    if len(given) != len(wanted):
        raise DataError(
            f"{flag}: {len(given)} given for {len(wanted)} systems "
            f"({', '.join(map(str, wanted))}); as many, in the same order, were wanted"
        )


def _warn_of_overlap(parts: Sequence[_Part]) -> None:
    if len(parts) < 2:
        return
    common = set(parts[0].aligned.utterance_ids).intersection(parts[1].aligned.utterance_ids)
    if common:
        _LOG.warning(
            "%s utterances are in dev and in eval, such as %s; the fusion was fitted on them, so "
            "figures on eval are too good",
            f"{len(common):,}",
            min(common),
        )


def _table(fusion: Fusion, parts: Sequence[_Part]) -> str:
    width = max(len(name) for name in (*fusion.names, "fusion")) + 2
    weights = fusion.weights.tolist() if isinstance(fusion, LogisticFusion) else None
    header = "".join(f"{f'EER {part.name}':>12}" for part in parts)
    lines = [
        f"{fusion.kind} fusion of {len(fusion.names)}: "
        + ", ".join(f"{len(part.aligned):,} {part.name} trials" for part in parts),
        "",
        f"  {'':<{width}}{header}" + (f"{'weight':>12}" if weights else ""),
    ]
    for column, name in enumerate(fusion.names):
        rates = "".join(f"{_eer(part.aligned.scores[:, column], part):>12}" for part in parts)
        weight = f"{weights[column]:>12.4g}" if weights else ""
        lines.append(f"  {name:<{width}}{rates}{weight}")
    rates = "".join(f"{_eer(part.fused, part):>12}" for part in parts)
    return "\n".join([*lines, f"  {'fusion':<{width}}{rates}"])


def _eer(scores: np.ndarray, part: _Part) -> str:
    labels = part.aligned.labels
    if labels is None:
        return "no keys"
    return f"{100 * eer(*split_by_label(scores, labels)).eer:.2f} %"
