"""Phrases that readers stumbled over stay away."""

import re

import pytest

from tests.conftest import REPO

BETTER = {
    r"\b(was|were) wanted\b": "must be",
    r"\bgo(es|ne)? on with(out)?\b": "resumes; continues without",
    r"\bturned round\b": "reversed, transposed",
    r"\b(has|have) a say\b": "counts",
    r"\bhangs on\b": "depends on",
    r"\ball the same: |\bscored all the same\b": "anyway, still",
    r"\ba (line|row|entry) a (file|window|clip|record|kind|condition)\b": "one line per file",
    r"\bwas asked for\b": "the settings",
    r"(?<!there )(?<!There )\bis no (text|file|folder|copy|part|audio|number)\b": "is not a",
    r"(?<!there )(?<!There )\bare no (text|files|audio|samples|pieces|trials|speech)\b": "are not",
    r"\banew\b": "again",
    r"\bfor want of\b": "for lack of, because … is missing",
}
FOLDERS = ("rawnet_jax", "docs", "configs", "benchmarks", "fuzzing")
FILES = [
    *(path for folder in FOLDERS for path in sorted((REPO / folder).rglob("*.py"))),
    *sorted((REPO / "docs").rglob("*.md")),
    *sorted(REPO.glob("*.md")),
]


@pytest.mark.parametrize("phrase", BETTER)
def test_no_phrase_comes_back(phrase):
    pattern = re.compile(phrase)
    found = [
        f"{path.relative_to(REPO)}:{number}: {line.strip()[:80]}"
        for path in FILES
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found, f"better: {BETTER[phrase]}\n" + "\n".join(found)
