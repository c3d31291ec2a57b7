"""``build-pool`` as it is typed."""

import pytest

from rawnet_jax.cli.main import main
from tests.pool.small_clones import FAKE, REAL, needs_git, write_clones, write_table

pytestmark = needs_git


@pytest.fixture(scope="module")
def clones(tmp_path_factory):
    root = tmp_path_factory.mktemp("command")
    write_table(root / "t.toml", write_clones(root / "clones"))
    return root


def typed(root, *words):
    own = ("--clones", str(root / "clones"), "--table", str(root / "t.toml"), "--no-progress")
    return main(["build-pool", *own, *words])


def test_dry_run_counts_and_writes_nothing(clones, capsys):
    assert typed(clones, "--dry-run") == 0
    out = capsys.readouterr().out
    assert f"{REAL}: found at" in out
    for row in (
        "bonafide CC0-1.0 20 40",
        "spoof MIT 20 40",
        "spoof fam-fold2 4 8",
        "bonafide de 4 8",
        "spoof dev 4 8",
    ):
        assert row in [" ".join(line.split()) for line in out.splitlines()]
    assert f"{FAKE}: left out 1: junk" in out
    assert sorted(path.name for path in clones.iterdir()) == ["clones", "t.toml"]


def test_build_then_report(clones, capsys, tmp_path):
    assert typed(clones, "--output", str(tmp_path / "pool"), "--num-workers", "1") == 0
    out = capsys.readouterr().out
    assert "20 bonafide + 20 spoof, digest " in out
    assert main(["build-pool", "--report", str(tmp_path / "pool")]) == 0
    assert "level_dbfs" in capsys.readouterr().out
    assert typed(clones, "--output", str(tmp_path / "pool")) == 0
    assert "there already, nothing to do" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--clones must name a folder of clones"),
        (["--clones", "x"], "--output must name the folder to write"),
        (["--report", "x", "--dry-run"], "--report takes a pool that is there"),
        (["--clones", "x", "--dry-run"], "--clones x: is not a folder"),
        (["--clones", "x", "--dry-run", "--num-workers", "-1"], "--num-workers -1"),
        (["--clones", "x", "--dry-run", "--table", "none.toml"], "none.toml: cannot be read"),
        (["--report", "x"], "x/manifest.csv: cannot be read"),
    ],
)
def test_what_does_not_fit_is_one_line(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["build-pool", *words]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert len(told.splitlines()) == 1


def test_without_git_there_is_one_line(clones, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert typed(clones, "--dry-run") == 2
    assert "git: No such file or directory" in capsys.readouterr().err


def test_missing_clones_are_listed_with_what_gets_them(clones, capsys, tmp_path):
    words = ["--table", str(clones / "t.toml"), "--clones", str(tmp_path)]
    assert main(["build-pool", *words, "--output", str(tmp_path / "pool")]) == 2
    told = capsys.readouterr()
    assert f"{REAL}: missing: git clone --bare https://github.com/{REAL}" in told.out
    assert "2 of 2 clones are missing" in told.err
    assert list(tmp_path.iterdir()) == []
