"""Templates at rest: what is written tells nothing, opens for nobody else, and can be revoked."""

import os
import stat

import numpy as np
import pytest

from rawnet_jax.errors import ConfigError
from rawnet_jax.serve.templates import OtherEncoderError, TemplateStore, random_rotation
from rawnet_jax.speaker.network import unit
from rawnet_jax.speaker.sealing import Sealer, SealError
from rawnet_jax.speaker.template import VoiceTemplate

pytest.importorskip("cryptography")
ENCODER, WIDTH = "e" * 64, 16


@pytest.fixture
def sealer():
    return Sealer(b"k" * 32)


@pytest.fixture
def store(tmp_path, sealer):
    return TemplateStore(tmp_path / "voices", sealer, ENCODER, WIDTH)


def template(seed=0, encoder=ENCODER):
    vector = unit(np.random.default_rng(seed).standard_normal(WIDTH))
    return VoiceTemplate(vector, encoder, 3, 31.5, "2026-11-30T10:00:00Z")


def files(store):
    return sorted(path for path in store._folder.rglob("*") if path.is_file())


def test_cosines_are_those_of_voices_that_were_not_rotated(store):
    kept, probe = template(1), template(2)
    store.put("bank", "ana", kept)
    found = store.get("bank", "ana")
    cosine = found.vector @ store.rotated("bank", probe.vector)
    assert cosine == pytest.approx(kept.vector @ probe.vector, abs=1e-6)
    # What is kept is not the voice itself.
    assert abs(found.vector @ kept.vector) < 0.99
    assert (found.num_clips, found.speech_s) == (3, 31.5)


def test_another_process_opens_it_with_the_same_key(store, tmp_path, sealer):
    store.put("bank", "ana", template())
    again = TemplateStore(tmp_path / "voices", sealer, ENCODER, WIDTH)
    mine, theirs = store.get("bank", "ana"), again.get("bank", "ana")
    assert mine is not None
    assert theirs is not None
    np.testing.assert_array_equal(theirs.vector, mine.vector)
    other = TemplateStore(tmp_path / "voices", Sealer(b"x" * 32), ENCODER, WIDTH)
    assert other.get("bank", "ana") is None  # even names are keyed


def test_files_are_private_and_tell_neither_names_nor_voices(store):
    store.put("bank", "ana", template())
    for path in files(store):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        content = path.read_bytes()
        assert b"bank" not in content
        assert b"ana" not in str(path.name).encode()
        assert b"vector" not in content
        assert template().vector.tobytes() not in content
    assert not list(store._folder.rglob("*.tmp"))


def test_a_template_in_another_place_does_not_open(store):
    store.put("bank", "ana", template(1))
    store.put("bank", "eve", template(2))
    ana, eve = store._path("bank", "ana"), store._path("bank", "eve")
    ana.write_bytes(eve.read_bytes())
    with pytest.raises(SealError, match="another owner"):
        store.get("bank", "ana")


def test_every_flipped_byte_is_noticed(store):
    store.put("bank", "ana", template())
    path = store._path("bank", "ana")
    good = path.read_bytes()
    for at in range(0, len(good), 7):
        path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        with pytest.raises(SealError):
            store.get("bank", "ana")
    path.write_bytes(good[:20])
    with pytest.raises(SealError):
        store.get("bank", "ana")


def test_tenants_share_neither_names_nor_space(store):
    store.put("bank", "ana", template())
    assert store.get("shop", "ana") is None
    store.put("shop", "ana", template())
    assert abs(store.get("bank", "ana").vector @ store.get("shop", "ana").vector) < 0.99


def test_delete_and_export(store):
    store.put("bank", "ana", template())
    record = store.export("bank", "ana")
    np.testing.assert_allclose(record["vector"], template().vector, atol=1e-6)
    assert record["speaker_id"] == "ana"
    assert store.delete("bank", "ana")
    assert not store.delete("bank", "ana")
    assert store.get("bank", "ana") is None
    assert store.export("bank", "ana") is None


def test_revoking_makes_leaked_templates_useless(store, tmp_path, sealer):
    store.put("bank", "ana", template())
    leaked = store._path("bank", "ana").read_bytes()
    assert store.revoke("bank") == 1
    assert store.get("bank", "ana") is None
    store.put("bank", "eve", template(3))  # draws the new rotation
    store._path("bank", "ana").write_bytes(leaked)
    cosine = store.get("bank", "ana").vector @ store.rotated("bank", template().vector)
    assert cosine < 0.9


def test_a_lost_rotation_is_no_reason_to_draw_another(store, tmp_path, sealer):
    store.put("bank", "ana", template())
    (store._tenant("bank") / "rotation").unlink()
    again = TemplateStore(tmp_path / "voices", sealer, ENCODER, WIDTH)
    with pytest.raises(SealError, match="rotation is lost"):
        again.rotated("bank", template().vector)


def test_another_encoder(store, tmp_path, sealer):
    store.put("bank", "ana", template())
    other = TemplateStore(tmp_path / "voices", sealer, "f" * 64, WIDTH)
    with pytest.raises(OtherEncoderError, match="enrolled again"):
        other.get("bank", "ana")
    with pytest.raises(OtherEncoderError):
        other.put("bank", "ana", template())
    other.put("bank", "ana", template(4, "f" * 64))  # takes the old one's place
    assert store.count("bank") == 1


def test_rotations_are_orthogonal_and_differ():
    a, b = random_rotation(8), random_rotation(8)
    np.testing.assert_allclose(a @ a.T, np.eye(8), atol=1e-12)
    assert np.abs(a - b).max() > 0.1


def test_keys(tmp_path):
    path = tmp_path / "key"
    with pytest.raises(ConfigError, match="cannot be read"):
        Sealer.read(path)
    path.write_bytes(b"short")
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="32 or more"):
        Sealer.read(path)
    path.write_bytes(os.urandom(32))
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        Sealer.read(path)
    path.chmod(0o600)
    sealer = Sealer.read(path)
    assert sealer.open(sealer.seal(b"voice", b"ana"), b"ana") == b"voice"
    assert sealer.seal(b"voice", b"ana") != sealer.seal(b"voice", b"ana")
    assert sealer.derived("a") != sealer.derived("b")
