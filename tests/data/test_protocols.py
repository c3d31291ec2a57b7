"""Parsers of published protocols."""

import random
import time

import pytest

from rawnet_jax.config import ProblemPolicy
from rawnet_jax.data.protocols import (
    parse_asvspoof5,
    parse_asvspoof2017,
    parse_asvspoof2019,
    parse_asvspoof2021_df,
    parse_asvspoof2021_la,
    parse_asvspoof2021_pa,
)
from rawnet_jax.data.text_file import read_lines
from rawnet_jax.data.trial import ProblemLedger
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.labels import Label


def parse(parser, text, ledger=None):
    return parser(text.split("\n"), "list.txt", ledger or ProblemLedger(ProblemPolicy()))


# parser, line, (utterance_id, label, audio_name, speaker_id, attack_id, metadata)
LINES = [
    pytest.param(
        parse_asvspoof2017,
        "T_1001509.wav spoof M0002 S05 E03 P01 R01",
        ("T_1001509", Label.SPOOF, "T_1001509.wav", "M0002", None),
        {
            "phrase": "S05",
            "environment": "E03",
            "playback_device": "P01",
            "recording_device": "R01",
        },
        id="2017-spoof",
    ),
    pytest.param(
        parse_asvspoof2017,
        "T_1000001.wav genuine M0002 S05 - - -",
        ("T_1000001", Label.BONAFIDE, "T_1000001.wav", "M0002", None),
        {"phrase": "S05"},
        id="2017-genuine",
    ),
    pytest.param(
        parse_asvspoof2017,
        "E_1000001.wav S03",
        ("E_1000001", None, "E_1000001.wav", None, None),
        {"phrase": "S03"},
        id="2017-V1-eval",
    ),
    pytest.param(
        parse_asvspoof2017,
        "E_1000001.wav spoof",
        ("E_1000001", Label.SPOOF, "E_1000001.wav", None, None),
        {},
        id="2017-V1-key",
    ),
    pytest.param(
        parse_asvspoof2019,
        "LA_0039 LA_E_2834763 - A11 spoof",
        ("LA_E_2834763", Label.SPOOF, "LA_E_2834763", "LA_0039", "A11"),
        {},
        id="2019-LA-spoof",
    ),
    pytest.param(
        parse_asvspoof2019,
        "LA_0069 LA_D_1047731 - - bonafide",
        ("LA_D_1047731", Label.BONAFIDE, "LA_D_1047731", "LA_0069", None),
        {},
        id="2019-LA-bonafide",
    ),
    pytest.param(
        parse_asvspoof2019,
        "PA_0079 PA_T_0005401 aaa AA spoof",
        ("PA_T_0005401", Label.SPOOF, "PA_T_0005401", "PA_0079", "AA"),
        {"environment": "aaa"},
        id="2019-PA",
    ),
    pytest.param(
        parse_asvspoof2021_la,
        "LA_0009 LA_E_9332881 alaw ita_tx A07 spoof notrim eval",
        ("LA_E_9332881", Label.SPOOF, "LA_E_9332881", "LA_0009", "A07"),
        {"codec": "alaw", "transmission": "ita_tx", "trim": "notrim", "subset": "eval"},
        id="2021-LA",
    ),
    pytest.param(
        parse_asvspoof2021_la,
        "LA_0020 LA_E_1000147 alaw ita_tx bonafide bonafide notrim progress",
        ("LA_E_1000147", Label.BONAFIDE, "LA_E_1000147", "LA_0020", None),
        {"codec": "alaw", "transmission": "ita_tx", "trim": "notrim", "subset": "progress"},
        id="2021-LA-bonafide",
    ),
    pytest.param(
        parse_asvspoof2021_la,
        "LA_E_9332881",
        ("LA_E_9332881", None, "LA_E_9332881", None, None),
        {},
        id="2021-trial-list",
    ),
    pytest.param(
        parse_asvspoof2021_pa,
        "PA_0010 PA_E_1000001 R3 M3 d4 r1 m1 s4 c4 spoof notrim eval",
        ("PA_E_1000001", Label.SPOOF, "PA_E_1000001", "PA_0010", None),
        {
            "asv_room": "R3",
            "asv_microphone": "M3",
            "asv_distance": "d4",
            "attacker_room": "r1",
            "attacker_microphone": "m1",
            "playback_device": "s4",
            "attacker_distance": "c4",
            "trim": "notrim",
            "subset": "eval",
        },
        id="2021-PA",
    ),
    pytest.param(
        parse_asvspoof2021_df,
        "LA_0023 DF_E_2000011 nocodec asvspoof A14 spoof notrim progress traditional_vocoder"
        " - - - -",
        ("DF_E_2000011", Label.SPOOF, "DF_E_2000011", "LA_0023", "A14"),
        {
            "codec": "nocodec",
            "source_corpus": "asvspoof",
            "trim": "notrim",
            "subset": "progress",
            "vocoder_type": "traditional_vocoder",
        },
        id="2021-DF",
    ),
    pytest.param(
        parse_asvspoof2021_df,
        "TEF2 DF_E_2000013 low_m4a vcc2020 Task1-team20 spoof notrim eval"
        " neural_vocoder_nonautoregressive Task1 team20 FF E",
        ("DF_E_2000013", Label.SPOOF, "DF_E_2000013", "TEF2", "Task1-team20"),
        {
            "codec": "low_m4a",
            "source_corpus": "vcc2020",
            "trim": "notrim",
            "subset": "eval",
            "vocoder_type": "neural_vocoder_nonautoregressive",
            "task": "Task1",
            "team": "team20",
            "gender_pair": "FF",
            "language": "E",
        },
        id="2021-DF-vcc2020",
    ),
    pytest.param(
        parse_asvspoof5,
        "E_1607 E_0009538969 F C01 4 E_0002630312 AC3 A26 spoof -",
        ("E_0009538969", Label.SPOOF, "E_0009538969", "E_1607", "A26"),
        {
            "gender": "F",
            "codec": "C01",
            "codec_quality": "4",
            "codec_seed": "E_0002630312",
            "attack_tag": "AC3",
        },
        id="5-spoof",
    ),
    pytest.param(
        parse_asvspoof5,
        "D_0062 D_0000000001 M - - - - bonafide bonafide -",
        ("D_0000000001", Label.BONAFIDE, "D_0000000001", "D_0062", None),
        {"gender": "M"},
        id="5-bonafide",
    ),
    pytest.param(
        parse_asvspoof5,
        "T_4850 T_0000000000 F - A05 spoof",
        ("T_0000000000", Label.SPOOF, "T_0000000000", "T_4850", "A05"),
        {"gender": "F"},
        id="5-first-release",
    ),
]


@pytest.mark.parametrize(("parser", "line", "fields", "metadata"), LINES)
def test_every_column_of_a_real_line_is_kept(parser, line, fields, metadata):
    (trial,) = parse(parser, line)
    assert (
        trial.utterance_id,
        trial.label,
        trial.audio_name,
        trial.speaker_id,
        trial.attack_id,
    ) == fields
    assert trial.metadata == metadata
    assert trial.source == "list.txt:1"


@pytest.mark.parametrize(("parser", "line", "fields", "metadata"), LINES)
def test_a_byte_order_mark_and_line_ends_and_blanks_do_not_matter(parser, line, fields, metadata):
    (plain,) = parse(parser, line)
    (odd,) = parse(parser, "\ufeff" + line.replace(" ", "\t ") + "  \r\n\r\n   ")
    assert odd == plain


@pytest.mark.parametrize(
    ("parser", "line", "fields", "metadata"),
    [case for case in LINES if case.id != "2021-trial-list"],
)
def test_a_truncated_line_is_a_bad_line(parser, line, fields, metadata):
    whole = [line.replace(fields[0], f"U{i}") for i in range(3)]
    cut = " ".join(line.split()[:-1])
    with pytest.raises(DataError, match=r"^list\.txt:3: \d+ columns; there must be \d+:"):
        parse(parser, "\n".join([*whole[:2], cut, whole[2]]))


def test_the_first_line_that_fits_fixes_the_number_of_columns():
    ledger = ProblemLedger.counting()
    text = "LA_E_1 x\nLA_E_2\nLA_0009 LA_E_3 alaw ita_tx A07 spoof notrim eval\nLA_E_4"
    trials = parse(parse_asvspoof2021_la, text, ledger)
    assert [trial.utterance_id for trial in trials] == ["LA_E_2", "LA_E_4"]
    assert ledger.counts == {"bad_line": 2}
    assert "list.txt:1: 2 columns; there must be 1 or 8:" in ledger.examples["bad_line"][0]
    assert "list.txt:3: 8 columns; there must be 1:" in ledger.examples["bad_line"][1]


GOOD = "LA_0039 U1 - A11 spoof"


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("bad_line", f"{GOOD}\nLA_0039 U2 - A11", r"list\.txt:2: 4 columns; there must be 5:"),
        ("unknown_key", f"{GOOD}\nLA_0039 U2 - A11 fake", r"list\.txt:2: key 'fake' is none of"),
        (
            "duplicate_utterance",
            f"{GOOD}\n\n{GOOD}",
            r"list\.txt:3: utterance 'U1' was named before, in line 1",
        ),
    ],
)
def test_problems_are_fatal_or_counted_as_the_policy_says(kind, text, message):
    with pytest.raises(DataError, match=message):
        parse(parse_asvspoof2019, text)
    ledger = ProblemLedger(ProblemPolicy(**{kind: "warn"}))
    trials = parse(parse_asvspoof2019, text, ledger)
    assert [trial.utterance_id for trial in trials] == ["U1"]
    assert ledger.counts == {kind: 1}


@pytest.mark.parametrize("text", ["", "\n \n", "x y z"])
def test_a_list_without_a_usable_line_is_an_error(text):
    with pytest.raises(DataError, match="no usable line"):
        parse(parse_asvspoof2019, text, ProblemLedger.counting())


def test_a_policy_must_be_error_or_warn():
    with pytest.raises(ConfigError, match=r"problems\.bad_line is 'ignore'"):
        ProblemLedger(ProblemPolicy(bad_line="ignore"))


def test_real_protocols_have_their_published_counts(shared_data):
    folder = shared_data / "protocols"
    counts = {}
    for name, parser in (
        ("ASVspoof2017_V2_train.trn.txt", parse_asvspoof2017),
        ("ASVspoof2019.LA.cm.train.trn.txt", parse_asvspoof2019),
        ("ASVspoof2019.LA.cm.dev.trl.txt", parse_asvspoof2019),
        ("ASVspoof2019.LA.cm.eval.trl.txt", parse_asvspoof2019),
    ):
        trials = parser(read_lines(folder / name), name, ProblemLedger(ProblemPolicy()))
        labels = [trial.label for trial in trials]
        counts[name] = (labels.count(Label.BONAFIDE), labels.count(Label.SPOOF))
        assert all(trial.speaker_id for trial in trials)
    assert list(counts.values()) == [(1507, 1507), (2580, 22800), (2548, 22296), (7355, 63882)]


def test_a_long_protocol_is_read_quickly_and_shares_its_metadata():
    rng = random.Random(0)
    lines = [
        f"PA_0010 PA_E_{i} R{rng.randint(1, 9)} M1 d4 r1 m1 s4 c{rng.randint(2, 4)} "
        "spoof notrim eval"
        for i in range(60_000)
    ]
    start = time.process_time()
    trials = parse_asvspoof2021_pa(lines, "keys", ProblemLedger(ProblemPolicy()))
    assert time.process_time() - start < 3.0  # a million lines in under a minute, on any machine
    assert len({id(trial.metadata) for trial in trials}) == 27
