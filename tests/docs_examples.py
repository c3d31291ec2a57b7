"""Runs what the pages of docs/ tell a reader to type, so that no page can go stale."""

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rawnet_jax.cli.main import main
from tests.conftest import REPO

DOCS = REPO / "docs"
_FENCE = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<info>[^\n`]*)\n(?P<body>.*?)^ *(?P=fence) *$",
    re.DOTALL | re.MULTILINE,
)
_OURS = ["python", "-m", "rawnet_jax"]
_NEEDS_SHELL = re.compile(r"[|<>;&$`]|(?<!['\"/*\w.])[*?]")
_EXIT = re.compile(r"# exit (\d+)")
_PROMPT = "$ "
_CONTINUED = "> "


@dataclass(frozen=True)
class Typed:
    """One command of a ``console`` block, and what the page shows under it."""

    command: str
    output: str


def blocks(page: Path, language: str) -> list[str]:
    """Return the text of every fenced block of one language, in order.

    Args:
        page: a Markdown file.
        language: first word behind the fence, such as ``console``; what follows it is ignored, but
            a block with the word ``not-tested`` there is left out.
    """
    found = []
    for match in _FENCE.finditer(page.read_text(encoding="utf-8")):
        words = match["info"].split()
        if words[:1] == [language] and "not-tested" not in words:
            indent = len(match["indent"])
            lines = match["body"].splitlines()
            found.append("".join(f"{line[min(indent, len(line)) :]}\n" for line in lines))
    return found


def typed(block: str) -> list[Typed]:
    """Split a ``console`` block: ``$ `` begins a command, ``> `` or a backslash continues it."""
    found: list[tuple[list[str], list[str]]] = []
    for line in block.splitlines():
        if line.startswith(_PROMPT):
            found.append(([line.removeprefix(_PROMPT)], []))
            continue
        assert found, f"a console block begins with a prompt, not with {line!r}"
        command, output = found[-1]
        if not output and line.startswith(_CONTINUED):
            command.append(line.removeprefix(_CONTINUED))
        elif not output and command[-1].endswith("\\"):
            command.append(line)
        else:
            output.append(line)
    return [Typed("\n".join(command), "\n".join(output)) for command, output in found]


def run_shell(
    text: str,
    folder: Path,
    exit_codes: Sequence[int] = (0,),
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run shell commands in a folder as a reader would; ``python`` is the one that runs the tests.

    Args:
        text: what is typed: an ``sh`` block, or `Typed.command`.
        folder: where; put there first what the page says is there, such as ``runs/x``.
        exit_codes: with which the commands may end.
        environment: added to that of the tests.
    """
    python = f'python() {{ {shlex.quote(sys.executable)} "$@"; }}\n'
    paths = [str(REPO), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", python + text],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "RAWNET_JAX_HUGE_PAGES": "0",
            **(environment or {}),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in exit_codes, (
        f"{text}\nended with {done.returncode}, not {exit_codes}:\n{done.stdout}\n{done.stderr}"
    )
    return done


def run_command(
    text: str, folder: Path, exit_codes: Sequence[int] = (0,)
) -> subprocess.CompletedProcess[str]:
    """Do as `run_shell`, but a lone ``python -m rawnet_jax …`` in this process: no JAX to start.

    Args:
        text: one command.
        folder: the working directory meanwhile.
        exit_codes: with which the command may end.
    """
    words = shlex.split(text.replace("\\\n", " "), comments=True)
    if words[: len(_OURS)] != _OURS or _NEEDS_SHELL.search(text):
        return run_shell(text, folder, exit_codes)
    out, err, before = io.StringIO(), io.StringIO(), Path.cwd()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(words[len(_OURS) :])
    finally:
        os.chdir(before)
    assert status in exit_codes, f"{text}\nended with {status}:\n{out.getvalue()}{err.getvalue()}"
    return subprocess.CompletedProcess(words, status, out.getvalue(), err.getvalue())


def run_console(block: str, folder: Path) -> list[tuple[Typed, subprocess.CompletedProcess[str]]]:
    """Run every command of a ``console`` block; each must succeed, or end as ``# exit N`` says."""
    found = []
    for one in typed(block):
        said = _EXIT.search(one.command)
        found.append((one, run_command(one.command, folder, (int(said[1]) if said else 0,))))
    return found


def run_python(page: Path, folder: Path, names: dict | None = None) -> dict:
    """Run the ``python`` blocks of a page one after the other, in one namespace, in a folder.

    Args:
        page: a Markdown file.
        folder: the working directory meanwhile.
        names: what the page takes as given.

    Returns:
        The namespace after the last block.
    """
    space = {"__name__": "docs_example", **(names or {})}
    before = Path.cwd()
    os.chdir(folder)
    try:
        for number, block in enumerate(blocks(page, "python")):
            exec(compile(block, f"{page.name}, python block {number}", "exec"), space)
    finally:
        os.chdir(before)
    return space
