"""Published layouts, joining trials to audio, and what is said when something is not there."""

from pathlib import Path

import pytest

from rawnet_jax.config import DataConfig, ProblemPolicy
from rawnet_jax.data.audio_index import AudioIndex, audio_files
from rawnet_jax.data.corpus import CORPORA, PARTITIONS, load_partition, present_partitions
from rawnet_jax.data.trial import ProblemLedger
from rawnet_jax.errors import ConfigError, DataError
from tests.data.made_corpora import MADE


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def load(config, partition, ledger=None):
    return load_partition(config, partition, ledger or ProblemLedger(config.problems))


def ids(clips):
    return [clip.trial.utterance_id for clip in clips]


def rows_2019(letter):
    return f"S1 {letter}_1 - - bonafide\nS2 {letter}_2 - A01 spoof\n"


ROWS_5 = "{0}_1 {0}_01 F - - - - bonafide bonafide -\n{0}_2 {0}_02 M - - - AC1 A09 spoof -\n"
ROWS_DF = (
    "S DF_1 nocodec asvspoof - bonafide notrim eval bonafide - - - -\n"
    "S DF_2 nocodec vcc2018 A1 spoof notrim progress unknown - - - -\n"
)

# corpus, partition, protocol, its text, audio files, in the order of the protocol
LAYOUTS = [
    (
        "asvspoof2017",
        "train",
        "protocol_V2/ASVspoof2017_V2_train.trn.txt",
        "T_1.wav genuine M1 S01 - - -\nT_2.wav spoof M1 S01 E01 P01 R01",
        ["ASVspoof2017_V2_train/T_1.wav", "ASVspoof2017_V2_train/T_2.wav"],
    ),
    (
        "asvspoof2017",  # every archive unpacked into a folder of its own
        "dev",
        "protocol_V2/ASVspoof2017_V2_dev.trl.txt",
        "D_1.wav genuine M1 S01 - - -",
        ["ASVspoof2017_V2_dev/ASVspoof2017_V2_dev/D_1.wav"],
    ),
    (
        "asvspoof2017",  # version 1
        "train",
        "ASVspoof2017_train_dev/protocol/ASVspoof2017_train.trn",
        "T_1.wav genuine M1 S01 - - -",
        ["ASVspoof2017_train_dev/wav/train/T_1.wav"],
    ),
    (
        "asvspoof2017",
        "eval",
        "ASVspoof2017_eval/protocol/ASVspoof2017_eval.trl.txt",
        "E_1.wav S01",
        ["ASVspoof2017_eval/E_1.wav"],
    ),
    (
        "asvspoof2019_la",
        "train",
        "LA/ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.train.trn.txt",
        rows_2019("LA_T"),
        ["LA/ASVspoof2019_LA_train/flac/LA_T_1.flac", "LA/ASVspoof2019_LA_train/flac/LA_T_2.flac"],
    ),
    (
        "asvspoof2019_pa",
        "eval",
        "ASVspoof2019_PA_cm_protocols/ASVspoof2019.PA.cm.eval.trl.txt",
        "PA_1 PA_E_1 aaa - bonafide",
        ["ASVspoof2019_PA_eval/flac/PA_E_1.flac"],
    ),
    (
        "asvspoof2021_la",
        "eval",
        "keys/LA/CM/trial_metadata.txt",
        "S LA_E_1 alaw ita_tx A07 spoof notrim eval",
        ["ASVspoof2021_LA_eval/flac/LA_E_1.flac"],
    ),
    (
        "asvspoof2021_pa",  # the root is the unpacked archive; no keys
        "eval",
        "ASVspoof2021.PA.cm.eval.trl.txt",
        "PA_E_1",
        ["flac/PA_E_1.flac"],
    ),
    (
        "asvspoof2021_df",  # four archives, each in a folder of its own
        "eval",
        "DF-keys-full/keys/DF/CM/trial_metadata.txt",
        ROWS_DF,
        [
            "ASVspoof2021_DF_eval_part00/ASVspoof2021_DF_eval/flac/DF_1.flac",
            "ASVspoof2021_DF_eval_part01/ASVspoof2021_DF_eval/flac/DF_2.flac",
        ],
    ),
    (
        "asvspoof5",
        "train",
        "ASVspoof5.train.tsv",
        ROWS_5.format("T"),
        ["flac_T/T_01.flac", "flac_T/T_02.flac"],
    ),
    (
        "asvspoof5",
        "eval",
        "ASVspoof5_protocols/ASVspoof5.eval.track_1.tsv",
        ROWS_5.format("E"),
        ["flac_E_eval/E_01.flac", "flac_E_eval/E_02.flac"],
    ),
    (
        "in_the_wild",
        "eval",
        "release_in_the_wild/meta.csv",
        "file,speaker,label\n0.wav,A B,spoof\n1.wav,C,bona-fide",
        ["release_in_the_wild/0.wav", "release_in_the_wild/1.wav"],
    ),
    (
        "manifest",
        "dev",
        "manifest.csv",
        "path,label,partition\na/x.wav,spoof,dev\nb/y.ogg,bonafide,dev",
        ["a/x.wav", "b/y.ogg"],
    ),
    ("folders", "eval", "", "", ["eval/bonafide/x.wav", "eval/spoof/tts/y.flac"]),
]


@pytest.mark.parametrize(("corpus", "partition", "protocol", "text", "audio"), LAYOUTS)
def test_published_layouts_are_found(tmp_path, corpus, partition, protocol, text, audio):
    if protocol:
        write(tmp_path / protocol, text)
    for name in audio:
        write(tmp_path / name)
    config = DataConfig(corpus=corpus, root=str(tmp_path))
    clips = load(config, partition, ProblemLedger(ProblemPolicy(unlisted_audio="error")))
    assert [clip.path for clip in clips] == [tmp_path / name for name in audio]
    assert present_partitions(config) == (partition,)


def test_every_corpus_is_tried_above():
    assert {row[0] for row in LAYOUTS} | set(MADE) == set(CORPORA)


def test_published_counts():
    published = {
        (corpus, name): place.num_trials
        for corpus, layout in CORPORA.items()
        for name, place in layout.partitions.items()
        if place.num_trials is not None
    }
    assert published["asvspoof2019_la", "eval"] == (7_355, 63_882)
    totals = {key: sum(counts) for key, counts in published.items()}
    assert totals["asvspoof2017", "train"] == 3_014
    assert [totals[f"asvspoof2021_{track}", "eval"] for track in ("la", "pa", "df")] == [
        *(181_566, 943_110, 611_829)
    ]
    assert [totals["asvspoof5", name] for name in PARTITIONS] == [182_357, 140_950, 680_774]
    assert totals["in_the_wild", "eval"] == 31_779


def test_keys_win_over_a_list_of_trials(tmp_path):
    write(tmp_path / "ASVspoof2021_DF_eval/ASVspoof2021.DF.cm.eval.trl.txt", "DF_1\nDF_2")
    write(tmp_path / "keys/DF/CM/trial_metadata.txt", ROWS_DF)
    for name in ("DF_1", "DF_2"):
        write(tmp_path / f"ASVspoof2021_DF_eval/flac/{name}.flac")
    config = DataConfig(corpus="asvspoof2021_df", root=str(tmp_path))
    clips = load(config, "eval")
    assert all(clip.trial.label is not None for clip in clips)
    config.subset = "progress"
    assert ids(load(config, "eval", ProblemLedger(ProblemPolicy(unlisted_audio="error")))) == [
        "DF_2"
    ]
    config.subset = "hidden"
    with pytest.raises(DataError, match=r"no trial is of subset 'hidden'.*it has eval, progress"):
        load(config, "eval")


@pytest.fixture
def shared_folder(tmp_path):
    """A corpus with lists of its own whose partitions share one folder of audio."""
    for partition in PARTITIONS:
        write(tmp_path / f"{partition}.txt", rows_2019(partition))
        for i in (1, 2):
            write(tmp_path / f"audio/{partition}_{i}.wav")
    return DataConfig(
        corpus="asvspoof2019_la",
        root=str(tmp_path),
        train_protocol="train.txt",
        dev_protocol="dev.txt",
        eval_protocol="eval.txt",
        audio_dir="audio",
        problems=ProblemPolicy(unlisted_audio="error"),
    )


def test_audio_of_other_partitions_is_not_unlisted(shared_folder):
    for partition in PARTITIONS:
        assert ids(load(shared_folder, partition)) == [f"{partition}_1", f"{partition}_2"]


def test_audio_that_no_partition_names_is_unlisted(shared_folder):
    write(Path(shared_folder.root) / "audio/extra.wav")
    write(Path(shared_folder.root) / "audio/._dev_1.wav")  # macOS writes such beside every file
    write(Path(shared_folder.root) / "audio/README.txt")
    with pytest.raises(DataError, match=r"audio/extra\.wav: audio that .*dev\.txt does not name"):
        load(shared_folder, "dev")
    ledger = ProblemLedger.counting()
    load(shared_folder, "dev", ledger)
    assert ledger.counts == {"unlisted_audio": 1}


def test_missing_audio_is_fatal_or_left_out(shared_folder):
    (Path(shared_folder.root) / "audio/dev_2.wav").unlink()
    with pytest.raises(
        DataError, match=r"dev\.txt:2: the audio of dev_2 is missing: no dev_2 in .*audio"
    ):
        load(shared_folder, "dev")
    ledger = ProblemLedger.counting()
    assert ids(load(shared_folder, "dev", ledger)) == ["dev_1"]
    assert ledger.counts == {"missing_audio": 1}
    (Path(shared_folder.root) / "audio/dev_1.wav").unlink()
    with pytest.raises(DataError, match="none of its 2 trials has audio in"):
        load(shared_folder, "dev", ledger)


def test_a_name_that_two_folders_hold_is_not_guessed(shared_folder):
    write(Path(shared_folder.root) / "audio/copy/dev_1.wav")
    with pytest.raises(DataError, match=r"dev_1 is ambiguous: .*dev_1\.wav or .*dev_1\.wav"):
        load(shared_folder, "dev")


def test_an_index_finds_audio_whatever_its_extension(tmp_path):
    for name in ("a.wav", "b.FLAC", "sub/c.ogg", "sub/d.wav", "e.txt", ".f.wav"):
        write(tmp_path / name)
    index = AudioIndex([tmp_path])
    found = {
        name: (index.find(name) or (None,))[0]
        for name in ("a", "a.wav", "a.flac", "b.flac", "b.wav", "c", "sub/c", "d.wav", "e", "f")
    }
    assert found == {
        **dict.fromkeys(("a", "a.wav", "a.flac"), f"{tmp_path}/a.wav"),
        **dict.fromkeys(("b.flac", "b.wav"), f"{tmp_path}/b.FLAC"),
        **dict.fromkeys(("c", "sub/c"), f"{tmp_path}/sub/c.ogg"),
        "d.wav": f"{tmp_path}/sub/d.wav",
        **dict.fromkeys(("e", "f")),
    }
    assert len(index.paths) == 4
    assert set(AudioIndex([tmp_path], recursive=False).paths) == {
        f"{tmp_path}/a.wav",
        f"{tmp_path}/b.FLAC",
    }
    with pytest.raises(DataError, match="cannot be read"):
        list(audio_files(tmp_path / "none", recursive=True))


def test_paths_relative_to_the_working_folder(tmp_path, monkeypatch):
    write(tmp_path / "train.csv", "path,label\na.wav,spoof\n")
    write(tmp_path / "a.wav")
    monkeypatch.chdir(tmp_path)
    config = DataConfig(corpus="manifest", root=".", problems=ProblemPolicy(unlisted_audio="error"))
    assert [clip.path for clip in load(config, "train")] == [Path("a.wav")]


# What is said when something is not there


def config_2019(root, **fields):
    return DataConfig(corpus="asvspoof2019_la", root=str(root), **fields)


@pytest.mark.parametrize(
    ("config", "error", "message"),
    [
        (
            lambda root: DataConfig(corpus="asvspoof2019la", root=str(root)),
            ConfigError,
            r"'asvspoof2019la', which is not known; did you mean 'asvspoof2019_la'\?",
        ),
        (lambda root: DataConfig(corpus="x"), ConfigError, "not known; there are asvspoof2017"),
        (lambda root: DataConfig(), DataError, r"set --config\.data\.root to the folder of"),
        (
            lambda root: config_2019(root / "none"),
            DataError,
            r"none: no such folder; set --config\.data\.root",
        ),
        (config_2019, DataError, r"no train list of asvspoof2019_la; looked for ASVspoof2019_LA"),
        (
            lambda root: config_2019(root, train_protocol="x.txt"),
            DataError,
            r"x\.txt: no such file \(config\.data\.train_protocol\)",
        ),
        (
            lambda root: config_2019(root, train_protocol="list.txt"),
            DataError,
            r"no audio folder for the train partition; looked for ASVspoof2019_LA_train/flac",
        ),
        (
            lambda root: config_2019(root, train_protocol="list.txt", audio_dir="x"),
            DataError,
            r"x: no such folder \(config\.data\.audio_dir\)",
        ),
        (
            lambda root: DataConfig(corpus="asvspoof2021_la", root=str(root)),
            DataError,
            r"asvspoof2021_la has no train partition, only eval; .*train_protocol",
        ),
        (
            lambda root: DataConfig(corpus="folders", root=str(root), train_protocol="x"),
            DataError,
            r"x: no such folder \(config\.data\.train_protocol\)",
        ),
        (
            lambda root: DataConfig(corpus="folders", root=str(root), train_protocol="."),
            DataError,
            "holds no folder named bonafide or spoof",
        ),
    ],
)
def test_what_is_not_there_is_said_in_one_line(tmp_path, config, error, message):
    write(tmp_path / "list.txt", "S1 U1 - - bonafide")
    with pytest.raises(error, match=message) as raised:
        load(config(tmp_path), "train", ProblemLedger.counting())
    assert "\n" not in str(raised.value)


def test_an_unknown_partition_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="partition 'test' is none of train, dev, eval"):
        load(config_2019(tmp_path), "test")


def test_a_named_list_serves_a_partition_that_is_not_published(tmp_path):
    write(tmp_path / "mine.txt", "LA_E_1")
    write(tmp_path / "ASVspoof2021_LA_eval/flac/LA_E_1.flac")
    config = DataConfig(corpus="asvspoof2021_la", root=str(tmp_path), dev_protocol="mine.txt")
    assert ids(load(config, "dev")) == ["LA_E_1"]


def test_real_speech(shared_data):
    config = DataConfig(
        corpus="asvspoof2019_la",
        root=str(shared_data / "speech"),
        train_protocol="train.trl.txt",
        dev_protocol="dev.trl.txt",
        eval_protocol="eval.trl.txt",
        audio_dir="flac",
        problems=ProblemPolicy(unlisted_audio="error"),
    )
    assert [len(load(config, name)) for name in PARTITIONS] == [1_418, 318, 1_008]
