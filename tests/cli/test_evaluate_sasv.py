"""``evaluate --scores`` of verification under attack, against slow forms and as a user types it."""

import csv
import json
import math

import numpy as np
import pytest

from rawnet_jax.cli.main import main
from rawnet_jax.metrics.calibration import fit_affine
from rawnet_jax.metrics.dcf import ASVSPOOF5_ADCF

MEANS = {"target": (0.7, 1.2), "nontarget": (0.27, 1.2), "spoof": (0.6, -1.2)}
ATTACKS = ("A07", "A10")


def write_scores(folder, name, seed, num=120):
    """Scores of the shape of SASVC 2022; A10 is heard less well; three trials have no CM score."""
    rng = np.random.default_rng(seed)
    rows, keys = [], []
    for key, (asv, cm) in MEANS.items():
        for i in range(num):
            attack = ATTACKS[i % 2] if key == "spoof" else "bonafide"
            shift = 0.9 if attack == "A10" else 0.0
            a, c = rng.normal(asv, 0.1), rng.normal(cm + shift, 0.5)
            cells = (f"S{i % 9}", f"{name}_{key}_{i}")
            cm_text = "-" if key == "target" and i < 3 else repr(c)
            rows.append((*cells, cm_text, repr(a), repr(a + c)))
            keys.append((*cells, "spoof" if key == "spoof" else "bonafide", key, attack))
    header = "spk\tfilename\tcm-score\tasv-score\tsasv-score"
    path = folder / f"{name}.tsv"
    path.write_text("\n".join([header, *("\t".join(row) for row in rows)]) + "\n")
    header = "spk\tfilename\tcm-label\tasv-label\tattack"
    text = "\n".join([header, *("\t".join(row) for row in keys)])
    (folder / f"{name}_keys.tsv").write_text(text + "\n")
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sasv")
    write_scores(folder, "eval", 1)
    write_scores(folder, "dev", 0)
    return folder


def evaluate(place, *more):
    words = ["--scores", str(place / "eval.tsv"), f"--protocol={place / 'eval_keys.tsv'}"]
    return main(["evaluate", *words, "--no-progress", *more])


@pytest.fixture(scope="module")
def record(place, tmp_path_factory):
    output = tmp_path_factory.mktemp("out")
    dev = ["--dev-scores", str(place / "dev.tsv"), f"--dev-protocol={place / 'dev_keys.tsv'}"]
    assert evaluate(place, *dev, f"--output={output}", "--replicates=20") == 0
    found = json.loads((output / "metrics.json").read_text())["systems"][0]
    return found | {"folder": output}


def columns(place, name="eval"):
    """Scores by kind and key, as text says them."""
    keys = {tuple(line.split("\t")[:2]): line.split("\t")[3:]
            for line in (place / f"{name}_keys.tsv").read_text().splitlines()[1:]}  # fmt: skip
    found = []
    for line in (place / f"{name}.tsv").read_text().splitlines()[1:]:
        cells = line.split("\t")
        found.append((*keys[tuple(cells[:2])], *cells[2:]))
    return found


def test_the_sum_is_ruined_and_the_fusion_is_not(record):
    scores = record["scores"]
    assert scores["sasv"]["sv_eer"] > 0.3
    assert scores["asv"]["spf_eer"] > 0.2
    assert scores["fused"]["sv_eer"] < 0.06
    assert scores["fused"]["sasv_eer"] < 0.12
    assert scores["fused"]["act_a_dcf"] < min(scores["asv"]["act_a_dcf"], 0.5)
    assert set(record["calibrations"]) == {"cm", "asv"}


def test_figures_are_those_of_counting(place, record):
    rows = columns(place)
    found = record["scores"]["sasv"]
    threshold = found["threshold"]
    shares = {}
    for key in MEANS:
        values = [float(row[4]) for row in rows if row[0] == key]
        accepted = sum(value >= threshold for value in values) / len(values)
        shares[key] = 1 - accepted if key == "target" else accepted
    costs = ASVSPOOF5_ADCF
    weights = {
        "target": costs.c_miss * costs.p_target,
        "nontarget": costs.c_fa * costs.p_nontarget,
        "spoof": costs.c_fa_spoof * costs.p_spoof,
    }
    cost = sum(weights[key] * shares[key] for key in MEANS)
    normal = min(weights["target"], weights["nontarget"] + weights["spoof"])
    assert found["act_a_dcf"] == pytest.approx(cost / normal)
    assert found["min_a_dcf"] <= found["act_a_dcf"]
    for attack in ATTACKS:
        values = [float(row[4]) for row in rows if row[1] == attack]
        share = sum(value >= threshold for value in values) / len(values)
        assert found["iapar"][attack]["value"] == pytest.approx(share)
    highest = max(ATTACKS, key=lambda a: found["iapar"][a]["value"])
    assert found["worst"] == highest
    frr = found["frr"]["value"]
    assert frr == pytest.approx(shares["target"])
    assert found["riapar"] == pytest.approx(found["iapar"][highest]["value"] + frr)


def test_both_parts_are_calibrated_on_their_own_classes_of_dev(place, record):
    rows = columns(place, "dev")
    of = {key: np.array([float(row[3]) for row in rows if row[0] == key]) for key in MEANS}
    asv = fit_affine(of["target"], of["nontarget"])
    assert record["calibrations"]["asv"]["scale"] == pytest.approx(asv.scale)
    there = [row for row in rows if row[2] != "-"]
    cm = fit_affine(
        [float(row[2]) for row in there if row[0] != "spoof"],
        [float(row[2]) for row in there if row[0] == "spoof"],
    )
    assert record["calibrations"]["cm"]["offset"] == pytest.approx(cm.offset)


def test_the_countermeasure_alone(place, record):
    rows, cm = columns(place), record["cm"]
    bonafide = [float(row[2]) for row in rows if row[0] != "spoof" and row[2] != "-"]
    assert cm["bpcer"]["num_trials"] == len(bonafide) == 237
    assert cm["bpcer"]["no_answer"] == pytest.approx(3 / 240)
    assert cm["bpcer"]["value"] == pytest.approx(np.mean(np.array(bonafide) < cm["threshold"]))
    spoof = {a: [float(row[2]) for row in rows if row[1] == a] for a in ATTACKS}
    for attack, values in spoof.items():
        share = np.mean(np.array(values) >= cm["threshold"])
        assert cm["apcer"][attack]["value"] == pytest.approx(share)
    assert cm["worst"] == "A10"
    # BPCER10: the lowest threshold at which neither attack is accepted in more than 1 of 10.
    lowest = min(
        t
        for t in (math.nextafter(s, math.inf) for a in ATTACKS for s in spoof[a])
        if all(np.mean(np.array(spoof[a]) >= t) <= 0.1 for a in ATTACKS)
    )
    expected = np.mean(np.array(bonafide) < lowest)
    assert cm["bpcer10"]["value"] == pytest.approx(expected)
    assert record["t_eer"] > 0


def test_what_few_trials_do_not_show_is_said(record):
    claims = {c["below_0.07"] for c in record["scores"]["fused"]["iapar"].values()}
    claims |= {c["below_0.07"] for c in record["cm"]["apcer"].values()}
    assert claims & {"not shown: too few trials", "not met"}
    assert any("no cm score" in warning for warning in record["warnings"])


def test_files(record):
    folder = record["folder"]
    page = (folder / "report.html").read_text()
    for text in ("SASV-EER", "IAPAR, fused", "BPCER10", "A10", "not shown: it takes", "<svg"):
        assert text in page
    with (folder / "sasv_attacks.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["scores"] for row in rows} == {"sasv", "asv", "fused", "cm"}
    assert sum(row["worst"] == "True" for row in rows) == 4
    with (folder / "sasv_figures.csv").open() as file:
        figures = list(csv.DictReader(file))
    one = next(r for r in figures if (r["scores"], r["figure"]) == ("fused", "sv_eer"))
    assert float(one["low"]) <= float(one["value"]) <= float(one["high"])


def test_without_dev_thresholds_are_those_of_the_costs(place, tmp_path, capsys):
    more = [f"--output={tmp_path}", "--no-bootstrap", "--adcf-costs=odyssey2024"]
    assert evaluate(place, *more) == 0
    assert "SASV-EER" in capsys.readouterr().out
    found = json.loads((tmp_path / "metrics.json").read_text())["systems"][0]
    assert set(found["scores"]) == {"sasv", "asv"}
    assert found["scores"]["sasv"]["threshold"] == pytest.approx(math.log(5 / 3))
    assert found["cm"]["threshold"] == pytest.approx(-math.log(1.9))
    assert found["scores"]["sasv"]["intervals"] == {}


def test_wrong_options_are_one_line(place, tmp_path, capsys):
    other = tmp_path / "cm.txt"
    other.write_text("u1 A07 spoof -1\nu2 - bonafide 2\n")
    for more, message in (
        (["--asv-scores", str(other)], "--asv-scores: does not go"),
        (["--by", "attack"], "--by: does not go"),
        (["--dev-scores", str(place / "dev.tsv")], "no keys; --protocol"),
        (["--dev-scores", str(place / "dev.tsv"), str(place / "eval.tsv")], "2 files for 1"),
    ):
        assert evaluate(place, *more, f"--output={tmp_path / 'out'}") == 2
        assert message in capsys.readouterr().err
    both = ["--scores", str(place / "eval_keys.tsv"), str(other)]
    assert main(["evaluate", *both, "--no-progress"]) == 2
    assert "names no claimed speaker" in capsys.readouterr().err
    assert main(["evaluate", "--scores", str(other), "--adcf-costs=asvspoof5"]) == 2
    assert "--adcf-costs" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
