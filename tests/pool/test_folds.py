"""Folds: no speaker and no family on two sides, whatever the recordings are."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawnet_jax.pool.folds import NOWHERE, homes, part_in, parts_of, used
from rawnet_jax.pool.plan import Recording
from rawnet_jax.pool.table import FAKE, FOLDS, GROUPS, REAL

ONE = Recording(
    *("a/b", "c", ("p",), ("d",), REAL, "-", "-", "ann", "en", "CC0-1.0", "studio", "train"),
    pieces=1,
)


def real(speaker: str, group: str) -> Recording:
    return replace(ONE, speaker=speaker, group=group)


def fake(speaker: str, group: str) -> Recording:
    return replace(
        ONE, speaker=speaker, group=group, label=FAKE, system=group, family=f"family of {group}"
    )


@given(
    st.lists(
        st.builds(
            lambda kind, speaker, group: kind(speaker, group),
            st.sampled_from([real, fake]),
            st.sampled_from("abcde"),
            st.sampled_from(GROUPS),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_parts_of_a_fold_share_no_speaker_and_no_family(recordings):
    home_of = homes(recordings)
    for fold in FOLDS:
        speakers: dict[str, set[str]] = {}
        families: dict[str, set[str]] = {}
        for each in recordings:
            part = parts_of(each, home_of)[fold]
            speakers.setdefault(part, set()).add(each.speaker)
            families.setdefault(part, set()).add(each.family)
        for one, other in (("train", "dev"), ("train", "test"), ("dev", "test")):
            assert not speakers.get(one, set()) & speakers.get(other, set())
            assert families.get(one, set()) & families.get(other, set()) <= {"-"}
    for each in recordings:  # nor does a speaker of the test part appear before
        parts = set(parts_of(each, home_of).values())
        assert "test" not in parts or parts == {"test"}


def test_a_speaker_is_at_home_where_her_real_speech_is():
    recordings = [
        real("ann", "fold1"),
        fake("ann", "test"),
        fake("bob", "fold2"),
        fake("bob", "train"),
    ]
    assert homes(recordings) == {"ann": "fold1", "bob": "fold2"}
    assert len(used(recordings)) == 3  # the fake of ann would put her into the test part, too


@pytest.mark.parametrize(
    ("group", "home", "parts"),
    [
        ("train", "train", ["train", "train", "train"]),
        ("fold1", "fold1", ["dev", "train", "train"]),
        ("fold2", "fold3", ["train", NOWHERE, NOWHERE]),
        ("train", "fold2", ["train", NOWHERE, "train"]),
        ("test", "test", ["test", "test", "test"]),
        ("fold1", "test", [NOWHERE] * 3),
        ("test", "train", [NOWHERE] * 3),
    ],
)
def test_part_of_a_piece(group, home, parts):
    assert [part_in(fold, group, home) for fold in FOLDS] == parts
