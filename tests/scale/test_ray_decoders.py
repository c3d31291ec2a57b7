"""Recordings that other processes decode, here with actors that answer at once."""

import numpy as np
import pytest
import soundfile

from rawnet_jax.config import AudioConfig, GateConfig
from rawnet_jax.scale import ray_decoders
from rawnet_jax.scale.ray_decoders import DecodedRecordings, Decoder, Decoding
from rawnet_jax.scoring.decoded import Decoded, Promised, decode
from rawnet_jax.storage.rows import Row

HOW = Decoding(AudioConfig(), GateConfig(), None, 2)


class FakeRay:
    """The part of Ray that is used."""

    class exceptions:
        class RayError(Exception):
            pass

    @staticmethod
    def get(value):
        if isinstance(value, Exception):
            raise value
        return value


class FakeActor:
    """A decoder that is lost at some of its calls."""

    def __init__(self, lost=()):
        self.decode = self
        self.chunks = []
        self._lost = lost

    def remote(self, rows, how):
        self.chunks.append([row.uri for row in rows])
        if len(self.chunks) in self._lost:
            return FakeRay.exceptions.RayError()
        return Decoder().decode(rows, how)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    for number in range(40):
        soundfile.write(folder / f"{number:02d}.wav", 0.1 * rng.standard_normal(700), 16_000)
    (folder / "40.wav").write_text("no audio")
    return [Row(str(path), path.stat().st_size, "") for path in sorted(folder.iterdir())]


def taken(recordings):
    return [(name, one.get()) for name, one in recordings if isinstance(one, Promised)]


def test_every_recording_comes_as_it_is_decoded_here(rows):
    actors = [FakeActor(), FakeActor()]
    with DecodedRecordings(FakeRay, actors, HOW, rows) as recordings:
        found = taken(recordings)
    assert [name for name, _ in found] == [row.uri for row in rows]
    for name, one in found:
        here = decode(name, HOW.audio, HOW.gate)
        assert isinstance(one, Decoded)
        assert np.array_equal(one.waveform, here.waveform)
        assert str(one.error) == str(here.error)
    assert found[-1][1].error is not None
    chunks = [chunk for actor in actors for chunk in actor.chunks]
    assert sorted(map(len, chunks)) == [9, 16, 16]
    assert sorted(uri for chunk in chunks for uri in chunk) == [row.uri for row in rows]


def test_chunks_come_ahead_but_not_all_at_once(rows, monkeypatch):
    monkeypatch.setattr(ray_decoders, "_CHUNK_FILES", 4)
    actor = FakeActor()
    with DecodedRecordings(FakeRay, [actor], HOW, rows) as recordings:
        taken(recordings[:1])
        assert len(actor.chunks) == 3
        taken(recordings[4:5])
        assert len(actor.chunks) == 4


def test_chunks_are_bounded_in_bytes(rows, monkeypatch):
    monkeypatch.setattr(ray_decoders, "_CHUNK_BYTES", 2 * rows[0].size)
    actor = FakeActor()
    with DecodedRecordings(FakeRay, [actor], HOW, rows) as recordings:
        taken(recordings)
    assert max(map(len, actor.chunks)) == 2


def test_what_a_lost_decoder_had_is_decoded_by_who_scores(rows):
    with DecodedRecordings(FakeRay, [FakeActor(lost=[2])], HOW, rows) as recordings:
        found = [one for _, one in taken(recordings)]
    assert [isinstance(one, Decoded) for one in found] == [True] * 16 + [False] * 16 + [True] * 9
    assert found[16:32] == [row.uri for row in rows[16:32]]


def test_a_long_recording_is_decoded_by_who_scores(rows, monkeypatch):
    monkeypatch.setattr(ray_decoders, "_MOST_S", 0.01)
    with DecodedRecordings(FakeRay, [FakeActor()], HOW, rows[:3]) as recordings:
        assert [one for _, one in taken(recordings)] == [row.uri for row in rows[:3]]
