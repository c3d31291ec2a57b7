"""The table of sources: what it says of a path, and what is wrong with a bad one."""

import re

import pytest

from rawnet_jax.errors import ConfigError
from rawnet_jax.pool.table import BACKGROUNDS, FAKE, REAL, choose, group_of, read_table
from tests.pool.small_clones import FAKE as FAKES
from tests.pool.small_clones import REAL as REALS
from tests.pool.small_clones import table_text

COMMITS = {REALS: "a" * 40, FAKES: "b" * 40}


@pytest.fixture(scope="module")
def own():
    return read_table()


def told(table, repository: str, path: str):
    (source,) = [each for each in table.source if each.repository == repository]
    return choose(table, source, path)


def test_every_source_names_licence_and_attribution(own):
    assert len(own.source) >= 20
    for source in own.source:
        assert source.licence.strip()
        assert source.licence_file
        assert source.attribution.strip()
        assert source.files > 0
        assert source.rule
        for rule in source.rule:
            assert rule.skip or rule.label in (REAL, FAKE, *BACKGROUNDS)


def test_each_dev_fold_and_test_hold_families_and_real_speech(own):
    real = {rule.group for source in own.source for rule in source.rule if rule.label == REAL}
    assert real == set(own.families.values()) == {"train", "fold1", "fold2", "fold3", "test"}


@pytest.mark.parametrize(
    ("repository", "path", "label", "speaker"),
    [
        (
            "resemble-ai/Resemblyzer",
            "audio_data/librispeech_train-clean-100/103-1240-0000.flac",
            REAL,
            "libri_103",
        ),
        ("rhasspy/dataset-voice-kerstin", "verified/de_rhasspy-0001.flac", REAL, "kerstin"),
        (
            "k2-fsa/sherpa",
            "onnx/tts/all/piper/mp3/de_DE/vits-piper-de_DE-kerstin-low/0.mp3",
            FAKE,
            "kerstin",  # the same speaker, so that no fold has her on two sides
        ),
        (
            "k2-fsa/sherpa",
            "onnx/tts/all/piper/mp3/en_US/vits-piper-en_US-libritts_r-medium/7.mp3",
            FAKE,
            "libritts_7",
        ),
        ("synesthesiam/opentts", "samples/larynx/de/eva_k-glow_tts/sample_0.wav", FAKE, "eva_k"),
        (
            "MycroftAI/mimic3-voices",
            "samples/fr_FR/m-ailabs_low/sample_gilles_g_le_blanc.wav",
            FAKE,
            "gilles",
        ),
    ],
)
def test_own_table_knows_a_file(own, repository, path, label, speaker):
    choice = told(own, repository, path)
    assert choice is not None
    assert not choice.skip
    assert (choice.rule.label, choice.speaker) == (label, speaker)


@pytest.mark.parametrize(
    ("repository", "path"),
    [
        ("resemble-ai/Resemblyzer", "audio_data/librispeech_test-other/367/367-130732-0000.flac"),
        ("resemble-ai/Resemblyzer", "audio_data/donald_trump/real/x.mp3"),
        ("mindslab-ai/univnet", "docs/samples/unseen/ground_truth/1089_134686_000007_000005.wav"),
        ("mindslab-ai/univnet", "docs/samples/unseen/c32/1089_134686_000007_000005.wav"),
        ("k2-fsa/sherpa", "onnx/tts/all/piper/mp3/en_GB/vits-piper-en_GB-vctk-medium/5.mp3"),
        ("MycroftAI/mimic3-voices", "samples/en_US/vctk_low/sample_p239.wav"),
        ("MycroftAI/mimic3-voices", "samples/en_UK/apope_low/sample.wav"),
        ("MycroftAI/Precise-Community-Data", "heysavant/wake-word/en/a.wav"),
        ("keonlee9420/DiffGAN-TTS", "demo/VCTK/naive_diffusion_300k/p225-001.wav"),
    ],
)
def test_own_table_leaves_out_what_evaluation_uses_and_what_is_not_permissive(
    own, repository, path
):
    choice = told(own, repository, path)
    assert choice is not None
    assert choice.skip


def test_the_first_rule_that_matches_decides_and_fills_its_templates(tmp_path):
    path = tmp_path / "t.toml"
    path.write_text(table_text(COMMITS))
    table = read_table(path)
    choice = told(table, FAKES, "fold2/s31_0.wav")
    assert choice is not None
    assert (choice.speaker, choice.system, choice.language) == ("fake_s31", "Sys-fold2", "ar")
    assert group_of(table, choice.rule) == "fold2"
    assert told(table, FAKES, "elsewhere/a_0.wav") is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('group = "fold1"', 'group = "fold9"', "group is 'fold9', none of train, fold1"),
        ('family = "fam-fold1"', 'family = "none"', r"family 'none' is not in \[families\]"),
        ('fam-test = "test"', 'fam-test = "eval"', "family fam-test is in 'eval'"),
        ('licence = "CC0-1.0"', 'licence = ""', "licence and licence_file must not be blank"),
        ("a" * 40, "main", "commit 'main': must be 40 hexadecimal digits"),
        (REALS, "no owner", "must be owner/name"),
        (FAKES, REALS, "is there twice"),
        ("^junk/", "(", "path is not a regular expression"),
        ('speaker = "real_{s}"', 'speaker = "{t}"', "names no group of path"),
        ('label = "bonafide"', 'label = "real"', "label is 'real'; it must be bonafide, spoof"),
        ("files = 20", 'files = "all"', "files is 'all'; it must be a whole number"),
        ("files = 20", "number = 20", "number is not known; there are repository"),
        ("files = 20\n", "\n", "must have files"),
        ("version = 1", "version = ", "is not TOML"),
        ("[[left_out]]", "[left_out]", "left_out must be a list of tables"),
    ],
)
def test_a_bad_table_is_one_line_that_says_where(tmp_path, old, new, message):
    path = tmp_path / "t.toml"
    text = table_text(COMMITS)
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(ConfigError, match=message) as caught:
        read_table(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_table_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match=re.escape(f"{tmp_path}/t.toml: cannot be read")):
        read_table(tmp_path / "t.toml")
