"""``stream``: audio in, one line per window out, and one in the end."""

import contextlib
import json
import math
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rawnet_jax.config import AudioConfig
from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.data.inputs import STDIN
from rawnet_jax.data.live_audio import LiveAudio, listen, open_live
from rawnet_jax.data.pcm import raw_format
from rawnet_jax.errors import ConfigError
from rawnet_jax.jobs.ending import ended_by_signals
from rawnet_jax.jobs.options import VerdictOptions, at_least
from rawnet_jax.labels import Label
from rawnet_jax.scoring.file_scorer import SCORE_NOT_FINITE
from rawnet_jax.scoring.model_watch import ModelWatch
from rawnet_jax.scoring.verdict import CANNOT_JUDGE, DecisionRule, verdict_record
from rawnet_jax.terminal import complain, emit, rewrite, show

if TYPE_CHECKING:
    from rawnet_jax.run import Run
    from rawnet_jax.scoring.streaming import TimedScore


@dataclass(frozen=True, kw_only=True)
class StreamOptions(VerdictOptions):
    """Options of ``stream``, named as its flags; see ``stream --help``."""

    input: str
    microphone: str | None
    format: str | None
    rate: int | None
    channels: int | None
    hop: float | None
    jsonl: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("--rate", self.rate, 1)
        at_least("--channels", self.channels, 1)
        if self.hop is not None and not 0 < self.hop < math.inf:
            raise ConfigError(f"--hop {self.hop:g}: it must be above 0, in seconds")


def stream(options: StreamOptions) -> int:
    """Score what comes in; returns the exit status.

    Raises:
        RawnetError: whatever is wrong with the run, the options or the audio.
        KeyboardInterrupt: Ctrl-C, but for a microphone, which ends no other way.
        Interrupted: SIGTERM or SIGHUP, after the summary.
    """
    # Brings JAX, which a wrong flag does not need.
    from rawnet_jax.run import Run

    run = Run.open(options.workdir, options.checkpoint, options.settings)
    is_microphone = options.microphone is not None
    try:
        with ended_by_signals(), _open(options, run.config.data.audio) as audio:
            _score(options, run, audio)
    except KeyboardInterrupt:
        if not is_microphone:
            raise
    return 0


def _open(
    options: StreamOptions, bounds: AudioConfig
) -> contextlib.AbstractContextManager[LiveAudio]:
    if options.microphone is None:
        raw = raw_format(options.format, options.rate, options.channels)
        return open_live(options.input, bounds, raw)
    if options.input != STDIN or options.format is not None:
        raise ConfigError("--microphone takes no FILE and no --format")
    return listen(options.microphone or None, options.rate, options.channels)


def _score(options: StreamOptions, run: "Run", audio: LiveAudio) -> None:
    if options.channel is not None and options.channel > audio.num_channels:
        raise ConfigError(
            f"--channel {options.channel}: the audio has {audio.num_channels}; the first is 1"
        )
    scorer = run.stream(
        hop_s=options.hop, sample_rate_hz=audio.sample_rate_hz, channel=options.channel
    )
    decision = run.decision(prior=options.p_spoof, threshold=options.threshold)
    for note in decision.notes:
        complain(f"note: {note}")
    scorer.warm_up()
    if sys.stderr.isatty():
        complain(decision.text)
    watch, window_s = ModelWatch(options.workdir), scorer.window / SAMPLE_RATE_HZ
    with Lines(decision, window_s, as_json=options.jsonl) as lines:
        for block in audio.blocks:
            lines.write(_watched(scorer.push(block), watch))
        lines.write(_watched(scorer.finish(), watch))
    watch.check()


def _watched(found: "Iterable[TimedScore]", watch: ModelWatch) -> "Iterator[TimedScore]":
    for one in found:
        is_finite = math.isfinite(one.score)
        reason = None if is_finite or one.refusal is not None else SCORE_NOT_FINITE
        watch.add(one.score if is_finite else None, reason)
        yield one


def window_record(found: "TimedScore", window_s: float, decision: DecisionRule) -> dict[str, Any]:
    """Return what is said of a window, ready for JSON.

    Args:
        found: its score.
        window_s: length of a window; one that begins the stream may be shorter.
        decision: reads scores.
    """
    start_s = round(max(0.0, found.time_s - window_s), 6)  # not 0.01999999999999999
    bounds = {"start_s": start_s, "end_s": found.time_s}
    if math.isfinite(found.score):
        said = verdict_record(found.score, decision, found.distance, of_window=True)
        refusal = decision.refusal(found.score, found.distance, of_window=True)
        return bounds | said | {"reason": refusal}
    reason = SCORE_NOT_FINITE
    if found.refusal is not None:
        reason = f"{found.refusal.reason}: {found.refusal.detail}"
    return bounds | verdict_record(None, decision) | {"reason": reason}


class Lines:
    """Prints windows while they come, and what they were in the end.

    On a terminal each line is written over the one before; elsewhere each has a line, at once.
    """

    def __init__(self, decision: DecisionRule, window_s: float, *, as_json: bool = False) -> None:
        """Begin.

        Args:
            decision: reads scores.
            window_s: length of a window.
            as_json: one JSON object per line.
        """
        self._decision = decision
        self._window_s = window_s
        self._as_json = as_json
        self._is_live = sys.stdout.isatty() and not as_json
        self._counts = {CANNOT_JUDGE: 0, Label.SPOOF.key: 0, Label.BONAFIDE.key: 0}
        self._sum = 0.0
        self._lowest: tuple[float, float] | None = None  # score and time
        self._end_s = 0.0

    def write(self, found: "Iterable[TimedScore]") -> None:
        """Print windows.

        Raises:
            BrokenPipeError: nobody reads any more.
        """
        for one in found:
            record = window_record(one, self._window_s, self._decision)
            self._count(record)
            if self._as_json:
                emit(json.dumps(record, allow_nan=False) + "\n")
            elif self._is_live:
                rewrite(_text(record))
            else:
                show(_text(record))

    def __enter__(self) -> "Lines":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the line and say on standard error what came in all."""
        if isinstance(error, BrokenPipeError):
            return
        complain(self.summary)

    @property
    def summary(self) -> str:
        """Say how many windows there were, and what they were."""
        counts = ", ".join(f"{number} {verdict}" for verdict, number in self._counts.items())
        said = f"{self._end_s:.2f} s, {sum(self._counts.values())} windows: {counts}"
        if self._lowest is None:
            return said
        num_judged = sum(self._counts.values()) - self._counts[CANNOT_JUDGE]
        score, time_s = self._lowest
        return (
            f"{said}; mean score {self._sum / num_judged:+.3f}, "
            f"lowest {score:+.3f} in the window that ends at {time_s:.2f} s"
        )

    def _count(self, record: dict[str, Any]) -> None:
        self._counts[record["verdict"]] += 1
        self._end_s = record["end_s"]
        score = record["score"]
        if record["verdict"] == CANNOT_JUDGE:
            return
        self._sum += score
        if self._lowest is None or score < self._lowest[0]:
            self._lowest = (score, self._end_s)


def _text(record: dict[str, Any]) -> str:
    start = f"{record['end_s']:10.2f} s  {record['verdict']:<12}"
    if record["verdict"] == CANNOT_JUDGE:
        return f"{start}  {record['reason']}"
    said = f"{start}  score {record['score']:+8.3f}"
    if record["llr"] is not None:
        said += f"  LLR {record['llr']:+7.2f}  P(spoof) {record['p_spoof']:.3f}"
    return said
