"""Settings of the experiment, config files and flags of commands."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fuzzing.case import Attempt, Rng
from fuzzing.material import Material, config_text
from fuzzing.mutate_text import NUMBERS, WORDS, damaged_lines

_LONGER = ("config.train.num_epochs", "config.train.num_seeds")  # a large one is an honest wish
_STRANGE = (
    *("", "None", "True", "x", "()", "(1,)", "(0, 0)", "(-1, 2)", "[1]", "('a',)", "{}", "1,2"),
    *("(1e9, 1e9)", "((1,),)", "'", '"', "1e5", "é", "\x1b[31m", "/", "..", "a" * 5000, "9" * 5000),
)


def _fields(value: Any, name: str = "config") -> Iterator[tuple[str, Any]]:
    """Yield dotted names of all settings, and their values."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _fields(inner, f"{name}.{key}")
    else:
        yield name, value


def _all_fields(material: Material) -> list[tuple[str, Any]]:
    from rawnet_jax.config_file import read_config, to_dict

    return list(_fields(to_dict(read_config(material.run))))


def _strange(rng: Rng, value: Any) -> str:
    """Return a strange value for a setting."""
    way = rng.random()
    if way < 0.5:
        number = NUMBERS[rng.integers(len(NUMBERS))]
        if isinstance(value, int) and rng.random() < 0.5:
            number = int(value) + int(rng.choice([-1000, -2, -1, 1, 2, 1000]))
        return str(number)
    if way < 0.6 and isinstance(value, list | tuple):
        return repr(tuple(NUMBERS[i] for i in rng.integers(0, len(NUMBERS), len(value) or 1)))
    words = _STRANGE if way < 0.85 else WORDS
    return str(words[rng.integers(len(words))])


def _override(rng: Rng, fields: list[tuple[str, Any]]) -> str:
    name, value = fields[rng.integers(len(fields))]
    if rng.random() < 0.05:
        name = name[: int(rng.integers(1, len(name)))] + str(rng.choice(["", ".", "x", "..", "é"]))
    return f"--{name}={_strange(rng, value)}"


def overrides(rng: Rng, material: Material, folder: Path) -> Attempt:
    """Override one or two settings of a training, a scoring or a check."""
    way = rng.random()
    fields = _all_fields(material)
    if way > 0.75:
        fields = [one for one in fields if one[0].split(".")[1] in ("data", "eval", "gate")]
    chosen = [_override(rng, fields) for _ in range(1 if rng.random() < 0.7 else 2)]
    chosen = [word.replace("\0", "") for word in chosen]
    said = " ".join(word[:60] for word in chosen)
    if way < 0.35:
        words = ["train", f"--config={material.config}", "--print-config", *chosen]
    elif way < 0.55:
        if any(word.startswith(f"--{name}=") for word in chosen for name in _LONGER):
            chosen.append("--print-config")
        where = [] if "--print-config" in chosen else ["--workdir", "written/run"]
        words = ["train", f"--config={material.config}", *where, *chosen, "--no-progress"]
        words.insert(2, f"--config.data.cache_dir={folder / 'cache'}")
    elif way < 0.75:
        words = ["check", f"--config={material.config}", *chosen, "--no-progress"]
    else:
        name = ("score", "stream")[rng.integers(2)]
        words = [name, "--workdir", str(material.run), str(material.clips[0]), *chosen]
        words += ["--no-progress"] if name == "score" else []
    return Attempt(words, said, most_errors=1)


def config_file(rng: Rng, material: Material, folder: Path) -> Attempt:
    """Check with a config file that was damaged as text."""
    path = folder / "config.py"
    content, said = damaged_lines(config_text(material.corpus, folder / "cache").encode(), rng)
    path.write_bytes(content)
    name = str(path)
    if rng.random() < 0.05:
        name, said = str(rng.choice(["x" * 300, "..", "", "/dev/null", "a\x1bb"])), "name"
    last = ["--no-progress"] if rng.random() < 0.5 else ["--print-config"]
    words = ["train" if last == ["--print-config"] else "check", f"--config={name}", *last]
    return Attempt(words, said, statuses=(0, 1, 2))


def _commands(material: Material) -> dict[str, tuple[list[str], tuple[str, ...], float]]:
    """Return commands: their words, flags that may be strange, and how often each is drawn."""
    run, clip = str(material.run), str(material.clips[0])
    scores, dev = (str(material.run / "eval" / name) for name in ("scores.txt", "dev_scores.txt"))
    of_evaluate = "--p-spoof --c-miss --c-fa --replicates --level --threshold-rule --where --by"
    of_score = "--checkpoint --seed --output --format --names --plot --list --num-workers"
    rows = {
        "score": (f"--workdir {run} {clip} --no-progress", of_score, 0.35),
        "stream": (f"--workdir {run} {clip}", "--checkpoint --hop --rate --format", 0.2),
        "evaluate": (
            f"--scores {scores} --output written --no-progress",
            f"{of_evaluate} --names --corpus --calibration",
            0.25,
        ),
        "fuse": (
            f"--dev {dev} {dev} --output written",
            "--p-bonafide --kind --names --fusion",
            0.1,
        ),
        "export": (
            f"--workdir {run} --output written/x.onnx --format onnx",
            "--num-samples --threshold --checkpoint",
            0.05,
        ),
        "demo-corpus": (
            "--output written/c --no-progress --num-workers 1 --num-clips 20",
            "--num-clips --seed --output",
            0.05,
        ),
    }
    return {k: (words.split(), tuple(names.split()), p) for k, (words, names, p) in rows.items()}


def flags(rng: Rng, material: Material, _folder: Path) -> Attempt:
    """Give a command a strange flag."""
    commands = _commands(material)
    name = list(commands)[rng.choice(len(commands), p=[row[2] for row in commands.values()])]
    words, names, _ = commands[name]
    flag = names[rng.integers(len(names))]
    value = _strange(rng, 0).replace("\0", "")
    if name == "demo-corpus" and value.isdigit():
        value = f"-{value}"  # a large corpus is an honest wish
    if flag == "--replicates" and value.isdigit():
        value = "0"
    return Attempt([name, *words, f"{flag}={value}"], f"{name} {flag}={value[:60]}")
