"""Speech and fakes that a detector knows: the file."""

import numpy as np
import pytest

from rawnet_jax.errors import DataError
from rawnet_jax.scoring.reference import (
    MOST,
    REFERENCE_FILE,
    Reference,
    load_reference,
    save_reference,
)


def made(num=20, step=3):
    rng = np.random.default_rng(0)
    groups = tuple(f"J\u00fcrgen {i % 3}" if i else "" for i in range(num))
    return Reference(
        rng.normal(size=num), rng.normal(size=(num, 4)), np.arange(num) % 2, groups, step
    )


def test_the_file_holds_scores_to_the_last_bit_and_embeddings_to_16(tmp_path):
    assert load_reference(tmp_path, 3) is None
    save_reference(tmp_path, made())
    found = load_reference(tmp_path, 3)
    assert found is not None
    assert np.array_equal(found.scores, made().scores)
    assert np.abs(found.embeddings - made().embeddings).max() < 2e-3
    assert found.groups == made().groups
    assert np.array_equal(found.labels, made().labels)
    assert load_reference(tmp_path, 4) is None  # of another checkpoint


def test_of_many_recordings_some_of_each_class_are_kept(tmp_path):
    save_reference(tmp_path, made(3 * MOST))
    found = load_reference(tmp_path, 3)
    assert found is not None
    assert list(np.bincount(found.labels)) == [MOST, MOST]


def test_a_damaged_file_is_one_line(tmp_path):
    save_reference(tmp_path, made())
    path = tmp_path / REFERENCE_FILE
    content = path.read_bytes()
    for bad in (content[:-1], content[:-9] + b"?" + content[-8:], b""):
        path.write_bytes(bad)
        with pytest.raises(DataError, match=f"{REFERENCE_FILE}: damaged"):
            load_reference(tmp_path, 3)
