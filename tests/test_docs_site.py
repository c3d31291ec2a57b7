"""The docs site builds, and what is said twice about the project agrees."""

import re
import subprocess
import sys

import pytest

import rawnet_jax
from tests.conftest import REPO
from tests.docs_examples import DOCS, blocks, run_console, run_python


def build(folder, *more):
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(folder), *more]
    return subprocess.run(
        command, cwd=REPO, capture_output=True, text=True, check=False,
        env={"PATH": "", "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip


def test_the_site_builds_without_warnings_and_asks_nobody(tmp_path):
    pytest.importorskip("material", reason="MkDocs Material is not installed (extra: docs)")
    done = build(tmp_path / "site")
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > len(list(DOCS.glob("*.md")))
    loaded = re.compile(
        r"<(?:script|img|iframe)[^>]+src=\"https?:|<link[^>]+stylesheet[^>]+https?:"
    )
    assert not [page.name for page in pages if loaded.search(page.read_text("utf-8"))]


def test_version_and_date_are_the_same_everywhere():
    cited = (REPO / "CITATION.cff").read_text("utf-8")
    version = re.search(r"^version: (.+)$", cited, re.M)
    date = re.search(r"^date-released: (.+)$", cited, re.M)
    newest = re.search(r"^## \[(\d.*)\] - (.+)$", (REPO / "CHANGELOG.md").read_text("utf-8"), re.M)
    assert version is not None
    assert date is not None
    assert newest is not None
    assert version[1] == newest[1] == rawnet_jax.__version__
    assert date[1] == newest[2]


@pytest.mark.slow
def test_the_tutorial(tmp_path):
    for name in ("configs", "train.py", "evaluate.py"):
        (tmp_path / name).symlink_to(REPO / name)
    page = DOCS / "tutorial.md"
    done = [one for block in blocks(page, "console") for one in run_console(block, tmp_path)]
    assert len(done) == 7
    assert "cannot judge" in done[1][1].stdout
    assert (tmp_path / "runs" / "first" / "eval" / "report.html").is_file()
    run_python(page, tmp_path)
