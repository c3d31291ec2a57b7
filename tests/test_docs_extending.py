"""docs/extending.md, typed as it stands into a copy of the package."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPO
from tests.docs_examples import DOCS, blocks

PAGE = DOCS / "extending.md"
# First line of a block: which file it goes to, and where; nothing = a new file.
PLACE = re.compile(r"(?:# |<!-- )(?P<file>[\w./]+)(?:, (?P<place>.+?))?(?: -->)?")


def section(name: str, folder: Path) -> Path:
    """Return a page that holds one section alone."""
    text = PAGE.read_text("utf-8").split(f"## Adding a {name}\n")[1].split("\n## ")[0]
    path = folder / "section.md"
    path.write_text(text, "utf-8")
    return path


def line_of(source: str, place: str) -> int:
    """Return before which line, from 0, a block goes."""
    lines, (word, *rest) = source.splitlines(), place.split()
    if word == "below":  # a row of a table
        (row,) = (i for i, line in enumerate(lines) if line.startswith(f"| {rest[0]} "))
        return row + 1
    body = ast.parse(source).body
    if place == "at the end":
        return len(lines)
    if place == "with the imports":
        imports = (node for node in body if isinstance(node, ast.Import | ast.ImportFrom))
        return max(node.end_lineno or 0 for node in imports)
    (found,) = (
        node
        for node in body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target) == rest[0]
    )
    return found.lineno - 1 if word == "before" else (found.end_lineno or 0) - 1


def put(block: str, root: Path) -> None:
    """Put one block where its first line says."""
    first, body = block.split("\n", 1)
    said = PLACE.fullmatch(first)
    assert said is not None, first
    path = root / said["file"]
    if said["place"] is None:
        assert not path.exists()
        path.write_text(body, "utf-8")
        return
    source = path.read_text("utf-8")
    lines, at = source.splitlines(keepends=True), line_of(source, said["place"])
    path.write_text("".join([*lines[:at], body, *lines[at:]]), "utf-8")


def copied(root: Path) -> None:
    """Copy what a change of the package touches; what is imported stays compiled."""
    for name in ("rawnet_jax", "tests", "docs"):
        shutil.copytree(REPO / name, root / name, ignore=shutil.ignore_patterns("built", "images"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy2(REPO / name, root / name)


@pytest.mark.slow  # a process with JAX of its own
@pytest.mark.parametrize("name", ["model", "corpus", "metric"])
def test_typed_as_it_stands(name, tmp_path):
    page, root = section(name, tmp_path), tmp_path / "copy"
    copied(root)
    typed = [*blocks(page, "python"), *blocks(page, "markdown")]
    assert len(typed) >= 4
    for block in typed:
        put(block, root)
    (command,) = blocks(page, "sh")
    python = f'python() {{ "{sys.executable}" "$@"; }}\n'
    done = subprocess.run(
        ["bash", "-e", "-c", python + command.replace("pytest ", "pytest -q -p no:cacheprovider ")],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^[1-9]\d* passed", done.stdout.splitlines()[-1]), done.stdout


def test_it_has_nothing_that_the_package_has():
    """The examples of the page must be new, or the blocks would prove nothing."""
    for name in ("frame_filters", "town_hall", "d_prime"):
        assert not any(
            name in path.read_text("utf-8") for path in (REPO / "rawnet_jax").rglob("*.py")
        )
