"""Parsers of lists of one's own and of folder trees."""

import pytest

from rawnet_jax.config import ProblemPolicy
from rawnet_jax.data.manifests import parse_folders, parse_in_the_wild, parse_manifest
from rawnet_jax.data.protocols import parse_asvspoof2019
from rawnet_jax.data.trial import ProblemLedger
from rawnet_jax.errors import DataError
from rawnet_jax.labels import Label


def parse(parser, text, ledger=None):
    return parser(text.split("\n"), "list.txt", ledger or ProblemLedger(ProblemPolicy()))


def test_a_manifest_keeps_every_column():
    text = (
        "Path,LABEL,Speaker,attack,partition,Room\n"
        '"a b/c, d.wav",spoof,Ann,my tts,train,"kitchen, big"\n'
        "sub\\e.FLAC,bona-fide,-,,eval,-\n"
        "./g.mp3,,Bob,-,dev,hall\n"
    )
    one, two, three = parse(parse_manifest, text)
    assert (one.audio_name, one.utterance_id) == ("a b/c, d.wav", "a_b/c,_d")
    assert (one.label, one.speaker_id, one.attack_id) == (Label.SPOOF, "Ann", "my_tts")
    assert one.metadata == {"partition": "train", "room": "kitchen, big"}
    assert (two.audio_name, two.utterance_id) == ("sub/e.FLAC", "sub/e")
    assert (two.label, two.speaker_id, two.attack_id) == (Label.BONAFIDE, None, None)
    assert two.metadata == {"partition": "eval"}
    assert (three.audio_name, three.label, three.source) == ("g.mp3", None, "list.txt:4")


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_a_manifest_is_separated_as_its_header_is(delimiter):
    text = "\ufeff" + "\r\n".join(
        delimiter.join(row)
        for row in (("utterance_id", "path", "label"), ("u1", "x.wav", "spoof"), ("", "", ""))
    )
    (trial,) = parse(parse_manifest, text, ProblemLedger.counting())
    assert (trial.utterance_id, trial.audio_name) == ("u1", "x.wav")
    assert trial.metadata == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "name,label\na.wav,spoof",
            r"list\.txt:1: the header has no column path \(or file, filename, file_name, utt\); it",
        ),
        ("path,class\na.wav,spoof", r"list\.txt:1: the header has no column label"),
        ("path,label,label\na,spoof,spoof", r"list\.txt:1: columns label and label are the same"),
        ("path,label\na.wav,spoof,x", r"list\.txt:2: 3 values where the header names 2 columns"),
        ('path,label\n"a.wav,spoof', r"list\.txt:2: a quoted value is not closed"),
        ("path,label\n,spoof", r"list\.txt:2: the path is blank"),
        ("path,label,partition\na.wav,spoof,test", r"list\.txt:2: partition 'test' is none of"),
        ("path,label\na.wav,2", r"list\.txt:2: key '2' is none of genuine, .*real, human, fake"),
        ("path,label\na.wav,1", r"list\.txt: has keys 0 and 1, .*; set config\.data\.one_means"),
        ("path,label\na.wav,real\nb.wav,0.0", r"list\.txt: has keys 0 and 1, whose meaning"),
        ("path,label\na.wav,spoof\n./a.wav,spoof", r"list\.txt:3: utterance 'a' was named before"),
        ("path,label\n", r"list\.txt: no usable line"),
        ("", r"list\.txt:1: the header has no column path .* and no column label"),
    ],
)
def test_a_wrong_manifest_is_named_by_line(text, message):
    with pytest.raises(DataError, match=message):
        parse(parse_manifest, text)


def test_keys_as_people_write_them():
    words = {"bonafide": 1, "Bona-Fide": 1, "GENUINE": 1, "real": 1, "human": 1}
    words |= {"spoof": 0, "Fake": 0, "deepfake": 0, "synthetic": 0}
    text = "path,label\n" + "".join(f"{word}.wav,{word}\n" for word in words)
    assert [t.label for t in parse(parse_manifest, text)] == list(words.values())
    with pytest.raises(DataError, match="key 'real' is none of genuine, bonafide, bona-fide"):
        parse(parse_asvspoof2019, "S1 LA_T_1 - - real")


@pytest.mark.parametrize(("one_means", "labels"), [("bonafide", [1, 0, 1]), ("spoof", [0, 1, 0])])
def test_what_1_means_is_stated(one_means, labels):
    lines = ["path|label", "a.wav|1", "b.wav|0", "c.wav|1.0"]
    trials = parse_manifest(lines, "l", ProblemLedger(ProblemPolicy()), one_means)
    assert [t.label for t in trials] == labels
    lines = ["1/a.wav", "0/b.wav", "1/c.wav"]
    trials = parse_folders(lines, "l", ProblemLedger(ProblemPolicy()), one_means)
    assert [t.label for t in trials] == labels


@pytest.mark.parametrize("name", ["path", "File", "filename", "file_name", "utt"])
def test_columns_as_people_name_them(name):
    (trial,) = parse(parse_manifest, f"key;{name}\nfake;x/a.wav")
    assert (trial.audio_name, trial.label) == ("x/a.wav", Label.SPOOF)


def test_a_path_goes_before_other_names():
    (trial,) = parse(parse_manifest, "filename,path,label\na.wav,x/a.wav,real")
    assert (trial.audio_name, trial.metadata) == ("x/a.wav", {"filename": "a.wav"})


def test_an_open_quote_costs_one_line_only():
    ledger = ProblemLedger.counting()
    text = 'path,label\na.wav,spoof\n"b.wav,spoof\nc.wav,spoof'
    assert [t.utterance_id for t in parse(parse_manifest, text, ledger)] == ["a", "c"]
    assert ledger.counts == {"bad_line": 1}


def test_a_column_without_a_name_is_left_out():
    (trial,) = parse(parse_manifest, ",path,label\n0,a.wav,spoof")
    assert trial.metadata == {}


def test_in_the_wild():
    text = 'file,speaker,label\n0.wav,Alec Guinness,spoof\n1.wav,"King, Martin Luther",bona-fide'
    one, two = parse(parse_in_the_wild, text)
    assert (one.utterance_id, one.audio_name, one.label) == ("0", "0.wav", Label.SPOOF)
    assert (two.speaker_id, two.label, two.metadata) == ("King, Martin Luther", Label.BONAFIDE, {})
    with pytest.raises(DataError, match="no column file"):
        parse(parse_in_the_wild, "path,speaker,label\n0.wav,x,spoof")


def test_folders():
    one, two = parse(parse_folders, "bonafide/a b.wav\nspoof/tts/x/c.wav")
    assert (one.utterance_id, one.label, one.metadata) == ("bonafide/a_b", Label.BONAFIDE, {})
    assert (one.audio_name, two.audio_name) == ("bonafide/a b.wav", "spoof/tts/x/c.wav")
    assert (two.label, two.metadata) == (Label.SPOOF, {"folder": "tts/x"})
    with pytest.raises(DataError, match="lies in no folder named bonafide or spoof"):
        parse(parse_folders, "a.wav")
    with pytest.raises(DataError, match="key 'other' is none of"):
        parse(parse_folders, "other/a.wav")
