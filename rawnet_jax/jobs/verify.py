"""``verify``: whether recordings are bona fide speech of an enrolled voice."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rawnet_jax.errors import AudioError
from rawnet_jax.jobs.console import EXIT_CANNOT_JUDGE, EXIT_UNREADABLE
from rawnet_jax.jobs.voices import VoiceOptions, costs_of, judges_of, recordings_of, sealer_of
from rawnet_jax.terminal import complain, emit, one_line, show

if TYPE_CHECKING:  # brings JAX
    from rawnet_jax.speaker.verification import Verification

_HEADER = "decision           sasv llr   asv llr    cm llr  speech s    file"


@dataclass(frozen=True, kw_only=True)
class VerifyOptions(VoiceOptions):
    """Options of ``verify``, named as its flags; see ``verify --help``."""

    speaker: Path
    costs: str
    prior: tuple[float, float] | None
    band: float
    min_speech: float
    format: str


def verify_recordings(options: VerifyOptions) -> int:
    """Print a decision for each recording; returns the exit status.

    It is 0 only where every recording is accepted.

    Raises:
        RawnetError: the template, the detector or the encoder cannot be used.
    """
    from rawnet_jax.speaker.template import read_template
    from rawnet_jax.speaker.verification import Decision, Policy, calibration_of, verify

    policy = Policy(
        costs=costs_of(options.costs, options.prior),
        band=options.band,
        min_speech_s=options.min_speech,
    )
    template = read_template(options.speaker, sealer_of(options))
    paths = recordings_of(options.paths)
    judges = judges_of(options)
    calibration_of(judges.encoder)
    if options.format == "text":
        rule = policy.rule
        show(
            f"accept at a fused log-likelihood ratio of {rule.threshold + policy.band:.4g} or more "
            f"({policy.costs.name}: threshold {rule.threshold:.4g}, share of spoof "
            f"{rule.spoof_share:.4g}; inconclusive within {policy.band:g} of it)\n\n{_HEADER}"
        )
    num_accepted = num_unreadable = 0
    for path in paths:
        try:
            found = verify(*judges.judge(path), template, judges.encoder, policy)
        except AudioError as error:
            complain(f"error: {one_line(error)}")
            num_unreadable += 1
            continue
        num_accepted += found.decision == Decision.ACCEPT
        _show(path, found, options.format)
    if num_unreadable:
        return EXIT_UNREADABLE
    return os.EX_OK if num_accepted == len(paths) else EXIT_CANNOT_JUDGE


def _show(path: str, found: "Verification", form: str) -> None:
    if form == "jsonl":
        record: dict[str, Any] = {"path": path, **asdict(found), "decision": found.decision.value}
        text = json.dumps(record, ensure_ascii=False, allow_nan=False)
        emit(text.encode("utf-8", "backslashreplace").decode() + "\n")
        return
    cells = [_number(x) for x in (found.llr_sasv, found.llr_asv, found.llr_cm)]
    speech = "-" if found.speech_s is None else f"{found.speech_s:.2f}"
    said = "" if found.reason is None else f"  ({one_line(found.reason)})"
    show(
        f"{found.decision.value:<17}{cells[0]:>10}{cells[1]:>10}{cells[2]:>10}{speech:>10}    "
        f"{one_line(path)}{said}"
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:+.3f}"
