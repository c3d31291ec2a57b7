"""Features on disk: found again, whole or not at all, and never trusted unchecked."""

import hashlib
import logging

import numpy as np
import pytest

from rawnet_jax.errors import DataError
from rawnet_jax.probe.feature_store import FeatureStore

COLUMNS = ("layer_0/mean", "layer_1/mean")
WIDTH = 3


def digests(count: int, first: int = 0) -> list[bytes]:
    return [hashlib.sha256(bytes([number])).digest() for number in range(first, first + count)]


@pytest.fixture
def features() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((4, 2, WIDTH)).astype(np.float32)


@pytest.fixture
def folder(tmp_path, features):
    """Two files: of clips 0 and 1, and of clips 2 and 3."""
    store = FeatureStore(tmp_path / "a" / "store", COLUMNS, WIDTH)
    clips = digests(4)
    assert store.missing(clips) == [0, 1, 2, 3]
    store.add(clips[:2], features[:2])
    assert store.missing(clips) == [2, 3]
    store.add(clips[2:], features[2:])
    return tmp_path / "a" / "store"


def test_what_was_written_is_read(folder, features):
    store = FeatureStore(folder, COLUMNS, WIDTH)
    clips = digests(6)
    assert store.missing(clips) == [4, 5]
    assert store.missing([clips[5], clips[5], clips[0]]) == [0]  # the same audio twice
    for number, column in enumerate(COLUMNS):
        order = [3, 0, 0, 2]
        found = store.read([clips[i] for i in order], column)
        np.testing.assert_array_equal(found, features[order, number])
    fewer = FeatureStore(folder, COLUMNS[1:], WIDTH)
    np.testing.assert_array_equal(fewer.read(clips[:4], COLUMNS[1]), features[:, 1])
    more = FeatureStore(folder, (*COLUMNS, "layer_2/mean"), WIDTH)
    assert more.missing(clips) == list(range(6))
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_a_damaged_file_is_made_again(folder, features, damage, caplog):
    path = sorted(folder.iterdir())[0]
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[-5] ^= 1
    path.write_bytes(b"" if damage == "empty" else content[:-7] if damage == "cut" else content)
    with caplog.at_level(logging.WARNING):
        store = FeatureStore(folder, COLUMNS, WIDTH)
    (record,) = caplog.records
    assert "damaged" in record.message
    assert str(path) in record.message
    assert "\n" not in record.message
    clips = digests(4)
    lost = store.missing(clips)
    assert len(lost) == 2
    assert not path.exists()
    store.add([clips[i] for i in lost], features[lost])
    again = FeatureStore(folder, COLUMNS, WIDTH)
    np.testing.assert_array_equal(again.read(clips, COLUMNS[0]), features[:, 0])


def test_a_file_of_another_width_is_not_used(folder):
    assert FeatureStore(folder, COLUMNS, WIDTH + 1).missing(digests(4)) == [0, 1, 2, 3]


def test_a_folder_that_is_none_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"file: .*; it must be a folder for features"):
        FeatureStore(tmp_path / "file", COLUMNS, WIDTH)
