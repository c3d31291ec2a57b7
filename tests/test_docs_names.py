"""What pages import exists."""

import importlib
import re

import pytest

from tests.conftest import REPO
from tests.docs_examples import DOCS

IMPORT = re.compile(r"^from (rawnet_jax[\w.]*) import (?:\(([^)]*)\)|(.+))$", re.M)
# What this page imports it writes first; tests/test_docs_extending.py does so.
WRITES = DOCS / "extending.md"
PAGES = [*sorted({*DOCS.glob("*.md")} - {WRITES}), REPO / "README.md"]


def imported(text):
    for module, several, line in IMPORT.findall(text):
        names = re.sub(r"#.*", "", several or line).split(",")
        yield from ((module, name.split(" as ")[0].strip()) for name in names if name.strip())


FOUND = [(page.name, *pair) for page in PAGES for pair in imported(page.read_text("utf-8"))]


@pytest.mark.parametrize(("page", "module", "name"), FOUND)
def test_what_a_page_imports_exists(page, module, name):
    assert hasattr(importlib.import_module(module), name), f"docs: {page}"


def test_imports_are_found():
    assert len(FOUND) > 20
    one = "from rawnet_jax.a import b, c as d  # why\n"
    text = one + "from rawnet_jax.e import (\n    f,\n    g,\n)\n"
    pairs = [("rawnet_jax.a", "b"), ("rawnet_jax.a", "c")]
    assert list(imported(text)) == [*pairs, ("rawnet_jax.e", "f"), ("rawnet_jax.e", "g")]
