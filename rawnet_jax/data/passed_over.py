"""What a walk through a folder passes over, counted by kind."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence

_NO_RECORDINGS = frozenset(
    (
        *(".txt", ".csv", ".tsv", ".json", ".jsonl", ".md", ".rst", ".log", ".xml", ".html"),
        *(".htm", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".xls", ".xlsx", ".ods", ".pdf"),
        *(".doc", ".docx", ".odt", ".rtf", ".tex", ".bib", ".png", ".jpg", ".jpeg", ".gif"),
        *(".bmp", ".svg", ".webp", ".ico", ".npy", ".npz", ".mat", ".pkl", ".pt", ".h5", ".hdf5"),
        *(".parquet", ".db", ".sqlite", ".py", ".ipynb", ".sh", ".bat", ".m", ".c", ".r"),
        *(".lab", ".phn", ".wrd", ".textgrid", ".eaf", ".trn", ".trl", ".rttm", ".ctm", ".stm"),
        *(".srt", ".vtt", ".lrc", ".cue", ".m3u", ".m3u8", ".pls", ".md5", ".sha1", ".sha256"),
        *(".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".lnk", ".part", ".tmp"),
    )
)
"""Extensions of documents, labels, pictures, arrays and archives."""

_NO_EXTENSION = "without extension"
_BROKEN_LINK = "broken link"
_NUM_BYTES = 512


def may_be_recordings(names: Iterable[str], folder: str | os.PathLike[str] = "") -> list[str]:
    """Return the files that may hold sound: all but documents, pictures and the like.

    Args:
        names: files that are not read as audio, relative to `folder`.
        folder: where they lie.
    """
    return [name for name in names if _may_be_recording(os.path.join(folder, name))]


def by_kind(paths: Sequence[str]) -> str:
    """Return numbers by extension, the most first, such as ``3 .m4a, 1 .webm``."""
    kinds = Counter(_kind(path) for path in paths)
    most = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{number} {kind}" for kind, number in most)


def _may_be_recording(path: str) -> bool:
    if os.path.isdir(path):
        return False
    kind = _kind(path)
    if kind != _NO_EXTENSION:
        return kind not in _NO_RECORDINGS
    try:
        with open(path, "rb") as file:
            begin = file.read(_NUM_BYTES)
    except OSError:
        return True
    return not _is_text(begin)


def _kind(path: str) -> str:
    if os.path.islink(path) and not os.path.exists(path):
        return _BROKEN_LINK
    extension = os.path.splitext(path)[1].lower()
    return extension or _NO_EXTENSION


def _is_text(begin: bytes) -> bool:
    text = begin.decode("utf-8", "ignore")
    # A letter of several bytes may be cut off at the end.
    return b"\0" not in begin and len(text.encode()) > len(begin) - 4
