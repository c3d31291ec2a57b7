"""Features of clips on disk, found again by the SHA-256 of a clip's audio.

A folder holds files in the safetensors format, each of some clips: ``clips`` uint8 [n, 32], their
digests, and a float32 [n, width] for each column of the features. A file is there whole or not at
all, its header has the CRC32 of each array, and all of it is checked when the folder is opened. A
file that is damaged is deleted, and its clips count as missing. The folder may be deleted at any
time.
"""

import contextlib
import hashlib
import json
import logging
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rawnet_jax.atomic_file import write_bytes_atomically
from rawnet_jax.errors import DataError
from rawnet_jax.flat_weights import packed

_LOG = logging.getLogger(__name__)

SUFFIX = ".safetensors"
_CLIPS = "clips"
_CHECKSUMS = "crc32"
_DIGEST_BYTES = 32


class _DamagedError(Exception):
    """A file is not what was written."""


class FeatureStore:
    """The features of one encoder in one folder.

    Args:
        folder: made if it is not there.
        columns: names of the features that are wanted. A file that lacks one is passed over.
        width: numbers of a column.

    Raises:
        DataError: the folder cannot be made or read.
    """

    def __init__(self, folder: Path, columns: Sequence[str], width: int) -> None:
        self.columns = tuple(columns)
        self.width = width
        self._folder = folder
        self._places: dict[bytes, tuple[Path, int]] = {}
        with self._explained():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # it tells of people's voices
            for path in sorted(folder.glob(f"*{SUFFIX}")):
                self._open(path)

    def missing(self, clips: Sequence[bytes]) -> list[int]:
        """Return the positions of clips without features; of equal clips the first alone."""
        first = {clip: position for position, clip in reversed(list(enumerate(clips)))}
        return sorted(position for clip, position in first.items() if clip not in self._places)

    def add(self, clips: Sequence[bytes], features: np.ndarray) -> None:
        """Write the features of clips as one file.

        Args:
            clips: digests.
            features: float32 [n, columns, width].

        Raises:
            DataError: the file cannot be written; nothing is left behind.
        """
        digests = np.frombuffer(b"".join(clips), np.uint8).reshape(-1, _DIGEST_BYTES)
        arrays = {_CLIPS: digests}
        arrays |= {name: features[:, i] for i, name in enumerate(self.columns)}
        checksums = {name: _crc32(array) for name, array in arrays.items()}
        name = hashlib.sha256(b"".join([*map(str.encode, self.columns), *clips])).hexdigest()[:20]
        path = self._folder / f"{name}{SUFFIX}"
        write_bytes_atomically(path, packed(arrays, {_CHECKSUMS: json.dumps(checksums)}))
        self._places |= {clip: (path, row) for row, clip in enumerate(clips)}

    def read(self, clips: Sequence[bytes], column: str) -> np.ndarray:
        """Return a column of clips that are there, float32 [N, width].

        Raises:
            DataError: a file was changed since the folder was opened.
        """
        found = np.empty((len(clips), self.width), np.float32)
        by_path: dict[Path, list[tuple[int, int]]] = {}
        for position, clip in enumerate(clips):
            path, row = self._places[clip]
            by_path.setdefault(path, []).append((position, row))
        for path, pairs in by_path.items():
            positions, rows = np.array(pairs).T
            with self._explained(), _opened(path) as file:
                found[positions] = file.get_tensor(column)[rows]
        return found

    def _open(self, path: Path) -> None:
        try:
            with _opened(path) as file:
                names = set(file.keys())
                if names >= {_CLIPS, *self.columns}:
                    self._take(path, file)
        except _DamagedError as error:
            _LOG.warning("%s: damaged (%s); its features are computed again", path, error)
            path.unlink(missing_ok=True)

    def _take(self, path: Path, file: Any) -> None:
        checksums = json.loads((file.metadata() or {}).get(_CHECKSUMS, "{}"))
        for name in (_CLIPS, *self.columns):
            array = file.get_tensor(name)
            if checksums.get(name) != _crc32(array):
                raise _DamagedError(f"{name}: its checksum differs")
            if name != _CLIPS and array.shape[1:] != (self.width,):
                raise _DamagedError(f"{name}: its shape is {array.shape}")
        for row, clip in enumerate(file.get_tensor(_CLIPS)):
            self._places[clip.tobytes()] = (path, row)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except _DamagedError as error:
            raise DataError(f"{self._folder}: changed while it was in use: {error}") from None
        except OSError as error:
            raise DataError(
                f"{self._folder}: {error.strerror or error}; it must be a folder for features that "
                "can be written"
            ) from error


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except (SafetensorError, ValueError) as error:
        raise _DamagedError(" ".join(str(error).split())[:200]) from None


def _crc32(array: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(array).view(np.uint8).data)
