"""One protocol by itself: its form is found, or its corpus asked for."""

import pytest

from rawnet_jax.data.protocol_file import PROTOCOL_CORPORA, read_protocol
from rawnet_jax.errors import DataError
from rawnet_jax.labels import Label

LINES = {
    "asvspoof2017": ("T_1000001.wav genuine M0002 S05 - - -", "T_1000001", {"phrase": "S05"}),
    "asvspoof2019_la": ("LA_0039 LA_E_2834763 - A11 spoof", "LA_E_2834763", {}),
    "asvspoof2019_pa": ("PA_0039 PA_E_1 aaa AA spoof", "PA_E_1", {"environment": "aaa"}),
    "asvspoof2021_la": (
        "LA_0009 LA_E_9332881 alaw ita_tx A07 spoof notrim eval",
        "LA_E_9332881",
        {"codec": "alaw", "transmission": "ita_tx"},
    ),
    "asvspoof2021_pa": (
        "PA_0010 PA_E_1000001 R3 M3 d4 r1 m1 s4 c4 spoof notrim eval",
        "PA_E_1000001",
        {"asv_room": "R3"},
    ),
    "asvspoof2021_df": (
        "LA_0023 DF_E_2000011 nocodec asvspoof A14 spoof notrim progress traditional_vocoder "
        "- - - -",
        "DF_E_2000011",
        {"vocoder_type": "traditional_vocoder"},
    ),
    "asvspoof5": ("E_0001 E_0000000001 F C01 1 - AC1 A17 spoof -", "E_0000000001", {"gender": "F"}),
    "in_the_wild": ("file,speaker,label\n0.wav,Alec Guinness,spoof", "0", {}),
    "mlaad": (
        'path|original_file|language|model_name|transcript\nfake/en/m/a.wav|x|en|My M|he "said"',
        "fake/en/m/a",
        {"language": "en"},
    ),
    "add2022": ("ADD_T_1.wav fake", "ADD_T_1", {}),
    "add2023_rl": (
        "ADD2023_T2_T_00000002 0.00-1.62-T/1.62-2.48-F 0",
        "ADD2023_T2_T_00000002",
        {"segments": "0-1.62-bonafide 1.62-2.48-spoof"},
    ),
    "codecfake": ("F01_SSB13650058.wav fake 1", "F01_SSB13650058", {}),
    "ctrsvdd": (
        "jvsmusic CtrSVDD_0097 CtrSVDD_0097_D_1 - A06 deepfake",
        "CtrSVDD_0097_D_1",
        {"source_corpus": "jvsmusic"},
    ),
    "spoofceleb": ("file,speaker,attack\na06/id1/x.flac,id1,a06", "a06/id1/x", {}),
    "deepfake_eval_2024": (
        "Filename,Date,Ground Truth,Public Comments,Finetuning Set\na.wav,x,Fake,,Test",
        "a",
        {"partition": "eval"},
    ),
    "diffssd": (
        "filename,method_name,category,source,set,target\nx/a.wav,tts,c,s,val,1",
        "x/a",
        {"partition": "dev"},
    ),
    "llamapartialspoof": (
        "TTS001_1 1.0 spoof 0.0-0.4-bonafide 0.4-1.0-spoof",
        "TTS001_1",
        {"segments": "0.0-0.4-bonafide 0.4-1.0-spoof"},
    ),
    "fmfcc_a": ("20000002.wav,0,A02_MP3", "20000002", {"codec": "MP3"}),
    "manifest": ("path,label,accent\na/b.wav,spoof,Scots", "a/b", {"accent": "Scots"}),
}

# Their lists are of the form of another corpus above.
ALIKE = {"add2023", "had", "partialspoof", "df_arena"}


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("corpus", LINES)
def test_every_corpus_is_recognised(corpus, named, tmp_path):
    assert set(LINES) | ALIKE == set(PROTOCOL_CORPORA)
    text, utterance, metadata = LINES[corpus]
    path = tmp_path / "protocol.txt"
    path.write_text(f"\n{text}\n" if corpus.startswith("asv") else text)
    (trial,) = read_protocol(path, corpus if named else "")
    assert trial.utterance_id == utterance
    assert trial.label in (Label.SPOOF, Label.BONAFIDE)
    assert metadata.items() <= trial.metadata.items()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("LA_E_1\nLA_E_2\n", "p.txt:1: a line of 1 columns that has no key"),
        ("LA_E_1 0.25\n", "2 columns that has no key"),
        ("a b c\n", "3 columns that fits no corpus; give one of asvspoof2017"),
        ("x LA_E_1 - A11 fake\n", "5 columns that fits no corpus"),
        ("S a - - bonafide\nS a - - bonafide\n", "p.txt:2: utterance 'a' was named before"),
        ("S a - - bonafide\nS b - -\n", "p.txt:2: 4 columns; there must be 5"),
    ],
)
def test_what_cannot_be_used_is_named(text, words, tmp_path):
    path = tmp_path / "p.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=words) as caught:
        read_protocol(path)
    assert "config." not in str(caught.value)


def test_an_unknown_corpus_is_refused(tmp_path):
    path = tmp_path / "p.txt"
    path.write_text("S a - - bonafide\n")
    with pytest.raises(DataError, match="'folders' is unknown; known: asvspoof2017"):
        read_protocol(path, "folders")
    with pytest.raises(DataError, match="5 columns; there must be 1 or 8"):
        read_protocol(path, "asvspoof2021_la")


def test_real_protocols(shared_data):
    trials = read_protocol(shared_data / "protocols" / "ASVspoof2019.LA.cm.eval.trl.txt")
    assert len(trials) == 71_237
    assert sum(trial.label == Label.BONAFIDE for trial in trials) == 7_355
    assert len(read_protocol(shared_data / "protocols" / "ASVspoof2017_V2_train.trn.txt")) == 3_014


def test_a_list_of_ones_own_is_told_by_its_header(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text("file|key|speaker\na.wav|Fake|x\nb.wav|real|y\n")
    assert [trial.label for trial in read_protocol(path)] == [0, 1]
    path.write_text("file,speaker,label\na.wav,x,1\nb.wav,y,0\n")
    with pytest.raises(DataError, match=r"own\.csv: has keys 0 and 1, .*--one-means") as caught:
        read_protocol(path)
    assert "\n" not in str(caught.value)
    assert [trial.label for trial in read_protocol(path, one_means="spoof")] == [0, 1]
