"""Corpora of the field as they are published: recognised, checked, trained on, evaluated on."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from rawnet_jax.config import DataConfig, ProblemPolicy
from rawnet_jax.data.corpus import load_partition
from rawnet_jax.data.health import examine
from rawnet_jax.data.health_text import format_health
from rawnet_jax.data.join import join_scores
from rawnet_jax.data.layouts import CORPORA
from rawnet_jax.data.partitions import training_clips
from rawnet_jax.data.recognise import recognise, recognise_below, settled
from rawnet_jax.data.score_file import ScoreTable
from rawnet_jax.data.trial import ProblemLedger
from rawnet_jax.errors import DataError
from rawnet_jax.labels import Label
from tests.data.made_corpora import MADE, audio, text


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return the root and the counts of a made corpus, by name; each is made once."""
    found = {}

    def get(name):
        if name not in found:
            root = tmp_path_factory.mktemp(name)
            found[name] = root, MADE[name].write(root)
        return found[name]

    return get


def config_of(name: str, root: Path) -> DataConfig:
    return DataConfig(corpus=name, root=str(root))


def load(config, partition):
    return load_partition(config, partition, ProblemLedger(config.problems))


def counts_of(clips) -> tuple[int, int]:
    found = Counter(clip.trial.label for clip in clips)
    assert not found[None]
    return found[Label.BONAFIDE], found[Label.SPOOF]


@pytest.mark.parametrize("name", MADE)
def test_it_is_recognised_alone_and_says_why(name, made):
    root, _ = made(name)
    found = recognise(root)
    assert [one.corpus for one in found] == [name]
    config, why = settled(DataConfig(corpus="auto", root=str(root)))
    assert config.corpus == name
    assert why.startswith(f"recognised as {name} because ")
    assert CORPORA[name].form in why


@pytest.mark.parametrize("name", MADE)
def test_every_clip_is_found(name, made):
    root, counts = made(name)
    for folder in (root, root.parent) if root.name in CORPORA[name].prefixes else (root,):
        for partition, wanted in counts.items():
            clips = load(config_of(name, folder), partition)
            assert counts_of(clips) == wanted, partition
            assert all(clip.path.is_file() for clip in clips)
            assert len({clip.path.resolve() for clip in clips}) == len(clips)
    trials = [clip.trial for clip in load(config_of(name, root), "eval")]
    for column, value in MADE[name].kept.items():
        assert value in {trial.metadata.get(column) for trial in trials}
    assert MADE[name].attack in {trial.attack_id for trial in trials}
    assert all(t.attack_id is None for t in trials if t.label == Label.BONAFIDE)


@pytest.mark.parametrize("name", MADE)
def test_check_takes_it_as_it_is(name, made):
    root, counts = made(name)
    config = config_of(name, root)
    health = examine(config, progress=False)
    assert health.errors == ()
    report = format_health(health)
    assert f"recognised as {name} because" in report
    bonafide, spoof = counts["eval"]
    assert f"{bonafide} bona fide, {spoof} spoof" in report


@pytest.mark.parametrize("name", [name for name in MADE if name != "df_arena"])
def test_training_finds_clips_to_train_and_to_select_on(name, made):
    root, counts = made(name)
    config = config_of(name, root)
    train, dev = training_clips(config, ProblemLedger(ProblemPolicy()))
    total = sum(counts["train"]) + sum(counts.get("dev", (0, 0)))
    assert len(train) + len(dev) == total
    assert not {clip.path for clip in train} & {clip.path for clip in dev}


@pytest.mark.parametrize("name", MADE)
def test_scores_with_paths_and_extensions_are_joined(name, made):
    root, counts = made(name)
    clips = load(config_of(name, root), "eval")
    trials = [clip.trial for clip in clips]
    scores = np.arange(float(len(trials)))
    for names in (
        [trial.utterance_id for trial in trials],
        [f"/elsewhere/{trial.utterance_id}.wav" for trial in trials],
    ):
        joined = join_scores(ScoreTable(names, scores), trials)
        assert joined.scores.tolist() == scores.tolist()
        assert joined.labels is not None
        assert int(joined.labels.sum()) == counts["eval"][0]


def test_two_corpora_in_one_folder_are_told_apart_by_the_flag(tmp_path):
    MADE["sonar"].write(tmp_path)
    MADE["ctrsvdd"].write(tmp_path)
    with pytest.raises(
        DataError, match=r"ctrsvdd because .*; sonar because .*--config\.data\.corpus"
    ):
        settled(DataConfig(corpus="auto", root=str(tmp_path)))
    assert counts_of(load(config_of("sonar", tmp_path), "eval")) == (2, 2)


def test_nothing_is_recognised_by_its_name_alone(tmp_path):
    text(tmp_path, "train.txt", "some words of mine\n")
    text(tmp_path, "fake/en/model/meta.csv", "a|b\n1|2\n")
    (tmp_path / "processed").mkdir()
    audio(tmp_path, "processed/one.wav")
    assert recognise(tmp_path) == []
    with pytest.raises(DataError, match="no known corpus is recognised"):
        settled(DataConfig(corpus="auto", root=str(tmp_path)))


def test_corpora_are_found_below_a_folder(made, tmp_path):
    for name in ("sonar", "add2023"):
        (tmp_path / "data" / name).mkdir(parents=True)
        MADE[name].write(tmp_path / "data" / name)
    found = recognise_below(tmp_path)
    assert sorted(one.corpus for one in found) == ["add2023", "sonar"]


def test_versions_of_the_same_recordings_are_chosen_by_subset(tmp_path):
    MADE["fake_or_real"].write(tmp_path)
    for key in ("fake", "real"):
        audio(tmp_path, f"for-original/training/{key}/file1.mp3")
    config = config_of("fake_or_real", tmp_path)
    with pytest.raises(DataError, match=r"for-norm and for-original, .*--config\.data\.subset"):
        load(config, "train")
    config.subset = "for-original"
    assert counts_of(load(config, "train")) == (1, 1)
    versions = {one.root.name for one in recognise_below(tmp_path)}
    assert versions == {"for-norm", "for-original"}


def test_a_path_that_is_wrong_is_named_with_the_file_of_that_name(tmp_path):
    MADE["spoofceleb"].write(tmp_path)
    path = tmp_path / "spoofceleb/metadata/train.csv"
    path.write_text(path.read_text() + "a00/id9/other.flac,id9,a00\n")
    audio(tmp_path, "spoofceleb/flac/train/a00/id10318/other.flac")
    with pytest.raises(
        DataError, match=r"train\.csv:6: .*other is missing.*a file of that name is"
    ):
        load(config_of("spoofceleb", tmp_path), "train")


def test_without_its_bona_fide_speech_a_corpus_can_be_scored_only(tmp_path):
    MADE["wavefake"].write(tmp_path)
    for folder in ("LJSpeech-1.1", "jsut_ver1.1"):
        (tmp_path / folder).rename(tmp_path.parent / f"{tmp_path.name}_{folder}")
    health = examine(config_of("wavefake", tmp_path), progress=False)
    assert health.errors == ()
    assert any("cannot be trained on by itself" in remark for remark in health.remarks)


def test_a_label_that_a_corpus_does_not_have_is_an_error(tmp_path):
    MADE["fmfcc_a"].write(tmp_path)
    path = tmp_path / "AllUtteranceInfo.txt"
    path.write_text(path.read_text() + "\n20040003.wav,2,N01\n")
    with pytest.raises(DataError, match=r"AllUtteranceInfo\.txt:\d+: key '2' is none of 1, 0"):
        load(config_of("fmfcc_a", tmp_path), "eval")


def test_a_part_of_a_corpus_is_not_another_one(tmp_path):
    for name in ("add2022", "cfad", "fmfcc_a"):
        (tmp_path / name).mkdir()
        MADE[name].write(tmp_path / name)
    (tmp_path / "fmfcc_a").rename(tmp_path / "FMFCC-A")
    found = recognise_below(tmp_path)
    roots = {one.corpus: one.root for one in found}
    assert len(found) == 3
    assert roots["cfad"] == tmp_path / "cfad"
    assert roots["fmfcc_a"] == tmp_path / "FMFCC-A"
    ledger = ProblemLedger(ProblemPolicy(unlisted_audio="error"))
    for root in (tmp_path, tmp_path / "FMFCC-A"):
        clips = load_partition(config_of("fmfcc_a", root), "eval", ledger)
        assert counts_of(clips) == (2, 2)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("x 0-1-T 0", "its key is 0, but its segments are 0-1-T"),
        ("x 0-1-F 1", "its key is 1, but its segments are 0-1-F"),
        ("x 0-1-F", "2 columns; there must be 3"),
        ("x 0-1-Q 0", "segment '0-1-Q'"),
    ],
)
def test_segments_that_do_not_go_with_the_key_are_bad_lines(tmp_path, line, why):
    MADE["had"].write(tmp_path)
    path = tmp_path / "HAD_test/HAD_test_label.txt"
    path.write_text(f"{path.read_text()}\n{line}\n")
    with pytest.raises(DataError) as caught:
        load(config_of("had", tmp_path), "eval")
    assert why in str(caught.value)
    assert "HAD_test_label.txt:" in str(caught.value)
