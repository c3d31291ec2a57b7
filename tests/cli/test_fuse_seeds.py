"""The commands ``fuse`` and ``seeds``, as a user types them."""

import json
from pathlib import Path

import numpy as np
import pytest

from rawnet_jax.cli.main import main
from rawnet_jax.config import Config
from rawnet_jax.config_file import save_config
from rawnet_jax.data.score_file import ScoreTable, read_scores, write_scores
from rawnet_jax.metrics.det import eer
from rawnet_jax.metrics.validation import split_by_label

LABELS = np.repeat((1, 0), 80)


def write_system(path: Path, seed: int, keys=True, sign=1.0, prefix="D") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    names = [f"{prefix}_{i:03d}" for i in range(LABELS.size)]
    scores = sign * (2 * LABELS + np.random.default_rng(seed).normal(size=LABELS.size))
    form = "asvspoof2019" if keys else "asvspoof5"
    write_scores(path, ScoreTable(names, scores, LABELS if keys else None), form)
    return path


def write_protocol(path: Path, prefix="D") -> Path:
    lines = [
        f"LA_0001 {prefix}_{i:03d} - {'- bonafide' if label else 'A01 spoof'}\n"
        for i, label in enumerate(LABELS)
    ]
    path.write_text("".join(lines))
    return path


@pytest.fixture
def files(tmp_path):
    dev = [str(write_system(tmp_path / f"{name}_dev.txt", seed)) for seed, name in enumerate("AB")]
    scored = [
        str(write_system(tmp_path / f"{name}_eval.txt", 10 + seed, prefix="E"))
        for seed, name in enumerate("AB")
    ]
    return dev, scored


def eer_of(path):
    table = read_scores(path)
    assert table.labels is not None
    return eer(*split_by_label(table.scores, table.labels)).eer


@pytest.mark.parametrize("kind", ["logistic", "svm"])
def test_fuse_fits_on_dev_and_applies_to_eval(files, kind, tmp_path, capsys):
    dev, scored = files
    out = tmp_path / "out"
    arguments = ["--dev", *dev, "--eval", *scored, "--kind", kind, "--output", str(out)]
    assert main(["fuse", *arguments]) == 0
    printed = capsys.readouterr().out
    for path in (*dev, *scored, out / "dev_scores.txt", out / "eval_scores.txt"):
        assert f"{100 * eer_of(path):.2f} %" in printed
    assert eer_of(out / "eval_scores.txt") < min(map(eer_of, scored))
    assert ("weight" in printed) == (kind == "logistic")
    assert json.loads((out / "fusion.json").read_text())["names"] == ["A_dev", "B_dev"]

    again = tmp_path / "again"
    arguments = ["--fusion", str(out / "fusion.json"), "--eval", *scored, "--output", str(again)]
    assert main(["fuse", *arguments]) == 0
    first, second = (folder / "eval_scores.txt" for folder in (out, again))
    assert first.read_bytes() == second.read_bytes()
    assert sorted(path.name for path in again.iterdir()) == ["eval_scores.txt"]


def test_eval_has_no_part_in_the_fit(files, tmp_path):
    dev, scored = files
    main(["fuse", "--dev", *dev, "--eval", *scored, "--output", str(tmp_path / "a")])
    main(["fuse", "--dev", *dev, "--output", str(tmp_path / "b")])
    for name in ("fusion.json", "dev_scores.txt"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_fuse_takes_keys_from_a_protocol_and_needs_none_for_eval(tmp_path, capsys):
    dev = [str(write_system(tmp_path / n / "dev.txt", s, keys=False)) for s, n in enumerate("AB")]
    scored = [
        str(write_system(tmp_path / n / "eval.txt", s, keys=False, prefix="E"))
        for s, n in enumerate("AB")
    ]
    arguments = ["--dev", *dev, "--eval", *scored, "--output", str(tmp_path / "out")]
    assert main(["fuse", *arguments]) == 2
    assert "holds no keys; give --protocol" in capsys.readouterr().err
    protocol = str(write_protocol(tmp_path / "dev.trl.txt"))
    arguments += ["--protocol", protocol, "--names", "A", "B"]
    assert main(["fuse", *arguments]) == 0
    assert "no keys" in capsys.readouterr().out
    table = read_scores(tmp_path / "out" / "dev_scores.txt")
    assert table.attack_ids is not None
    assert set(table.attack_ids) == {None, "A01"}
    assert read_scores(tmp_path / "out" / "eval_scores.txt").labels is None
    eval_protocol = str(write_protocol(tmp_path / "eval.trl.txt", prefix="E"))
    assert main(["fuse", *arguments, "--eval-protocol", eval_protocol]) == 0
    assert "no keys" not in capsys.readouterr().out


def test_fuse_with_trials_that_do_not_match(files, tmp_path, capsys, caplog):
    dev, _ = files
    short = read_scores(dev[1])
    cut = ScoreTable(short.utterance_ids[2:], short.scores[2:], LABELS[2:])
    write_scores(tmp_path / "B_dev.txt", cut)
    arguments = ["fuse", "--dev", *dev, "--output", str(tmp_path / "out")]
    assert main(arguments) == 2
    assert "2 of the 160 utterances of" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main([*arguments, "--allow-missing"]) == 0
    assert "158 dev trials" in capsys.readouterr().out
    assert "2 utterances left out" in caplog.text


@pytest.mark.parametrize("with_protocol", [False, True])
def test_fuse_matches_names_as_evaluate_does(tmp_path, caplog, capsys, with_protocol):
    plain = [write_system(tmp_path / f"{name}.txt", seed) for seed, name in enumerate("AB")]
    assert main(["fuse", "--dev", *map(str, plain), "--output", str(tmp_path / "plain")]) == 0
    table = read_scores(plain[1])
    named = [f"/data/flac/{name}.flac" for name in table.utterance_ids]
    write_scores(plain[1], ScoreTable(named[::-1], table.scores[::-1], LABELS[::-1]))
    protocol = write_protocol(tmp_path / "dev.trl.txt")
    more = ["--protocol", str(protocol)] if with_protocol else []
    caplog.clear()
    arguments = ["fuse", "--dev", *map(str, plain), "--output", str(tmp_path / "out"), *more]
    assert main(arguments) == 0, capsys.readouterr().err
    against = protocol if with_protocol else plain[0]
    assert f"B.txt: 160 of its names differ from those of {against} in folders" in caplog.text
    assert "A.txt: 160" not in caplog.text
    one, other = (read_scores(tmp_path / f / "dev_scores.txt") for f in ("plain", "out"))
    assert one.utterance_ids == other.utterance_ids
    assert one.scores.tolist() == other.scores.tolist()


def test_seeds_says_that_names_differ(tmp_path, capsys):
    paths = [write_system(tmp_path / f"{name}.txt", seed) for seed, name in enumerate("AB")]
    table = read_scores(paths[1])
    named = [f"{name}.wav" for name in table.utterance_ids]
    write_scores(paths[1], ScoreTable(named, table.scores, LABELS))
    assert main(["seeds", *map(str, paths)]) == 0
    assert f"160 names of {paths[1]} differ from those of {paths[0]}" in capsys.readouterr().out


def test_fuse_warns_of_reversed_scores_and_of_eval_in_dev(tmp_path, caplog):
    dev = [
        str(write_system(tmp_path / "A.txt", 0)),
        str(write_system(tmp_path / "B.txt", 1, sign=-1)),
    ]
    assert main(["fuse", "--dev", *dev, "--eval", *dev, "--output", str(tmp_path / "out")]) == 0
    assert "B: its negated scores would have the lower EER" in caplog.text
    assert "160 utterances are in dev and in eval, such as D_000" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dev", "A", "B", "--eval", "A"], "--eval: 1 given for 2 systems (A_dev, B_dev)"),
        (["--dev", "A", "B", "--names", "x"], "--names: 1 given for 2 systems"),
        (["--dev", "A", "A"], "given twice"),
        (["--dev", "A", "--p-bonafide", "1"], "p_bonafide is 1.0"),
        (["--fusion", "A"], "damaged"),
        (["--dev", "none"], "cannot be read"),
        (["--dev", "A", "--output", "A/x"], "must be a folder"),
    ],
)
def test_fuse_refuses_in_one_line(files, arguments, message, tmp_path, capsys):
    path_of = {name: str(tmp_path / f"{name}_dev.txt") for name in "AB"}
    words = ["fuse", "--output", str(tmp_path / "out")]
    words += [path_of.get(w, path_of["A"] + "/x" if w == "A/x" else w) for w in arguments]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def write_run(folder: Path, seed: int, learning_rate=1e-3) -> str:
    write_system(folder / "eval" / "scores.txt", seed)
    config = Config()
    config.train.seed = seed
    config.optimizer.learning_rate = learning_rate
    save_config(config, folder)
    return str(folder)


def test_seeds_writes_table_figures_and_pooled_scores(tmp_path, capsys):
    runs = [write_run(tmp_path / f"run{seed}", seed) for seed in range(3)]
    assert main(["seeds", *runs, "--output", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    figures = json.loads((tmp_path / "out" / "seeds.json").read_text())["figures"]
    rates = [eer_of(f"{run}/eval/scores.txt") for run in runs]
    assert figures["eer"]["values"] == rates
    assert f"{100 * np.mean(rates):.2f} %" in printed
    pooled = read_scores(tmp_path / "out" / "scores.txt")
    scores = [read_scores(f"{run}/eval/scores.txt").scores for run in runs]
    np.testing.assert_allclose(pooled.scores, np.mean(scores, axis=0))
    assert figures["eer"]["pooled"] == eer_of(tmp_path / "out" / "scores.txt")


def test_seeds_of_plain_files_with_a_protocol(tmp_path, capsys):
    runs = [str(write_system(tmp_path / f"{s}.txt", s, keys=False)) for s in range(2)]
    assert main(["seeds", *runs]) == 2
    assert "no keys" in capsys.readouterr().err
    assert main(["seeds", *runs, "--protocol", str(write_protocol(tmp_path / "p.txt"))]) == 0
    assert "run 1" in capsys.readouterr().out


def test_seeds_refuses_other_experiments(tmp_path, capsys):
    runs = [write_run(tmp_path / "a", 0), write_run(tmp_path / "b", 1, learning_rate=0.5)]
    assert main(["seeds", *runs]) == 2
    assert "config.optimizer.learning_rate was 0.001 and is 0.5" in capsys.readouterr().err
    assert main(["seeds", runs[0]]) == 2
    assert "1 run given" in capsys.readouterr().err
