"""Noises and impulse responses of a pool: what is written, and that no piece notices them."""

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rawnet_jax.cli.main import main
from rawnet_jax.config import AudioConfig
from rawnet_jax.csv_text import csv_rows
from rawnet_jax.data.augment_banks import read_recordings
from rawnet_jax.errors import ConfigError
from rawnet_jax.pool.backgrounds import Background, write_backgrounds
from rawnet_jax.pool.build import build
from rawnet_jax.pool.plan import make_plan
from rawnet_jax.pool.table import read_table
from tests.pool.small_clones import (
    REAL,
    commit,
    git,
    needs_git,
    speech,
    table_text,
    write_clones,
)

pytestmark = needs_git

SOUNDS = "carl/sounds"
_SOURCE = f"""
[[source]]
repository = "{SOUNDS}"
commit = "{{commit}}"
licence = "MIT"
licence_file = "LICENSE"
attribution = "Carl's sounds"
files = 7

  [[source.rule]]
  path = '^noises/'
  label = "noise"
  licence = "CC0-1.0"

  [[source.rule]]
  path = '^rooms/'
  label = "response"
"""
_FIRST_RULE = """
  [[source.rule]]
  path = '^junk/'
  label = "noise"
"""


def sound(seconds: float, rate_hz: int = 16_000, gain: float = 0.1, channels: int = 1) -> bytes:
    """Return a float WAV of noise, another one in each channel."""
    rng = np.random.default_rng(round(1000 * seconds))
    wave = gain * rng.standard_normal((round(seconds * rate_hz), channels))
    stream = io.BytesIO()
    soundfile.write(stream, wave, rate_hz, format="WAV", subtype="FLOAT")
    return stream.getvalue()


def packed(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def write_sounds(folder: Path) -> str:
    files = {
        "LICENSE": b"Do what you like.\n",
        "elsewhere/a.tar.gz": packed({"b.wav": sound(0.6)}),
        "noises/a b/long.wav": sound(15.5, channels=2),
        "noises/bad.wav": b"RIFF" + bytes(5_000),
        "noises/faint.wav": sound(0.5, gain=0.001),
        "noises/more.tar.gz": packed({"in/one.wav": sound(0.7), "in/notes.txt": b"no audio"}),
        "noises/notes.txt": b"no audio",
        "noises/speech.wav": speech(0),  # of the first speaker of the other repository
        "rooms/hall.wav": sound(3.5, 22_050),
        "rooms/loud.wav": sound(0.4, gain=30.0),
    }
    return commit(folder / "carl+sounds", files)


def rows_of(path: Path) -> list[dict[str, str]]:
    header, *rows = csv_rows(path.read_text(encoding="utf-8"))
    return [dict(zip(header, row, strict=True)) for row in rows]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Clones, tables without and with backgrounds, and the pool of each."""
    root = tmp_path_factory.mktemp("backgrounds")
    commits = write_clones(root / "clones")
    # A speaker without a name is called after the number of the rule.
    without = table_text(commits).replace('speaker = "real_{s}"', 'speaker = ""')
    without = without.replace("max_file_bytes = 400000", "max_file_bytes = 4000000")
    with_ = without.replace("files = 20\n", f"files = 21\n{_FIRST_RULE}", 1)
    source = _SOURCE.format(commit=write_sounds(root / "clones"))
    with_ = with_.replace("[[source]]", f"{source}\n[[source]]", 1)
    built = {}
    for name, text in (("without", without), ("with", with_)):
        (root / f"{name}.toml").write_text(text)
        plan = make_plan(read_table(root / f"{name}.toml"), root / "clones", allow_missing=False)
        assert plan.problems == ()
        built[name] = build(plan, root / name, num_workers=1, progress=False)
    return root, built


def test_noises_and_responses_are_mono_flac_of_16_khz_cut_to_their_lengths(made):
    root, _ = made
    seconds = {
        "long": 15.0,
        "faint": 0.5,
        "one": 0.7,
        "hall": 3.0,
        "loud": 0.4,
        "a-1": 2.0,
        "speech": 2.0,
    }
    files = [path for folder in ("noise", "rir") for path in (root / "with" / folder).iterdir()]
    assert len(files) == 7
    for path in files:
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.subtype) == (16_000, 1, "PCM_16")
        stem = path.stem.split("_")[1]
        assert info.duration == pytest.approx(seconds[stem], abs=1e-3)
        samples, _ = soundfile.read(path)
        # Neither clipped nor lost in the steps of 16 bit.
        assert np.abs(samples).max() == pytest.approx(0.9, abs=1e-4)
        assert np.count_nonzero(np.abs(samples) > 0.899) < 3
    assert {path.stem.split("_")[1] for path in files if path.parent.name == "rir"} == {
        *("hall", "loud")
    }


def test_the_first_channel_is_taken(made):
    root, _ = made
    (path,) = (root / "with/noise").glob("*_long_*")
    samples, _ = soundfile.read(path)
    first = soundfile.read(io.BytesIO(sound(15.5, channels=2)))[0][: len(samples), 0]
    np.testing.assert_allclose(samples, 0.9 * first / np.abs(first).max(), atol=2**-15)


def test_names_come_from_repository_and_path(made):
    root, _ = made
    digest = hashlib.sha256(f"{SOUNDS}\nnoises/more.tar.gz/in/one.wav".encode()).hexdigest()
    assert (root / f"with/noise/carl+sounds_one_{digest[:8]}.flac").is_file()


def test_training_reads_both_folders(made):
    root, _ = made
    for name, folder, number in (("noise", "noise", 5), ("rir", "rir", 2)):
        found = read_recordings(str(root / "with" / folder), name, AudioConfig())
        assert len(found) == number


def test_the_table_of_backgrounds_says_where_each_is_from(made):
    root, _ = made
    rows = rows_of(root / "with/backgrounds.csv")
    assert [row["path"] for row in rows] == sorted(row["path"] for row in rows)
    assert {(row["kind"], row["source_path"], row["licence"]) for row in rows} == {
        ("noise", "junk/a_1.wav", "CC0-1.0"),
        ("noise", "noises/a b/long.wav", "CC0-1.0"),
        ("noise", "noises/faint.wav", "CC0-1.0"),
        ("noise", "noises/more.tar.gz/in/one.wav", "CC0-1.0"),
        ("noise", "noises/speech.wav", "CC0-1.0"),
        ("response", "rooms/hall.wav", "MIT"),
        ("response", "rooms/loud.wav", "MIT"),
    }
    sums = (root / "with/SHA256SUMS").read_text().splitlines()
    for row in rows:
        content = (root / "with" / row["path"]).read_bytes()
        assert row["sha256"] == hashlib.sha256(content).hexdigest()
        assert f"{row['sha256']}  {row['path']}" in sums
    record = json.loads((root / "with/corpus.json").read_text())
    assert (record["backgrounds"]["noise"], record["backgrounds"]["response"]) == (5, 2)


def test_what_does_not_decode_is_named_and_licences_count_the_rest(made):
    root, _ = made
    (line,) = (root / "with/left_out.txt").read_text().splitlines()
    assert line.startswith(f"{SOUNDS}: noises/bad.wav: ")
    page = (root / "with/LICENCES.md").read_text()
    for told in ("- CC0-1.0: 4 noises", "- CC0-1.0: 1 noise", "- MIT: 2 responses"):
        assert f"{told}\n" in page
    own = page[page.index(f"## {SOUNDS}") : page.index(f"## {REAL}")]
    assert "cut into pieces" not in own
    assert "| rir | 2 | 3.4 |" in (root / "with/README.md").read_text()


def test_pieces_lists_and_reports_are_those_of_a_pool_without_backgrounds(made):
    root, built = made
    assert built["with"].digest == built["without"].digest
    same = ["manifest.csv", "features.csv", "attacks.csv", "confounds.txt", "confounds.json"]
    same += [f"protocols/{path.name}" for path in (root / "without/protocols").iterdir()]
    same += [f"flac/{path.name}" for path in (root / "without/flac").iterdir()]
    for name in same:
        assert (root / "with" / name).read_bytes() == (root / "without" / name).read_bytes()
    for folder in ("protocols", "flac"):
        numbers = [len(list((root / name / folder).iterdir())) for name in built]
        assert numbers[0] == numbers[1]
    assert not (root / "without/backgrounds.csv").exists()
    assert not (root / "without/noise").exists()


def test_a_clean_pool_has_none(made):
    root, _ = made
    table = read_table(root / "with.toml")
    plan = make_plan(table, root / "clones", allow_missing=False, is_clean=True)
    build(plan, root / "clean", num_workers=1, progress=False)
    assert not {"noise", "rir", "backgrounds.csv"} & {p.name for p in (root / "clean").iterdir()}
    assert SOUNDS not in (root / "clean/LICENCES.md").read_text()


def test_writing_again_gives_the_same_and_removes_what_was_there(made):
    root, _ = made
    plan = make_plan(read_table(root / "with.toml"), root / "clones", allow_missing=False)
    folder = root / "again"
    (folder / "noise").mkdir(parents=True)
    (folder / "noise/other.flac").write_bytes(b"old")
    written, problems = write_backgrounds(folder, plan.backgrounds, plan.git_dirs)
    assert len(problems) == 1
    for name in ("backgrounds.csv", *(each.path for each in written)):
        assert (folder / name).read_bytes() == (root / "with" / name).read_bytes()
    assert len(list((folder / "noise").iterdir())) == 5


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (packed({"a.wav": sound(0.5)})[:-300], "damaged: the archive is damaged or incomplete"),
        (b"no archive", "damaged: the archive is damaged or incomplete"),
        (gzip.compress(b"no archive"), "damaged: the archive is damaged or incomplete"),
        (packed({"a.txt": bytes(2**26), "b.wav": sound(0.5)}), "too long: it unpacks to more"),
    ],
    ids=["cut", "other bytes", "no tar", "large"],  # of compressed bytes: the time is in them
)
def test_an_archive_that_is_no_good_is_left_out_and_named(tmp_path, content, message):
    digest = commit(tmp_path / "sounds", {"x.tar.gz": content})
    blob = git(tmp_path / "sounds", "rev-parse", f"{digest}:x.tar.gz")
    each = Background("noise", SOUNDS, digest, "x.tar.gz", blob, "MIT")
    (tmp_path / "pool").mkdir()
    git_dirs = {SOUNDS: tmp_path / "sounds/.git"}
    written, problems = write_backgrounds(tmp_path / "pool", [each], git_dirs)
    assert written == []
    assert len(problems) == 1
    assert problems[0].startswith(f"{SOUNDS}: x.tar.gz: {message}")


def test_dry_run_counts_them(made, capsys):
    root, _ = made
    words = ["build-pool", "--clones", str(root / "clones"), "--table", str(root / "with.toml")]
    assert main([*words, "--dry-run"]) == 0
    rows = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    for row in ("label repository files", f"noise {SOUNDS} 5", f"response {SOUNDS} 2"):
        assert row in rows
    assert f"noise {REAL} 1" in rows


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"noise"', '"nois"', "label is 'nois'; it must be bonafide, spoof, noise or response, or"),
        (
            '"noise"',
            '"noise"\n  family = "fam-test"',
            "family is 'fam-test'; a rule with the label",
        ),
        ('"noise"', '"response"\n  speaker = "ann"', "label response has path, label and licence"),
        ('"noise"', '"noise"\n  group = "train"', "group is 'train'; a rule with the label noise"),
        ('"noise"', '"noise"\n  pieces = 1', "pieces is 1; a rule with the label noise has path"),
    ],
)
def test_a_wrong_rule_is_one_line_and_exit_status_2(made, tmp_path, capsys, old, new, message):
    root, _ = made
    path = tmp_path / "t.toml"
    path.write_text((root / "with.toml").read_text().replace(old, new, 1))
    with pytest.raises(ConfigError, match=message):
        read_table(path)
    words = ["--clones", str(root / "clones"), "--table", str(path), "--dry-run"]
    assert main(["build-pool", *words]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_projects_own_table_has_both_and_takes_no_recording_of_unclear_licence():
    table = read_table()
    kinds = {
        (source.repository, rule.label)
        for source in table.source
        for rule in source.rule
        if rule.label in ("noise", "response")
    }
    assert {kind for _, kind in kinds} == {"noise", "response"}
    for source in table.source:
        for rule in source.rule:
            if rule.label in ("noise", "response"):
                for path in (
                    "demo/background_noises/hens.ogg",
                    "src/sounds/impulse-responses/binaural/s1_r1_b.wav",
                    "src/sounds/impulse-responses/house-impulses/living-magnetic.wav",
                    "heysavant/not-wake-words/noises/a.wav",
                ):
                    assert not rule.path.search(path)
