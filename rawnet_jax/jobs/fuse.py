"""``fuse``: fit a fusion of several systems' scores on dev and apply it to eval."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rawnet_jax.atomic_file import make_folder
from rawnet_jax.data.join import Aligned, read_aligned
from rawnet_jax.data.protocol_file import read_protocol
from rawnet_jax.data.score_choice import Choice
from rawnet_jax.data.score_file import write_scores
from rawnet_jax.errors import DataError
from rawnet_jax.evaluation.fusion import (
    Fusion,
    LogisticFusion,
    fit_fusion,
    load_fusion,
    save_fusion,
)
from rawnet_jax.metrics.det import eer, looks_negated
from rawnet_jax.metrics.validation import split_by_label
from rawnet_jax.terminal import show

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """The scores of one partition: of the systems, and of their fusion."""

    name: str
    aligned: Aligned
    fused: np.ndarray


@dataclass(frozen=True, kw_only=True)
class FuseOptions:
    """Options of ``fuse``, named as its flags; see ``fuse --help``."""

    dev: Sequence[Path] | None
    fusion: Path | None
    eval: Sequence[Path]
    output: Path
    kind: str
    p_bonafide: float
    names: Sequence[str] | None
    protocol: Path | None
    eval_protocol: Path | None
    corpus: str
    one_means: str
    columns: Choice | None
    allow_missing: bool


def fuse(options: FuseOptions) -> int:
    """Fit a fusion, or read one, and apply it; returns the exit status.

    Raises:
        DataError: a file is wrong, or files do not fit together.
    """
    parts: list[_Part] = []
    if options.dev:
        dev = _read(options, options.dev, options.protocol)
        fusion = _fit(options, options.dev, dev)
        parts.append(_Part("dev", dev, fusion.apply(dev.scores)))
    else:
        assert options.fusion is not None
        fusion = load_fusion(options.fusion)
        if not options.eval:
            raise DataError("--fusion: nothing to apply it to; give --eval FILE ...")
    if options.eval:
        _check_count("--eval", options.eval, fusion.names)
        scored = _read(options, options.eval, options.eval_protocol)
        parts.append(_Part("eval", scored, fusion.apply(scored.scores)))
    _warn_of_overlap(parts)
    folder = options.output
    make_folder(folder)
    if options.dev:
        save_fusion(folder / "fusion.json", fusion)
    for part in parts:
        write_scores(folder / f"{part.name}_scores.txt", part.aligned.table(part.fused))
    show(_table(fusion, parts))
    if options.dev:
        show(f"\nfusion: {folder / 'fusion.json'}")
    for part in parts:
        show(f"{part.name + ':':<7} {folder / f'{part.name}_scores.txt'}")
    return 0


def _read(options: FuseOptions, paths: Sequence[Path], protocol: Path | None) -> Aligned:
    trials = read_protocol(protocol, options.corpus, options.one_means) if protocol else None
    aligned = read_aligned(
        paths,
        trials,
        protocol=str(protocol),
        allow_missing=options.allow_missing,
        one_means=options.one_means,
        choice=options.columns,
    )
    for name, number in aligned.renamed.items():
        _LOG.warning(
            "%s: %s of its names differ from those of %s in folders or extension; they were "
            "matched by the rest of the name",
            name,
            f"{number:,}",
            protocol or aligned.names[0],
        )
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


def _fit(options: FuseOptions, paths: Sequence[Path], dev: Aligned) -> Fusion:
    names = options.names or _short_names(paths)
    _check_count("--names", names, paths)
    if dev.labels is None:
        raise DataError(f"{paths[0]}: holds no keys; give --protocol with those of dev")
    for name, scores in zip(names, dev.scores.T, strict=True):
        if looks_negated(*split_by_label(scores, dev.labels)):
            _LOG.warning(
                "%s: its negated scores would have the lower EER on dev; higher should mean more "
                "bona fide. Nothing is flipped",
                name,
            )
    return fit_fusion(options.kind, dev.scores, dev.labels, names, options.p_bonafide)


def _short_names(paths: Sequence[Path]) -> list[str]:
    """Name systems by their files, or in full where those are called the same."""
    stems = [path.stem for path in paths]
    return stems if len(set(stems)) == len(stems) else [str(path) for path in paths]


def _check_count(flag: str, given: Sequence[object], wanted: Sequence[object]) -> None:
    if len(given) != len(wanted):
        raise DataError(
            f"{flag}: {len(given)} given for {len(wanted)} systems "
            f"({', '.join(map(str, wanted))}); there must be as many, in the same order"
        )


def _warn_of_overlap(parts: Sequence[_Part]) -> None:
    if len(parts) < 2:
        return
    common = set(parts[0].aligned.utterance_ids).intersection(parts[1].aligned.utterance_ids)
    if common:
        _LOG.warning(
            "%s utterances are in dev and in eval, such as %s; the fusion was fitted on them, so "
            "error rates on eval are too good",
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
