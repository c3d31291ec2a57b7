"""The report about a corpus."""

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rawnet_jax.config import DataConfig, ProblemPolicy
from rawnet_jax.data.health import examine
from rawnet_jax.data.health_text import format_health
from rawnet_jax.data.layout import PartitionLayout
from rawnet_jax.data.partitions import load_training_caches
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.labels import Label
from tests.data.media_samples import encoded, tone


def write_clip(path, duration_s=0.5, rate=16_000, channels=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (int(duration_s * rate), channels)
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, shape), rate)


@pytest.fixture
def corpus(tmp_path):
    """A small 2019 LA: each partition has a bona fide and a spoofed clip."""
    for letter, name, ending in (("T", "train", "trn"), ("D", "dev", "trl"), ("E", "eval", "trl")):
        protocol = tmp_path / f"ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.{name}.{ending}.txt"
        protocol.parent.mkdir(exist_ok=True)
        speaker = "S2" if name == "dev" else "S1"
        lines = f"{speaker} LA_{letter}_1 - - bonafide\n{letter} LA_{letter}_2 - A01 spoof\n"
        protocol.write_text(lines)
        for i in (1, 2):
            write_clip(tmp_path / f"ASVspoof2019_LA_{name}/flac/LA_{letter}_{i}.flac", i / 2)
    return DataConfig(corpus="asvspoof2019_la", root=str(tmp_path))


def folder(config, partition):
    return Path(config.root) / f"ASVspoof2019_LA_{partition}/flac"


def quiet(config, **options):
    return examine(config, progress=False, **options)


def test_what_a_healthy_corpus_holds(corpus):
    write_clip(folder(corpus, "eval") / "LA_E_2.flac", 1.0, rate=8_000, channels=2)
    health = quiet(corpus)
    train, _, evaluation = health.partitions
    assert train.counts == {Label.BONAFIDE: 1, Label.SPOOF: 1}
    assert train.speakers == {"S1", "T"}
    assert train.attacks == {"A01": 1}
    assert train.audio.durations_s.tolist() == [0.5, 1.0]
    assert train.audio.sample_rates_hz == {16_000: 2}
    assert evaluation.audio.sample_rates_hz == {16_000: 1, 8_000: 1}
    assert evaluation.audio.channels == {1: 1, 2: 1}
    assert evaluation.audio.formats == {"FLAC PCM_16": 2}
    assert health.absent == ()
    assert health.healthy
    assert health.remarks == (
        "train: the number of trials is not the published one",
        "dev: the number of trials is not the published one",
        "eval: the number of trials is not the published one",
        "train and eval share speakers (1, such as S1)",
    )


def test_the_report_names_all_of_it(corpus):
    next(Path(corpus.root).glob("*_cm_protocols/*dev*")).unlink()
    corpus.train_protocol = "none.txt"
    health = quiet(corpus)
    assert health.errors == (
        f"train: {corpus.root}/none.txt: no such file (config.data.train_protocol)",
    )
    corpus.train_protocol = ""
    health = quiet(corpus)
    text = format_health(health)
    for part in (
        "train: ",
        "ASVspoof2019.LA.cm.train.trn.txt",
        "1 bona fide, 1 spoof (published: 2,580 and 22,800)",
        "speakers  2",
        "attacks   A01: 1",
        "2 files, 0.00 h",
        "0.50 to 1.00 s, median 0.75 s",
        "16000 Hz: 2",
        "FLAC PCM_16: 2",
        "not there: dev",
        "training: ",
        ": no dev list of asvspoof2019_la; looked for",
    ):
        assert part in text
    assert text.splitlines()[-1] == "NOT healthy: 1 errors, 3 remarks"


def test_every_problem_is_counted_and_the_policy_makes_it_an_error_or_a_remark(corpus):
    train = folder(corpus, "train")
    protocol = next(train.parent.parent.glob("*_cm_protocols/*train*"))
    with protocol.open("a") as file:
        file.write("too short\nS1 LA_T_1 - - bonafide\nS1 x - - real\nS1 LA_T_9 - - bonafide\n")
    (train / "LA_T_2.flac").write_bytes(b"not audio")
    write_clip(train / "enrolment.flac")
    health = quiet(corpus)
    assert health.partitions[0].problems == {
        "bad_line": 1,
        "duplicate_utterance": 1,
        "unknown_key": 1,
        "missing_audio": 1,
        "unlisted_audio": 1,
        "bad_audio": 1,
    }
    assert [line for line in health.errors if "bad_audio" in line] == ["train: bad_audio (1)"]
    assert len(health.errors) == 5
    assert "train: unlisted_audio (1)" in health.remarks
    text = format_health(health)
    assert "bad_line: 1" in text
    assert "LA_T_2.flac: not audio" in text
    assert text.splitlines()[-1].startswith("NOT healthy: 5 errors")
    corpus.problems = ProblemPolicy(**dict.fromkeys(vars(ProblemPolicy()), "warn"))
    lenient = quiet(corpus)
    (error,) = lenient.errors  # what was left out was the only spoof clip
    assert "partition train has 1 bona fide and 0 spoof clips" in error
    assert "train: bad_audio (1)" in lenient.remarks


def test_published_enrolment_files_are_no_remark(corpus):
    for i in range(696):
        (folder(corpus, "eval") / f"enrolment_{i}.flac").touch()
    health = quiet(corpus)
    assert health.partitions[2].problems == {"unlisted_audio": 696}
    assert not any("unlisted" in line for line in health.remarks)
    assert "unlisted_audio: 696 (696 enrolment files are published" in format_health(health)


def test_a_partition_that_cannot_be_loaded_is_an_error_and_the_others_are_examined(corpus):
    protocol = next(folder(corpus, "train").parent.parent.glob("*_cm_protocols/*train*"))
    protocol.write_bytes(b"caf\xe9")
    health = quiet(corpus)
    assert not health.healthy
    assert "not UTF-8" in health.errors[0]
    assert len(health.errors) == 1
    assert health.partitions[2].counts.total() == 2
    assert "failed" in format_health(health)


def test_decoding_finds_what_a_header_hides(corpus):
    path = folder(corpus, "train") / "LA_T_2.flac"
    data = bytearray(path.read_bytes())
    data[-100:-50] = bytes(50)  # within the last frame: no header shows it
    path.write_bytes(data)
    soundfile.write(folder(corpus, "train") / "LA_T_1.flac", np.zeros(8_000), 16_000)
    assert quiet(corpus).healthy
    health = quiet(corpus, decode=True)
    assert health.partitions[0].problems == {"bad_audio": 2}
    assert health.partitions[2].audio.durations_s.tolist() == [0.5, 1.0]


def test_lengths_out_of_bounds_show_without_decoding(corpus):
    corpus.audio.max_duration_s = 0.9
    corpus.audio.min_duration_s = 0.6
    health = quiet(corpus)
    reasons = health.partitions[0].examples["bad_audio"]
    assert ["too short" in reasons[0], "too long" in reasons[1]] == [True, True]


def test_lists_of_ones_own_are_not_compared_and_trials_may_lack_labels(tmp_path):
    write_clip(tmp_path / "a.wav")
    (tmp_path / "eval.csv").write_text("path,label\na.wav,-\n")
    health = quiet(DataConfig(corpus="manifest", root=str(tmp_path)))
    assert health.healthy
    assert health.absent == ("train",)
    assert health.remarks == ()
    assert "0 bona fide, 0 spoof, 1 without label\n" in format_health(health)


def test_recordings_of_phones_are_decoded_for_their_length(tmp_path, monkeypatch):
    config = DataConfig(corpus="folders", root=str(tmp_path))
    write_clip(tmp_path / "train/bonafide/a.wav")
    path = tmp_path / "train/spoof/b.m4a"
    path.parent.mkdir()
    path.write_bytes(encoded("m4a", tone(1.5, 48_000)))
    audio = quiet(config).partitions[0].audio
    assert audio.durations_s.tolist() == pytest.approx([0.5, 1.5], abs=0.05)
    assert audio.formats == {"WAV PCM_16": 1, "MPEG-4 audio (m4a) aac": 1}
    path.write_bytes(path.read_bytes()[:-2_000])
    assert "b.m4a: truncated: " in format_health(quiet(config))
    monkeypatch.setitem(sys.modules, "av", None)
    assert "b.m4a: not audio this install can read: it is" in format_health(quiet(config))


def test_one_class_is_a_remark(tmp_path):
    write_clip(tmp_path / "eval/spoof/a.wav")
    health = quiet(DataConfig(corpus="folders", root=str(tmp_path)))
    assert health.remarks == ("eval: all trials are of one class",)


def test_links_to_folders_are_followed_and_what_is_passed_over_is_a_remark(tmp_path):
    write_clip(tmp_path / "train/bonafide/a.wav")
    write_clip(tmp_path / "train/spoof/one/b.wav")
    write_clip(tmp_path / "store/c.wav")
    (tmp_path / "train/spoof/two").symlink_to("../../store")
    (tmp_path / "train/spoof/loop").symlink_to("..")
    (tmp_path / "train/spoof/d.avi").write_bytes(b"\0\0\0 ftyp")
    (tmp_path / "train/spoof/notes.txt").write_text("x")
    health = quiet(DataConfig(corpus="folders", root=str(tmp_path)))
    assert health.partitions[0].counts == {Label.BONAFIDE: 1, Label.SPOOF: 2}
    assert health.remarks == ("train: unlisted_audio (1)",)
    assert "spoof/d.avi: not audio that can be read" in format_health(health)


def test_nothing_there_and_a_wrong_policy_are_errors(tmp_path, corpus):
    with pytest.raises(DataError, match="no train list of asvspoof2017"):
        quiet(DataConfig(corpus="asvspoof2017", root=str(tmp_path)))
    with pytest.raises(DataError, match="no such folder"):
        quiet(DataConfig(corpus="asvspoof2017", root=str(tmp_path / "none")))
    corpus.problems.bad_audio = "ignore"
    with pytest.raises(ConfigError, match=r"problems\.bad_audio"):
        quiet(corpus)


def test_real_speech_is_healthy(shared_data):
    config = DataConfig(
        corpus="asvspoof2019_la",
        root=str(shared_data / "speech"),
        dev_protocol="dev.trl.txt",
        audio_dir="flac",
    )
    health = quiet(config)
    (dev,) = health.partitions
    assert dev.counts == {Label.BONAFIDE: 173, Label.SPOOF: 145}
    assert dev.audio.sample_rates_hz == {16_000: 318}
    assert 1.1 < dev.audio.durations_s.min() < dev.audio.durations_s.max() < 3.3


def test_counts_are_set_against_the_published_ones(corpus):
    health = quiet(corpus)
    train = health.partitions[0]
    train.published = PartitionLayout((), num_trials=(1, 1))
    assert "1 bona fide, 1 spoof (as published)" in format_health(health)
    train.published = PartitionLayout((), num_trials=(2, 0))
    assert "1 bona fide, 1 spoof (published: 2 and 0)" in format_health(health)
    train.counts = Counter({None: 2})
    assert "0 bona fide, 0 spoof, 2 without label (as published)" in format_health(health)


def own(root, **files):
    """Write lists, and a clip for each path in them; return the config."""
    for name, text in files.items():
        content = text if isinstance(text, bytes) else text.encode()
        (root / f"{name}.csv").write_bytes(content)
        for line in content.decode("latin-1").splitlines()[1:]:
            write_clip(root / line.split(",")[0])
    return DataConfig(corpus="manifest", root=str(root))


def rows(letter, keys=("bonafide", "spoof"), speaker="s"):
    """Return a list of 4 clips, two of each key."""
    lines = [f"{letter}{i}.wav,{keys[i % 2]},{speaker}{i}" for i in range(4)]
    return "\n".join(["path,label,speaker", *lines, ""])


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        (
            {"train": rows("t"), "dev": rows("d", speaker="Zoë").encode("latin-1")},
            "dev.csv:2: not UTF-8 (byte 0xEB",
        ),
        ({"train": rows("t"), "dev": "path;label\n"}, "dev.csv: no usable line in it"),
        ({"train": rows("t"), "dev": ""}, "dev.csv: the file is empty"),
        ({"train": rows("t", ("yes", "no"))}, "train.csv: no usable line in it"),
        ({"train": rows("t", ("1", "0"))}, "config.data.one_means"),
        ({"train": rows("t", ("spoof", "spoof"))}, "the train partition has no bonafide trial"),
        ({"train": rows("t"), "dev": rows("d", ("bonafide",) * 2)}, "dev has 4 bona fide and 0"),
        ({"train": rows("t", ("", "-"))}, "no label, but the train partition needs one"),
        ({"train": "path,label\na.wav,spoof\nb.wav,real\n"}, "2 train trials cannot be split"),
        ({"manifest": rows("t")}, "manifest.csv: has no column partition"),
    ],
)
def test_what_training_refuses_is_an_error(tmp_path, lists, message):
    config = own(tmp_path, **lists)
    health = quiet(config)
    assert not health.healthy
    assert any(message in line for line in health.errors), health.errors
    with pytest.raises(DataError):
        load_training_caches(config, progress=False)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (("t0", "t2"), "partition train has 0 bona fide and 2 spoof clips"),
        (("d1", "d3"), "partition dev has 2 bona fide and 0 spoof clips"),
        (("t0", "t1", "t2", "t3"), "partition train has 0 bona fide and 0 spoof clips"),
        (("e0", "e1", "e2", "e3"), "eval: none of its 4 clips has audio that can be used"),
        (("t0", "d1", "e3"), ""),
    ],
)
def test_what_is_left_after_bad_audio_must_do(tmp_path, bad, message):
    config = own(tmp_path, train=rows("t"), dev=rows("d"), eval=rows("e"))
    config.problems.bad_audio = "warn"
    for name in bad:
        (tmp_path / f"{name}.wav").write_bytes(b"no audio")
    errors = quiet(config).errors
    assert any(message in line for line in errors) if message else not errors, errors


def test_a_balance_that_the_list_cannot_give_is_an_error(tmp_path):
    config = own(tmp_path, train=rows("t"), dev=rows("d"))
    config.balance = ("class", "attack")
    (error,) = quiet(config).errors
    assert "config.data.balance names 'attack', which no train clip has" in error
    with pytest.raises(ConfigError, match="names 'attack'"):
        load_training_caches(config, progress=False)
    config.balance = ("class", "speaker")
    assert quiet(config).healthy


def test_a_dev_list_that_is_named_must_be_there(tmp_path):
    config = own(tmp_path, train=rows("t", ("Real", "FAKE")), dev=rows("d", ("human", "synthetic")))
    assert quiet(config).healthy
    config.dev_protocol = "none.csv"
    message = r"none\.csv: no such file \(config\.data\.dev_protocol\)"
    with pytest.raises(DataError, match=message):
        load_training_caches(config, progress=False)
    (error,) = quiet(config).errors
    assert "none.csv: no such file" in error
