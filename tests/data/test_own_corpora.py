"""Lists of one's own and folder trees, joined to their audio."""

from pathlib import Path

import pytest

from rawnet_jax.config import DataConfig, ProblemPolicy
from rawnet_jax.data.corpus import load_partition, present_partitions
from rawnet_jax.data.trial import ProblemLedger
from rawnet_jax.errors import ConfigError, DataError


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def load(config, partition):
    return load_partition(config, partition, ProblemLedger(config.problems))


def ids(clips):
    return [clip.trial.utterance_id for clip in clips]


def test_a_manifest_is_filtered_by_its_partition(tmp_path):
    rows = "path,label,partition\na.wav,spoof,train\nb.wav,bonafide,train\nc.wav,spoof,eval\n"
    write(tmp_path / "manifest.csv", rows)
    for name in "abc":
        write(tmp_path / f"{name}.wav")
    strict = ProblemPolicy(unlisted_audio="error")
    config = DataConfig(corpus="manifest", root=str(tmp_path), problems=strict)
    assert ids(load(config, "train")) == ["a", "b"]
    assert ids(load(config, "eval")) == ["c"]
    assert present_partitions(config) == ("train", "eval")
    with pytest.raises(DataError, match="no line of it is of partition dev, only train and eval"):
        load(config, "dev")


def test_a_manifest_without_partitions_serves_the_one_it_is_named_for(tmp_path):
    write(tmp_path / "manifest.csv", "path,label\na.wav,spoof\nb.vox,bonafide\n")
    write(tmp_path / "wav/a.wav")
    write(tmp_path / "wav/b.vox")  # not a kind that is searched for, but named by its owner
    config = DataConfig(corpus="manifest", root=str(tmp_path), audio_dir="wav")
    with pytest.raises(DataError, match=r"no column partition; add one, or give .*eval_protocol="):
        load(config, "eval")
    assert present_partitions(config) == ("train", "dev", "eval")  # all of them errors
    config.eval_protocol = "manifest.csv"
    assert ids(load(config, "eval")) == ["a", "b.vox"]
    assert present_partitions(config) == ("eval",)


def test_a_manifest_a_partition(tmp_path):
    for partition in ("train", "dev"):
        write(tmp_path / f"{partition}.tsv", f"path\tlabel\n{partition}.wav\tspoof\n")
        write(tmp_path / f"{partition}.wav")
    strict = ProblemPolicy(unlisted_audio="error")
    config = DataConfig(corpus="manifest", root=str(tmp_path), problems=strict)
    assert present_partitions(config) == ("train", "dev")
    assert ids(load(config, "dev")) == ["dev"]


def test_a_tree_without_partitions_is_used_when_it_is_named(tmp_path):
    for name in ("bonafide/x.wav", "spoof/y.wav", "other/z.wav", "w.wav"):
        write(tmp_path / name)
    config = DataConfig(corpus="folders", root=str(tmp_path))
    with pytest.raises(DataError, match=r"no folder train; .*--config\.data\.train_protocol=\."):
        load(config, "train")
    config.train_protocol = "."
    assert ids(load(config, "train")) == ["bonafide/x", "spoof/y"]
    config.audio_dir = "bonafide"
    with pytest.raises(ConfigError, match="lies in its folders"):
        load(config, "train")
