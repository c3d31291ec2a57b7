"""The fuzzer sees what is broken: commands that break each promise on purpose."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from fuzzing.case import Attempt, Outcome, case_of
from fuzzing.containers import Mutant
from fuzzing.hearing import not_heard
from fuzzing.oracles import failures_of
from tests.conftest import REPO

# Runs in a process of its own: what forks must have one thread.
SCRIPT = """
import json, os, signal, sys, time
from pathlib import Path
from fuzzing import oracles, pool
from fuzzing.case import Attempt, Case
from fuzzing.kinds import registry
from fuzzing.material import Material
from fuzzing.pool import Pool

folder = Path(sys.argv[1])
(folder / "material").mkdir()
held = []

def crash(): raise KeyError("here")
def wait(): time.sleep(60)
def work():
    while True: pass
def die(): os.kill(os.getpid(), signal.SIGSEGV)
def grow(): held.append(b"a" * (150 * 2**20)); held.clear(); return 0
def touch(): (folder / "material" / "foreign").touch(); return 0
def leave():
    if held: raise KeyError("of the one before")
    held.append(1); return 0
def fine(): return 0

WAYS = [fine, crash, wait, work, die, grow, touch, fine]

def make(rng, material, place, ways):
    return Attempt([], "", call=ways[int(place.name.rpartition("-")[2])])

pool.HANG_S, pool._WAITS_CPU_S = 1.0, 0.5
pool.GROWTH_MB = oracles.GROWTH_MB = 100
registry.KINDS["broken"] = registry.Kind(lambda *a: make(*a, WAYS), 1)
registry.KINDS["leave"] = registry.Kind(lambda *a: make(*a, [leave, leave]), 1)
made = Pool(Material(folder / "material"), folder / "work", folder / "kept", 2)
cases = [Case("broken", n) for n in range(len(WAYS))] + [Case("leave", n) for n in range(2)]
found = {str(one.case): [fail.kind for fail in one.failures] for one in made.run(cases)}
print(json.dumps([found, sorted(os.listdir(folder / "kept"))]))
"""


@pytest.mark.slow
def test_what_a_case_may_not_do_is_seen_and_the_others_run_on(tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    made = subprocess.run(
        command, cwd=REPO, env=environment, capture_output=True, text=True, check=False
    )
    found, kept = json.loads(made.stdout.splitlines()[-1])
    assert found.pop("leave:1") == ["only after others: traceback"]
    wanted = {0: [], 1: ["traceback"], 2: ["hang"], 3: ["hang"], 4: ["death"], 5: ["growth"]}
    wanted |= {6: ["touched a foreign file"], 7: []}
    assert found == {f"broken:{n}": kinds for n, kinds in wanted.items()} | {"leave:0": []}
    assert kept == [*(f"broken-{n}" for n in range(1, 7)), "leave-1"]


FINE: dict[str, Any] = {
    "status": 0,
    "out": b"bonafide +1.0  a.wav\n",
    "err": b"1 scored: 1 bona fide, 0 spoof\n",
}


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({}, None),
        ({"status": 2, "err": b"error: a.wav: no\n"}, None),
        ({"status": 4}, "exit status"),
        ({"status": 2, "err": b""}, "no error line"),
        ({"err": b"Traceback (most recent call last):\n  File x\n"}, "traceback"),
        ({"err": b"error: a\nerror: b\n"}, "more error lines than may be"),
        ({"err": b"x.py:3: RuntimeWarning: overflow\n"}, "a line of Python's"),
        ({"err": b"[mpg123] giving up\n"}, "stray line"),
        ({"err": b"error: " + b"a" * 2000}, "long line"),
        ({"err": b"error: \x1b[31m\n"}, "control character"),
        ({"out": "\u202egpj.wav\n".encode()}, "control character"),
        ({"grown_mb": 1100.0}, "growth"),
    ],
)
def test_what_is_said_is_held_to_the_promises(change, kind, tmp_path):
    found = failures_of(Attempt(["score"], ""), Outcome(**(FINE | change)), tmp_path)
    assert kind == (found[0].kind if found else None)


def test_files_that_do_not_parse_are_seen(tmp_path):
    written = tmp_path / "written"
    written.mkdir()
    (written / "a.json").write_text('{"a": 1}')
    (written / "a.jsonl").write_text('{"a": 1}\n{"a"')  # the last line is not ended yet
    (written / "a.csv").write_text("a,b\n1,2\n")
    assert not failures_of(Attempt([], ""), Outcome(**FINE), tmp_path)
    (written / "a.json").write_text('{"a": 1')
    (written / "a.csv").write_text("a,b\n1\n")
    (written / ".a.json.7.tmp").touch()
    found = failures_of(Attempt([], ""), Outcome(**FINE), tmp_path)
    assert [one.kind for one in found] == ["half-written"] * 3


@pytest.mark.parametrize(
    ("claimed_s", "noted", "is_wrong"),
    [(4.0, False, False), (2.0, False, True), (2.0, True, False), (5.0, True, True), (None, 0, 1)],
)
def test_a_verdict_on_less_than_was_there_is_seen(claimed_s, noted, is_wrong, tmp_path):
    mutant = Mutant(b"", "two of 2 s", 4.0, 0.01)
    assert bool(list(not_heard(mutant, tmp_path, claimed_s, bool(noted)))) == bool(is_wrong)


def test_a_case_is_drawn_the_same_again():
    first, second = (case_of("audio:7").rng.integers(0, 2**60, 4) for _ in range(2))
    assert (first == second).all()
    assert (case_of("audio:8").rng.integers(0, 2**60, 4) != first).all()
    assert (case_of("stream:7").rng.integers(0, 2**60, 4) != first).all()
