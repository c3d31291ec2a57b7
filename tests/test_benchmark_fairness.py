"""Which recordings the fairness bench takes, how it joins them, and its table."""

import re
import tomllib

import numpy as np
import pytest
import soundfile

from benchmarks.fairness import (
    PACKAGES,
    Scored,
    Speech,
    drawn,
    from_manifest,
    from_packages,
    main,
    report,
    samples_of,
    scores_csv,
)
from rawnet_jax.errors import DataError


def recording(path, seconds=0.5, rate=8000):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full(int(seconds * rate), 0.1, np.float32), rate)
    return path


def test_packages_below_a_root_are_found_with_their_groups(tmp_path):
    for name in ("pt_BR/alpha/a.ogg", "pt_BR/sounds.xml", "other.ogg"):
        path = tmp_path / "usr/share/klettres" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    [found] = from_packages(tmp_path, PACKAGES)
    assert found.groups["language"] == "pt"
    assert found.groups["speaker"] == "klettres pt_BR"


def test_every_source_says_who_and_under_which_licence():
    for source in tomllib.loads(PACKAGES.read_text("utf-8"))["source"]:
        assert {"package", "path", "language", "speaker", "people", "licence"} <= set(source)
        assert source["people"] in ("named", "likely", "uncertain")


def test_a_manifest_passes_over_fakes(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("path,label,language\na.wav,bonafide,de\nb.wav,spoof,de\n")
    recording(tmp_path / "a.wav")
    assert from_manifest(path) == [Speech((tmp_path / "a.wav",), {"language": "de"})]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (None, "no CSV file"),
        ("", "no CSV file"),
        ("file\na.wav\n", "must have a column path"),
        ("path,x\na.wav\n", "no CSV file"),
        ("path\na.wav\n", "m.csv:2: .*a.wav is not there"),
    ],
)
def test_a_bad_manifest_gets_one_line(tmp_path, text, wrong, capsys):
    path = tmp_path / "m.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match=wrong):
        from_manifest(path)
    with pytest.raises(SystemExit, match="2"):
        main(["--manifest", str(path), "--output", str(tmp_path / "out")])
    assert re.search(wrong, capsys.readouterr().err)


def test_words_of_a_speaker_are_joined_and_as_many_taken_as_asked_for(tmp_path):
    speech = [
        Speech((recording(tmp_path / f"{name}{n}.wav"),), {"speaker": name})
        for name in "ab"
        for n in range(9)
    ]
    joined = drawn(speech, most=100, seconds=1.0)
    assert [len(one.paths) for one in joined] == [2, 2, 2, 2, 1] * 2
    assert len(samples_of(joined[0])[0]) == 8000
    assert [one.groups["speaker"] for one in drawn(speech, 3, 1.0)] == ["a"] * 3 + ["b"] * 3
    assert drawn(speech, 100, 0.0) == speech


def test_an_empty_channel_is_left_out(tmp_path):
    one = np.full(800, 0.1, np.float32)
    path = tmp_path / "a.wav"
    soundfile.write(path, np.stack([one, 0 * one], 1), 8000)
    assert samples_of(Speech((path,), {}))[0].shape == (800, 1)


def test_files_of_other_rates_are_not_joined(tmp_path):
    speech = [
        Speech((recording(tmp_path / f"{n}.wav", rate=rate),), {"speaker": "a"})
        for n, rate in enumerate((8000, 8000, 16000))
    ]
    assert [len(one.paths) for one in drawn(speech, 10, 5.0)] == [2, 1]


@pytest.fixture
def found():
    scored = Scored()
    for n in range(60):
        scored.add(float(n), None, {"language": "de", "speaker": f"d{n}"})
        scored.add(float(n), None, {"language": "fi", "speaker": f"f{n}", "sex": "f"})
    scored.add(1.0, "unlike anything this model was trained on: distance 9", {"language": "fi"})
    for _ in range(2):
        scored.add(None, "no speech", {"language": "fi"})
    scored.add(None, "no speech", {"language": "ga"})
    for n in range(60):
        scored.add(0.0, None, {"language": "cs", "speaker": f"c{n}"})
    return scored


def test_groups_are_counted_and_the_worst_named(found):
    lines = report(found, ["language", "sex", "age"], [-5.0, 30.0])
    worst, *_ = [line for line in lines if line.startswith("| cs ")]
    assert worst == (
        "| cs | 60 | 60 | 0 (0.0 %, 0.0 to 6.0) | 60 (100.0 %, 94.0 to 100.0) | 0 of 60 | 0 |"
    )
    [fi] = [line for line in lines if line.startswith("| fi ")]
    assert fi.startswith("| fi | 60 | 60 | 0 (0.0 %")
    assert fi.endswith("| 1 of 63 | 2 |")
    assert any(line.startswith("| de (trained on) | 60 | 60 |") for line in lines)
    assert "Worst by language at 30: cs; clearly above all: cs." in lines
    assert "No recording has a verdict: ga." in lines
    assert not any(line.startswith("| age") for line in lines)


def test_scores_are_kept_with_groups_and_reasons(found):
    speech = [Speech((PACKAGES,), {})] * len(found.scores)
    head, *rows = scores_csv(speech, found).splitlines()
    assert head == "path,files,score,reason,language,speaker,sex"
    assert len(rows) == 184
    assert rows[-61].endswith(",nan,no speech,ga,,")
