"""The house's rules, held against the imports and the size of the code."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "rawnet_jax"

# Lowest layer first. A module imports from layers below its own, or from its own folder.
# The longest matching prefix counts; docs/architecture.md draws the same picture.
LAYERS = {
    "errors": 0,
    "labels": 0,
    "contract": 0,
    "atomic_file": 1,
    "progress": 1,
    "huge_pages": 1,
    "dsp": 1,
    "config": 1,
    "config_check": 2,
    "mesh": 2,
    "runtime": 2,
    "losses": 2,
    "metrics": 2,
    "augment": 2,
    "data": 3,
    "config_file": 3,
    "peers": 3,
    "data.partitions": 4,
    "models": 4,
    "evaluation": 4,
    "robustness": 5,
    "training.state": 5,
    "interop": 6,
    "checkpoint": 6,
    "training": 8,
    "scoring": 7,
    "explain": 8,
    "export": 8,
    "search": 9,
    "commands": 10,
    "cli": 11,
    "__main__": 12,
}
WITHOUT_JAX = (
    *("errors", "labels", "config", "data", "metrics", "evaluation", "robustness"),
    *("scoring.gate", "scoring.windows", "scoring.judged", "scoring.verdict"),
    *("scoring.file_windows", "scoring.file_scorer", "scoring.score_"),
)
MAX_LINES = 400

MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def layer_of(name: str) -> int:
    matching = [key for key in LAYERS if name == key or name.startswith(key + ".")]
    assert matching, f"{name} has no row in LAYERS"
    return LAYERS[max(matching, key=len)]


def imports_of(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module]
            if (
                node.module.startswith("rawnet_jax")
                and (PACKAGE.parent / node.module.replace(".", "/")).is_dir()
            ):
                found += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
    return found


def breaches(name: str, imports: list[str]) -> list[str]:
    folder = name.rpartition(".")[0]
    wrong = []
    for imported in imports:
        target = imported.removeprefix("rawnet_jax.")
        if target == imported or (PACKAGE / target.replace(".", "/")).is_dir():
            continue
        sibling = folder and target.rpartition(".")[0] == folder
        if not sibling and layer_of(target) >= layer_of(name):
            wrong.append(f"{name} (layer {layer_of(name)}) imports {target} ({layer_of(target)})")
    return wrong


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_downwards(path):
    assert not breaches(name_of(path), imports_of(path)) if name_of(path) else True


def test_a_breach_is_seen():
    assert breaches("losses", ["rawnet_jax.training.loop"])
    assert breaches("metrics.det", ["rawnet_jax.models.conv1d"])
    assert not breaches("training.loop", ["rawnet_jax.training.step", "rawnet_jax.losses"])


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_file_is_short_and_without_star_imports(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_LINES
    assert "import *" not in text
    if path.name == "__init__.py":
        assert all(isinstance(node, ast.Expr) for node in ast.parse(text).body)


@pytest.mark.parametrize(
    "path", [p for p in MODULES if name_of(p).startswith(WITHOUT_JAX)], ids=name_of
)
def test_data_and_figures_need_no_jax(path):
    assert not [i for i in imports_of(path) if i.split(".")[0] in ("jax", "flax", "optax")]


def test_no_module_called_utils():
    assert not [path for path in MODULES if "util" in path.stem]
