"""Lists of corpora, as flags and as files."""

import json

import pytest

from rawnet_jax.config import Config
from rawnet_jax.data.corpus_list import (
    ListedCorpus,
    config_on,
    parse_corpus_flag,
    read_corpus_list,
    unique_names,
)
from rawnet_jax.errors import ConfigError, DataError


def test_flag():
    found = parse_corpus_flag(
        "mine=manifest:/data/a=b,eval_protocol=all.csv,partitions=dev+eval,same_attacks=True"
    )
    place = {"corpus": "manifest", "root": "/data/a=b", "eval_protocol": "all.csv"}
    assert found == ListedCorpus("mine", place, ("dev", "eval"), "", True)
    assert parse_corpus_flag("x=folders:/d").partitions == ("eval",)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("in_the_wild:/data", "NAME=CORPUS:ROOT"),
        ("x=in_the_wild", "NAME=CORPUS:ROOT"),
        ("x=folders:/a,b", "a root with a comma goes into a --list"),
        ("x=folders:/a,audiodir=b", "did you mean 'audio_dir'"),
        ("x=folders:/a,partitions=test", "partitions are some of train, dev, eval"),
        ("x=folders:/a,problems=skip", "problems is 'error' or 'warn'"),
        ("x=folders:/a,same_attacks=yes", "same_attacks is true or false"),
    ],
)
def test_bad_flag_is_one_clear_line(text, complaint):
    with pytest.raises(ConfigError, match=complaint) as caught:
        parse_corpus_flag(text)
    assert "\n" not in str(caught.value)


def test_toml_and_json_say_the_same(tmp_path):
    toml, as_json = tmp_path / "list.toml", tmp_path / "list.json"
    toml.write_text('[a]\ncorpus = "folders"\nroot = "/d"\npartitions = "dev"\n')
    as_json.write_text(
        json.dumps({"a": {"corpus": "folders", "root": "/d", "partitions": ["dev"]}})
    )
    assert read_corpus_list(toml) == read_corpus_list(as_json)
    assert read_corpus_list(toml)[0].partitions == ("dev",)


@pytest.mark.parametrize(
    ("text", "error", "complaint"),
    [
        ("[a\n", DataError, "it must be TOML or .json"),
        ("", DataError, "no corpus in it"),
        ("a = 3\n", ConfigError, "it must be a table with corpus and root"),
        ('[a]\ncorpus = "folders"\n', ConfigError, "corpus and root are both needed"),
        ('[a]\ncorpus = "folders"\nroot = 3\n', ConfigError, "must be text"),
        ('[a]\nfolder = "x"\n', ConfigError, "unknown config field 'folder'"),
    ],
)
def test_bad_list_is_one_clear_line(tmp_path, text, error, complaint):
    path = tmp_path / "list.toml"
    path.write_text(text)
    with pytest.raises(error, match=complaint) as caught:
        read_corpus_list(path)
    assert str(path) in str(caught.value)


def test_missing_list(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        read_corpus_list(tmp_path / "none.toml")


def test_config_on_another_corpus_keeps_all_but_the_place():
    config = Config()
    config.data.corpus = "asvspoof2021_la"
    config.data.subset, config.data.audio_dir = "progress", "flac"
    config.data.num_samples = 7_000
    other = config_on(config, parse_corpus_flag("x=folders:/d,problems=warn"))
    assert (other.data.corpus, other.data.root) == ("folders", "/d")
    assert (other.data.subset, other.data.audio_dir) == ("", "")
    assert other.data.num_samples == 7_000
    assert other.data.problems.bad_audio == "warn"
    assert config.data.subset == "progress"


def test_a_name_is_given_once():
    one = parse_corpus_flag("x=folders:/d")
    with pytest.raises(ConfigError, match="'x' is named twice"):
        unique_names([one, one])
