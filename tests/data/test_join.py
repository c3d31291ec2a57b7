"""Joining by utterance id: nothing is lost, added or relabelled without a word."""

from pathlib import Path

import numpy as np
import pytest

from rawnet_jax.data.join import align_scores, join_scores, read_aligned
from rawnet_jax.data.score_file import ScoreTable, write_scores
from rawnet_jax.data.trial import Trial
from rawnet_jax.errors import DataError
from rawnet_jax.labels import Label

B, S = Label.BONAFIDE, Label.SPOOF


def trials_of(text, metadata=None):
    """Trials from ``name:key`` words; key b, s or -."""
    labels = {"b": B, "s": S, "-": None}
    return [
        Trial(
            name,
            labels[key],
            f"{name}.flac",
            attack_id="A07" if key == "s" else None,
            metadata=metadata or {},
            source=f"list.txt:{line}",
        )
        for line, (name, key) in enumerate((word.split(":") for word in text.split()), 1)
    ]


def table_of(names, labels=None, attacks=None):
    """Scores 0, 1, 2 … in the order of the names."""
    names = names.split()
    return ScoreTable(names, np.arange(len(names), dtype=float), labels, attacks)


def test_scores_go_to_their_trials_in_the_protocols_order():
    trials = trials_of("u1:b u2:s u3:s", {"codec": "alaw"})
    joined = join_scores(table_of("u3 u1 u2"), trials)
    assert joined.scores.tolist() == [1.0, 2.0, 0.0]
    assert joined.scores.dtype == np.float64
    assert joined.labels is not None
    assert joined.labels.tolist() == [B, S, S]
    assert joined.attack_ids == [None, "A07", "A07"]
    assert [trial.metadata["codec"] for trial in joined.trials] == ["alaw"] * 3
    assert (joined.missing, joined.extra, len(joined)) == ((), (), 3)
    table = joined.table()
    assert list(table.utterance_ids) == ["u1", "u2", "u3"]
    assert table.labels is not None


def test_missing_and_extra_are_counted_and_named():
    trials = trials_of("a:b b:s c:s d:b e:b f:b g:b")
    with pytest.raises(DataError) as error:
        join_scores(table_of("a x y"), trials, source="s.txt", protocol="list.txt")
    assert str(error.value) == (
        "s.txt: no score for 6 of the 7 trials of list.txt: b (list.txt:2), c (list.txt:3), "
        "d (list.txt:4), e (list.txt:5), f (list.txt:6) and 1 more; "
        "s.txt: 2 of its 3 utterances are not in list.txt: x, y"
    )


def test_each_is_allowed_on_its_own():
    trials = trials_of("a:b b:s c:s")
    table = table_of("x a b")
    with pytest.raises(DataError, match=r"no score for 1 of the 3 trials.*: c \(list.txt:3\)$"):
        join_scores(table, trials, allow_extra=True)
    with pytest.raises(DataError, match=r"1 of its 3 utterances are not in the protocol: x$"):
        join_scores(table, trials, allow_missing=True)
    joined = join_scores(table, trials, allow_missing=True, allow_extra=True)
    assert joined.utterance_ids == ["a", "b"]
    assert joined.scores.tolist() == [1.0, 2.0]
    assert (joined.missing, joined.extra) == (("c",), ("x",))


def test_no_common_utterance_is_never_allowed():
    with pytest.raises(DataError, match="no score for 2 of the 2 trials"):
        join_scores(table_of("c d"), trials_of("a:b b:s"), allow_missing=True, allow_extra=True)
    with pytest.raises(DataError, match="no trials"):
        join_scores(table_of(""), [], allow_missing=True, allow_extra=True)


@pytest.mark.parametrize(
    ("names", "utterances"),
    [
        ("a.flac b.WAV", "a b"),
        ("/data/x/a.flac ./b", "a b"),
        ("a.wav b.wav", "calls/a calls/b"),
        ("x/calls/a.wav x/mails/a.wav", "calls/a mails/a"),
        ("calls\\a.wav mails/a", "calls/a mails/a"),
        ("a a.wav x/b", "a b"),  # the first is the one, the second is left over
    ],
)
def test_folders_and_extensions_of_names_may_differ(names, utterances):
    table = table_of(names)
    trials = trials_of(" ".join(f"{u}:b" for u in utterances.split()))
    joined = join_scores(table, trials, allow_extra=True)
    assert joined.utterance_ids == utterances.split()
    last = table.scores[-1]
    assert joined.scores.tolist() == [table.scores[0], last]


@pytest.mark.parametrize(
    ("names", "utterances"),
    [
        ("x/a.wav y/a.wav", "a b"),  # either could be meant
        ("a.wav", "x/a y/a"),
        ("a.wav x/a", "x/a y/a"),
        ("x/a.wav", "y/a"),
        ("a.01", "a.02"),
    ],
)
def test_names_of_which_several_could_be_meant_are_not_matched(names, utterances):
    trials = trials_of(" ".join(f"{u}:b" for u in utterances.split()))
    with pytest.raises(DataError, match="no score for"):
        join_scores(table_of(names), trials, allow_extra=True)


def test_an_utterance_that_the_protocol_names_twice_is_refused():
    with pytest.raises(DataError, match=r"list.txt:3: a was named before \(list.txt:1\)"):
        join_scores(table_of("a b"), trials_of("a:b b:s a:b"))


def test_contradicting_keys_are_refused_with_the_utterance():
    with pytest.raises(DataError, match=r"s.txt: the key of b is bonafide, .* spoof \(list.txt:2"):
        join_scores(table_of("a b", [B, B]), trials_of("a:b b:s"), source="s.txt")


@pytest.mark.parametrize(
    ("keys", "file_labels", "wanted"),
    [
        ("a:- b:-", None, None),
        ("a:b b:-", None, None),
        ("a:- b:-", [B, S], [B, S]),
        ("a:b b:-", [B, S], [B, S]),
        ("a:b b:s", None, [B, S]),
    ],
)
def test_keys_come_from_the_protocol_and_else_from_the_score_file(keys, file_labels, wanted):
    labels = join_scores(table_of("a b", file_labels), trials_of(keys)).labels
    assert (None if labels is None else labels.tolist()) == wanted


def test_systems_are_brought_into_the_first_ones_order():
    aligned = align_scores(
        {"A": table_of("u1 u2 u3"), "B": table_of("u3 u2 u1", [S, S, B], ["A07", "A08", None])}
    )
    assert aligned.utterance_ids == ("u1", "u2", "u3")
    assert aligned.scores.tolist() == [[0, 2], [1, 1], [2, 0]]
    assert aligned.labels is not None
    assert aligned.labels.tolist() == [B, S, S]
    assert aligned.attack_ids == (None, "A08", "A07")
    assert aligned.left_out == {}
    table = aligned.table(np.array([7.0, 8.0, 9.0]))
    assert dict(zip(table.utterance_ids, table.scores, strict=True))["u3"] == 9.0


def test_systems_on_different_utterances_are_refused_or_cut_to_what_is_common():
    tables = {"A": table_of("u1 u2"), "B": table_of("u1 u2 u3"), "C": table_of("u2 u1")}
    with pytest.raises(DataError) as error:
        align_scores(tables)
    assert str(error.value) == "1 of the 3 utterances of B have no score in A or C: u3"
    aligned = align_scores(tables, allow_missing=True)
    assert aligned.utterance_ids == ("u1", "u2")
    assert aligned.left_out == {"B": ("u3",)}
    with pytest.raises(DataError, match="no score in"):
        align_scores({"A": table_of("u1"), "B": table_of("u2")}, allow_missing=True)
    with pytest.raises(DataError, match="no score file"):
        align_scores({})


def test_systems_with_contradicting_keys_are_refused():
    tables = {"A": table_of("a b", [B, S]), "N": table_of("a b"), "C": table_of("a b", [B, B])}
    with pytest.raises(DataError, match="C: the key of b is bonafide, in A it is spoof"):
        align_scores(tables)


def test_files_are_read_and_joined(tmp_path):
    paths = [tmp_path / "a.txt", tmp_path / "b.txt"]
    for path, names in zip(paths, ("u1 u2 x", "u2 u1 x"), strict=True):
        write_scores(path, table_of(names), "asvspoof2021")
    assert read_aligned(paths).labels is None
    trials = trials_of("u1:b u2:s")
    with pytest.raises(DataError, match=r"a\.txt: 1 of its 3 utterances are not in list\.txt: x"):
        read_aligned(paths, trials, protocol="list.txt")
    aligned = read_aligned(paths, trials, allow_missing=True)
    assert aligned.names == tuple(map(str, paths))
    assert aligned.scores.tolist() == [[0, 1], [1, 0]]
    assert aligned.labels is not None
    with pytest.raises(DataError, match="given twice"):
        read_aligned([paths[0], paths[0]])


def test_real_scores_join_their_protocol(shared_data: Path):
    from rawnet_jax.data.protocol_file import read_protocol
    from rawnet_jax.data.score_file import read_scores

    name = "lfcc_resnet18_softmax.ASVspoof2019.LA.cm.eval.scores.txt"
    table = read_scores(shared_data / "scores" / name)
    trials = read_protocol(shared_data / "protocols" / "ASVspoof2019.LA.cm.eval.trl.txt")
    joined = join_scores(table, trials)
    assert len(joined) == 71_237
    assert joined.labels is not None
    assert int(joined.labels.sum()) == 7_355
    assert [t.utterance_id for t in trials] == joined.utterance_ids
