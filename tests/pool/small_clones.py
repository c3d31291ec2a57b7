"""Tiny git repositories of recordings, in the layouts that a table names, and their table."""

import io
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rawnet_jax.pool.table import GROUPS, Table, read_table

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

REAL, FAKE = "ann/real-speech", "bob/fakes"
LANGUAGES = ("en", "de", "ar", "nl", "en")

_RULE = """
  [[source.rule]]
  path = '^{folder}/(?P<s>[a-z0-9]+)_\\d+\\.(wav|flac|mp3)$'
  label = "{label}"
  {what}
  speaker = "{prefix}_{{s}}"
  language = "{language}"
  channel = "{channel}"
"""
_SKIP = """
  [[source.rule]]
  path = '^junk/'
  skip = "junk"
"""
_SOURCE = """
[[source]]
repository = "{repository}"
commit = "{commit}"
licence = "{licence}"
licence_file = "LICENSE"
attribution = "{repository} and friends"
files = {files}
"""
_HEAD = """
version = 1
seed = 5
max_file_bytes = 400000
per_speaker = 6

[families]
"""
_TAIL = """
[[left_out]]
speaker = 'vctk'
reason = "VCTK speaker"
"""


def speech(seed: int, seconds: float = 2.0, rate_hz: int = 16_000, gain: float = 0.1) -> bytes:
    """Return a WAV file of noise in syllables, with a pause at both ends."""
    rng = np.random.default_rng(seed)
    num = int(seconds * rate_hz)
    time_s = np.arange(num) / rate_hz
    loudness = 0.55 + 0.45 * np.sin(2 * np.pi * rng.uniform(3, 5) * time_s)
    loudness[: rate_hz // 5] = loudness[-rate_hz // 5 :] = 1e-3
    stream = io.BytesIO()
    wave = gain * loudness * rng.standard_normal(num)
    soundfile.write(stream, wave, rate_hz, format="WAV", subtype="PCM_16")
    return stream.getvalue()


def git(folder: Path, *words: str) -> str:
    """Run git in a folder; returns what it printed."""
    name = {"NAME": "t", "EMAIL": "t@t", "DATE": "2026-01-01T00:00:00+0000"}
    own = {
        f"GIT_{who}_{key}": value for who in ("AUTHOR", "COMMITTER") for key, value in name.items()
    }
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    done = subprocess.run(
        ["git", "-c", "init.defaultBranch=main", *words],
        cwd=folder,
        env={**kept, **own},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def commit(folder: Path, files: dict[str, bytes]) -> str:
    """Commit files in a repository, made if need be; returns the commit."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / ".git").exists():
        git(folder, "init", "-q")
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "recordings")
    return git(folder, "rev-parse", "HEAD")


def recordings(per_speaker: int = 2) -> dict[str, bytes]:
    """Return files of two speakers in each group, and what must not be taken."""
    files = {
        "LICENSE": b"Do what you like.\n",
        "junk/a_1.wav": speech(99),
        "notes.txt": b"no audio",
    }
    for number, group in enumerate(GROUPS):
        for speaker in range(2):
            for take in range(per_speaker):
                seed = 1000 * number + 10 * speaker + take
                files[f"{group}/s{number}{speaker}_{take}.wav"] = speech(seed)
    return files


def table_text(
    commits: dict[str, str], files: dict[str, int] | None = None, swapped: bool = False
) -> str:
    """Return a table of the two repositories; `swapped` calls real what is fake."""
    text = _HEAD + "".join(f'fam-{group} = "{group}"\n' for group in GROUPS) + _TAIL
    for repository, digest in commits.items():
        is_real = (repository == REAL) != swapped
        count = (files or {}).get(repository, 20)
        licence = "CC0-1.0" if repository == REAL else "MIT"
        text += _SOURCE.format(repository=repository, commit=digest, licence=licence, files=count)
        text += _SKIP
        for group, language in zip(GROUPS, LANGUAGES, strict=True):
            fake = f'system = "Sys-{group}"\n  family = "fam-{group}"'
            text += _RULE.format(
                folder=group,
                label="bonafide" if is_real else "spoof",
                what=f'group = "{group}"' if is_real else fake,
                prefix="real" if is_real else "fake",
                language=language,
                channel="studio" if group == "train" else f"{repository} {group}",
            )
    return text


def write_table(path: Path, commits: dict[str, str], **settings: object) -> Table:
    """Write a table and read it."""
    path.write_text(table_text(commits, **settings))  # type: ignore[arg-type]
    return read_table(path)


def write_clones(folder: Path) -> dict[str, str]:
    """Make both repositories, one with a work tree and one bare; returns their commits."""
    real = commit(folder / "ann+real-speech", recordings())
    shifted = {
        name: speech(70_000 + number, rate_hz=22_050) if name.endswith(".wav") else content
        for number, (name, content) in enumerate(recordings().items())
    }
    fake = commit(folder / "work" / "fakes", shifted)
    git(folder, "clone", "-q", "--bare", str(folder / "work" / "fakes"), str(folder / "bob/fakes"))
    shutil.rmtree(folder / "work")
    return {REAL: real, FAKE: fake}
