"""The house's rules, held against the imports and the size of the code."""

import ast
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from rawnet_jax.cli.main import COMMANDS

PACKAGE = Path(__file__).resolve().parent.parent / "rawnet_jax"

# Lowest layer first. A room is a folder of the package, or a module beside them. It imports from
# rooms of lower layers only. docs/architecture.md draws the same picture.
LAYERS = (
    (
        *("errors", "labels", "contract", "export_formats", "progress", "terminal", "csv_text"),
        *("huge_pages", "digest", "json_text", "regular_file", "checkpoint_names", "poolings"),
    ),
    ("config", "mesh", "atomic_file", "variable_check", "flat_weights", "nn", "dsp"),
    ("encoders", "storage"),
    (
        "checkpoint",
        "runtime",
        "peers",
        "fitted_file",
        "config_check",
        "losses",
        "augment",
        "models",
    ),
    ("config_file", "interop", "metrics", "vocoders"),
    ("data", "copy_synthesis", "text_to_speech", "presets"),
    ("simulate", "evaluation", "scoring"),
    ("training", "robustness", "pool", "probe", "speaker"),
    ("run", "search"),
    ("explain", "export", "scale", "web"),
    ("reports",),
    ("result", "jobs"),
    ("detector",),
    ("arena", "serve"),
    ("cli",),
    ("__main__",),
)
# These start fast and work without an accelerator stack. What is imported inside a function counts
# only when the function is called.
WITHOUT_JAX = (
    *("errors", "labels", "contract", "export_formats", "progress", "terminal", "csv_text"),
    *("regular_file", "checkpoint_names", "poolings", "presets.files", "presets.catalog"),
    *("config", "config_check", "encoders.config", "encoders.catalog", "encoders.names"),
    *("encoders.wav2vec2_names", "encoders.whisper_names"),
    "encoders.hugging_face",
    *("config_file", "atomic_file", "fitted_file", "metrics", "data", "simulate", "evaluation"),
    "copy_synthesis",
    "text_to_speech",
    *(
        "robustness",
        "pool",
        "scale",
        "storage",
        "probe.fits",
        "reports",
        "result",
        "detector",
        "serve",
        "export.onnx_model_file",
        "web",
    ),
    *("scoring.gate", "scoring.windows", "scoring.clips", "scoring.verdict"),
    *(
        "cli",
        "jobs.build_pool",
        "jobs.chosen_run",
        "jobs.console",
        "jobs.evaluate_scores",
        "jobs.evaluate_sasv",
        "jobs.fuse",
        "jobs.manifest",
        "jobs.measuring",
        "jobs.options",
    ),
    *("jobs.processes", "jobs.robustness_table", "jobs.score", "jobs.seeds", "jobs.stream"),
    *(
        "jobs.vocode",
        "jobs.synthesise",
        "jobs.speaker_encoder",
        "jobs.enrol",
        "jobs.verify",
        "jobs.verify_trials",
    ),
    *("speaker.pairs", "speaker.template", "speaker.sealing", "speaker.network"),
    *("speaker.onnx_network", "speaker.spoof_check", "speaker.verification", "jobs.voices"),
    *("scoring.file_windows", "scoring.file_scorer", "scoring.recordings", "scoring.score_"),
)
JAX = {"jax", "jaxlib", "flax", "optax", "orbax", "chex"}
MAX_LINES = 400

FILES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    return "" if name == "__init__" else name.removesuffix(".__init__")


MODULES = {name_of(path): path for path in FILES}


def statements(tree: ast.AST, *, with_functions: bool) -> Iterator[ast.AST]:
    """Yield every node; those in bodies of functions and under TYPE_CHECKING only if asked for."""
    for node in ast.iter_child_nodes(tree):
        if not with_functions:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                continue
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                continue
        yield node
        yield from statements(node, with_functions=with_functions)


@functools.cache
def imports_of(name: str, *, with_functions: bool = True) -> tuple[str, ...]:
    """Return full names of what a module imports: modules of ours, and names of other packages."""
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    found: set[str] = set()
    for node in statements(tree, with_functions=with_functions):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert not node.level, f"{name}: relative imports hide where a name is from"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found.add(full if full.removeprefix("rawnet_jax.") in MODULES else node.module)
    return tuple(sorted(found))


def ours(name: str, *, with_functions: bool = True) -> list[str]:
    """Return the modules of the package that a module imports."""
    imports = imports_of(name, with_functions=with_functions)
    inside = (i.removeprefix("rawnet_jax.") for i in imports if i.startswith("rawnet_jax."))
    return [module for module in inside if module in MODULES]


def room_of(name: str) -> str:
    return name.partition(".")[0]


def layer_of(room: str) -> int:
    found = [number for number, rooms in enumerate(LAYERS) if room in rooms]
    assert len(found) == 1, f"{room} must be in LAYERS once"
    return found[0]


def breaches(name: str, imported: list[str]) -> list[str]:
    here = room_of(name)
    return [
        f"{name} (layer {layer_of(here)}) imports {other} (layer {layer_of(room_of(other))})"
        for other in imported
        if room_of(other) != here and layer_of(room_of(other)) >= layer_of(here)
    ]


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the strongly connected parts of more than one node, or of one that is its own."""

    @functools.cache
    def reached(start: str) -> frozenset[str]:
        found: set[str] = set()
        todo = list(graph[start])
        while todo:
            node = todo.pop()
            if node not in found:
                found.add(node)
                todo += graph[node]
        return frozenset(found)

    parts = {
        tuple(sorted(other for other in reached(node) if node in reached(other)))
        for node in graph
        if node in reached(node)
    }
    return sorted(list(part) for part in parts)


def room_graph() -> dict[str, set[str]]:
    graph: dict[str, set[str]] = {room_of(name): set() for name in MODULES if name}
    for name in MODULES:
        if name:
            graph[room_of(name)] |= {room_of(i) for i in ours(name)} - {room_of(name)}
    return graph


@functools.cache
def loads(name: str) -> frozenset[str]:
    """Return all that importing a module imports, through the modules of the package."""
    found: set[str] = set()
    todo = [name]
    while todo:
        module = todo.pop()
        for imported in imports_of(module, with_functions=False):
            inner = imported.removeprefix("rawnet_jax.")
            if imported not in found:
                found.add(imported)
                if inner in MODULES and inner != imported:
                    todo.append(inner)
    return frozenset(found)


def test_imports_point_downwards():
    assert not [breach for name in MODULES if name for breach in breaches(name, ours(name))]


def test_no_circle_between_modules():
    assert circles({name: set(ours(name)) for name in MODULES}) == []


def test_no_circle_between_rooms():
    assert circles(room_graph()) == []


def test_breaches_and_circles_are_seen():
    assert breaches("losses", ["training.loop"])
    assert breaches("metrics.det", ["data.loader"])
    assert not breaches("training.loop", ["training.step", "losses"])
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}, "e": {"e"}}
    assert circles(graph) == [["a", "b", "c"], ["e"]]


def test_files_are_short_and_without_star_imports():
    texts = {name_of(path): path.read_text(encoding="utf-8") for path in FILES}
    assert not {name for name, text in texts.items() if len(text.splitlines()) > MAX_LINES}
    assert not {name for name, text in texts.items() if "import *" in text}


def test_packages_hold_no_logic():
    packages = [path for path in FILES if path.name == "__init__.py" and path.parent != PACKAGE]
    for path in packages:
        body = ast.parse(path.read_text(encoding="utf-8")).body
        assert all(isinstance(node, ast.Expr) for node in body), name_of(path)


def test_importing_them_imports_no_jax():
    names = [name for name in MODULES if name.startswith(WITHOUT_JAX)]
    assert len(names) > 100
    for name in names:
        found = sorted(i for i in loads(name) if i.partition(".")[0] in JAX)
        through = [module for module in loads(name) if module.startswith("rawnet_jax")]
        assert not found, f"{name} imports {found} through {through}"


def test_no_module_called_utils():
    assert not [path for path in FILES if "util" in path.stem]


def test_only_commands_see_parsed_flags():
    """A command turns flags into its options; what does the work takes those."""
    reading = {name_of(path) for path in FILES if "Namespace" in path.read_text(encoding="utf-8")}
    assert not {name for name in reading if not name.startswith("cli.")}


def test_a_command_is_one_file():
    files = {name.removeprefix("cli.") for name in MODULES if name.startswith("cli.")}
    commands = {name.replace("-", "_") for name in COMMANDS}
    assert files == commands | {"main", "flags", "words", "search_worker"}


def calls(path: Path) -> set[str]:
    """Return the names that a file calls as functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {func.id for func in found if isinstance(func, ast.Name)}


@pytest.mark.parametrize(("function", "module"), [("print", "terminal"), ("tqdm", "progress")])
def test_text_and_bars_have_one_way_out(function, module):
    assert {name_of(path) for path in FILES if function in calls(path)} == {module}
