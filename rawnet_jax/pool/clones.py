"""Clones of public repositories, read from their git objects: no work tree is needed."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from rawnet_jax.errors import DataError
from rawnet_jax.pool.table import Source

LFS_POINTER = b"version https://git-lfs"
"""How a file begins whose content is not in git's objects."""

LFS_MOST_BYTES = 1024
"""No pointer is larger."""

_LINK_MODE, _MODULE_MODE = b"120000", b"160000"


@dataclass(frozen=True, slots=True)
class Blob:
    """A file in a commit.

    Attributes:
        path: from the root of the repository.
        digest: git's name of the content, in hexadecimal.
        size: in bytes; None = the clone does not have it.
    """

    path: str
    digest: str
    size: int | None


def clone_line(source: Source, folder: Path) -> str:
    """Return the command that gets a clone."""
    branch = f" --branch {source.branch}" if source.branch else ""
    name = source.repository.replace("/", "+")
    return f"git clone --bare{branch} https://github.com/{source.repository} {folder / name}"


def find_clone(folder: Path, source: Source) -> Path | None:
    """Return the git directory of a source's clone below a folder; None = there is none.

    ``owner+name``, ``owner/name`` and ``name`` are tried, each also with ``.git`` at its end; each
    may be a clone with a work tree or a bare one.
    """
    owner, name = source.repository.split("/")
    for place in (f"{owner}+{name}", f"{owner}/{name}", name):
        for candidate in (folder / place, folder / f"{place}.git"):
            for git_dir in (candidate / ".git", candidate):
                if (git_dir / "HEAD").is_file() and (git_dir / "objects").is_dir():
                    return git_dir.resolve()
    return None


def require_commits(git_dir: Path, source: Source) -> None:
    """Check that a clone has the commits that the table names.

    Raises:
        DataError: it has not; says how to get them.
    """
    for commit in dict.fromkeys((source.commit, source.licence_commit or source.commit)):
        found = _git(git_dir, "cat-file", "-e", f"{commit}^{{commit}}")
        if found.returncode:
            raise DataError(
                f"{git_dir}: has no commit {commit} of {source.repository}; "
                f"git --git-dir {git_dir} fetch https://github.com/{source.repository} {commit} "
                "gets it"
            )


def list_blobs(git_dir: Path, commit: str) -> list[Blob]:
    """Return all files of a commit, without links and submodules, in git's order.

    Raises:
        DataError: the clone lacks a part of the commit's folders.
    """
    listed = _git(git_dir, "ls-tree", "-r", "-z", "--full-tree", commit)
    if listed.returncode:
        reason = listed.stderr.decode("utf-8", "replace").strip().splitlines()
        raise DataError(f"{git_dir}: commit {commit} cannot be listed: {' '.join(reason[:1])}")
    found = []
    for entry in filter(None, listed.stdout.split(b"\0")):
        head, path = entry.split(b"\t", 1)
        mode, _, digest = head.split()
        if mode not in (_LINK_MODE, _MODULE_MODE):
            found.append((path.decode("utf-8", "backslashreplace"), digest.decode()))
    sizes = _sizes(git_dir, [digest for _, digest in found])
    return [Blob(path, digest, sizes.get(digest)) for path, digest in found]


def _sizes(git_dir: Path, digests: Sequence[str]) -> dict[str, int]:
    """Return the sizes of the contents that a clone has."""
    asked = "".join(f"{digest}\n" for digest in digests).encode()
    told = _git(
        git_dir, "cat-file", "--batch-check=%(objectname) %(objecttype) %(objectsize)", asked
    )
    sizes = {}
    for line in told.stdout.splitlines():
        fields = line.split()
        if len(fields) == 3 and fields[1] == b"blob":
            sizes[fields[0].decode()] = int(fields[2])
    return sizes


class BlobReader:
    """Reads contents of one clone through one git process.

    Args:
        git_dir: of the clone.
    """

    def __init__(self, git_dir: Path) -> None:
        self.git_dir = git_dir
        self._process = _start(git_dir, "cat-file", "--batch", pipe=subprocess.PIPE)

    def read(self, digest: str) -> bytes | None:
        """Return the content of that name; None = the clone does not have it.

        Raises:
            DataError: git ended early.
        """
        ask, answer = _pipe(self._process.stdin), _pipe(self._process.stdout)
        try:
            ask.write(f"{digest}\n".encode())
            ask.flush()
            head = answer.readline().split()
            if len(head) == 2:
                return None
            content = answer.read(int(head[2]))
            answer.read(1)
        except (OSError, IndexError, ValueError):
            raise DataError(f"{self.git_dir}: git ended while it read {digest}") from None
        return content

    def close(self) -> None:
        """End git."""
        _pipe(self._process.stdin).close()
        self._process.wait()
        _pipe(self._process.stdout).close()


def read_blobs(git_dir: Path, digests: Sequence[str]) -> Iterator[bytes | None]:
    """Yield contents in turn."""
    reader = BlobReader(git_dir)
    try:
        for digest in digests:
            yield reader.read(digest)
    finally:
        reader.close()


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


def _git(git_dir: Path, *arguments: str | bytes) -> subprocess.CompletedProcess[bytes]:
    """Run git; bytes among the arguments are its input."""
    words = [word for word in arguments if isinstance(word, str)]
    given = b"".join(word for word in arguments if isinstance(word, bytes))
    process = _start(git_dir, *words, pipe=subprocess.PIPE, errors=subprocess.PIPE)
    out, err = process.communicate(given)
    return subprocess.CompletedProcess(words, process.returncode, out, err)


def _start(
    git_dir: Path, *words: str, pipe: int, errors: int = subprocess.DEVNULL
) -> "subprocess.Popen[bytes]":
    # Nothing of a repository that surrounds us, no network, and messages that do not vary.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment = {**kept, "LC_ALL": "C", "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0"}
    try:
        return subprocess.Popen(
            ["git", "--no-replace-objects", "--git-dir", str(git_dir), *words],
            stdin=pipe,
            stdout=pipe,
            stderr=errors,
            env=environment,
        )
    except OSError as error:
        raise DataError(f"git: {error.strerror}; build-pool reads clones with it") from None
