"""How many files came to what: of a shard, and of many together."""

import posixpath
from collections import Counter
from collections.abc import Mapping
from typing import Any

from rawnet_jax.storage.rows import member_of

VERDICTS = ("bonafide", "spoof", "cannot judge", "unreadable")
OTHERS = "(others)"
"""Stands for folders, or reasons, beyond those that are counted one by one."""

_MOST = 200  # folders or reasons that are counted one by one


class Tally:
    """Counts; its record is small whatever it counted."""

    def __init__(self) -> None:
        self.files = 0
        self.failed = 0  # to be tried again
        self.audio_s = 0.0
        self.work_s = 0.0  # seconds of workers
        self.verdicts: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.folders: dict[str, dict[str, float]] = {}

    def add(self, record: Mapping[str, Any]) -> None:
        """Count a result, see `rawnet_jax.scoring.verdict.Record`."""
        verdict, score = record["verdict"], record["score"]
        self.files += 1
        self.audio_s += record["duration_s"] or 0.0
        self.verdicts[verdict] += 1
        if record["reason"]:
            _count(self.reasons, f"{verdict}: {record['reason'].partition(':')[0]}", 1)
        folder = self._folder(folder_of(record["path"]))
        folder[verdict] = folder.get(verdict, 0) + 1
        if score is not None:
            folder["scored"] = folder.get("scored", 0) + 1
            folder["sum"] = folder.get("sum", 0.0) + score
            folder["lowest"] = min(folder.get("lowest", score), score)
            folder["highest"] = max(folder.get("highest", score), score)

    def merge(self, record: Mapping[str, Any]) -> None:
        """Add what `record` gave."""
        self.files += record["files"]
        self.failed += record["failed"]
        self.audio_s += record["audio_s"]
        self.work_s += record["work_s"]
        self.verdicts.update(record["verdicts"])
        for reason, count in record["reasons"].items():
            _count(self.reasons, reason, count)
        for name, found in record["folders"].items():
            folder = self._folder(name)
            for key, value in found.items():
                if key in ("lowest", "highest"):
                    better = min if key == "lowest" else max
                    folder[key] = better(folder.get(key, value), value)
                else:
                    folder[key] = folder.get(key, 0) + value

    @property
    def record(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "files": self.files,
            "failed": self.failed,
            "audio_s": self.audio_s,
            "work_s": self.work_s,
            "verdicts": dict(self.verdicts),
            "reasons": dict(self.reasons),
            "folders": self.folders,
        }

    def _folder(self, name: str) -> dict[str, float]:
        if name not in self.folders and len(self.folders) >= _MOST:
            name = OTHERS
        return self.folders.setdefault(name, {})


def folder_of(uri: str) -> str:
    """Return the folder of a recording; of a member of a tar file, the tar file."""
    member = member_of(uri)
    return member.tar if member else posixpath.dirname(uri) or "."


def _count(counter: Counter[str], name: str, count: int) -> None:
    counter[name if name in counter or len(counter) < _MOST else OTHERS] += count
