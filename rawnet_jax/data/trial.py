"""A trial, a clip, and the ledger of what was wrong with a corpus."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np

from rawnet_jax.config import ProblemPolicy
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.labels import Label
from rawnet_jax.storage.rows import Row

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Trial:
    """One utterance of a protocol with everything that the protocol states about it.

    Attributes:
        utterance_id: name in score files; unique in a protocol.
        label: None where the list gives no key (trial lists without keys).
        audio_name: the file as the protocol names it: with or without extension or folder.
        speaker_id: None where unknown.
        attack_id: None for bona fide speech and where unknown.
        metadata: all further columns by name (codec, environment, gender …); ``-`` is left out.
        source: ``file:line`` that the trial was read from.
    """

    utterance_id: str
    label: Label | None
    audio_name: str
    speaker_id: str | None = None
    attack_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    source: str = ""


@dataclass(frozen=True, slots=True)
class Clip:
    """One trial and what holds its audio: a file, or a row of a manifest."""

    trial: Trial
    audio: Path | Row

    @property
    def path(self) -> Path:
        """Path of a file; raises `DataError` where it is a row of a manifest."""
        if isinstance(self.audio, Row):
            raise DataError(f"{self.audio.name}: must be a file of this machine")
        return self.audio

    @property
    def name(self) -> str:
        """Where the audio lies, for people."""
        return self.audio.name if isinstance(self.audio, Row) else str(self.audio)


def labels_of(trials: Iterable[Trial]) -> np.ndarray | None:
    """Return int8 [N], values of `Label`; None where a trial has no label."""
    labels = [trial.label for trial in trials]
    return None if None in labels else np.array(labels, np.int8)


class ProblemLedger:
    """Collects what is wrong with a corpus: raises where the policy demands it, else counts.

    The first few cases of a kind are logged in full; `summary` gives the numbers.

    Attributes:
        counts: how many cases of a kind were counted.
        examples: the messages of its first few cases.
    """

    NUM_SHOWN = 5

    def __init__(self, policy: ProblemPolicy, *, log: bool = True) -> None:
        self._policy = {f.name: getattr(policy, f.name) for f in fields(policy)}
        for kind, action in self._policy.items():
            if action not in ("error", "warn"):
                raise ConfigError(
                    f"config.data.problems.{kind} is {action!r}; it must be 'error' or 'warn'"
                )
        self._log = log
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}

    @classmethod
    def counting(cls) -> "ProblemLedger":
        """Return a ledger that counts everything, raises nothing and logs nothing."""
        return cls(ProblemPolicy(**{f.name: "warn" for f in fields(ProblemPolicy)}), log=False)

    def is_fatal(self, kind: str) -> bool:
        """Return whether the policy stops at this kind of problem."""
        return self._policy[kind] == "error"

    def report(self, kind: str, message: str) -> None:
        """Take note of one problem.

        Args:
            kind: a field of `ProblemPolicy`.
            message: what, where (file:line) and what must be.

        Raises:
            DataError: if the policy for this kind is ``"error"``.
        """
        if self.is_fatal(kind):
            raise DataError(f"{message} (config.data.problems.{kind}=warn skips and counts these)")
        self.counts[kind] += 1
        shown = self.examples.setdefault(kind, [])
        if len(shown) < self.NUM_SHOWN:
            shown.append(message)
            if self._log:
                _LOG.warning("%s", message)

    def summary(self) -> list[str]:
        """Return one line per kind that was counted, such as ``missing_audio: 3``."""
        return [f"{kind}: {number}" for kind, number in sorted(self.counts.items())]
