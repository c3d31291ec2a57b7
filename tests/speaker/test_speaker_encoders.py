"""Encoders of voices: equal to slow forms, to published sizes, and to the package where it is."""

import zipfile
from typing import Any

import jax
import numpy as np
import pytest

from rawnet_jax.errors import CheckpointError, ConfigError, DataError
from rawnet_jax.interop.torch_weights import variables_to_torch
from rawnet_jax.interop.torch_writer import write_state_dict
from rawnet_jax.speaker import ecapa, ge2e
from rawnet_jax.speaker.encoder import speech_mask
from rawnet_jax.speaker.encoder_folder import load_encoder, read_card, template_of, write_encoder
from rawnet_jax.speaker.network import mean_voice, unit
from rawnet_jax.speaker.published import PACKAGE, installed_weights, read_published
from tests.speaker.slow_encoders import slow_ecapa, slow_ge2e, slow_mel_powers
from tests.speaker.toy_voices import RATE

SMALL_GE2E: dict[str, Any] = {"features": 6, "num_layers": 2, "embedding_features": 5}
SMALL_ECAPA: dict[str, Any] = {
    "channels": 16,
    "scale": 4,
    "squeezed": 8,
    "aggregated": 12,
    "attention_features": 5,
    "embedding_features": 6,
}


def random_state(module, names, seed=0):
    """A published state dict with random values, and no value that hides a mistake."""
    rng = np.random.default_rng(seed)
    template = template_of(module)
    drawn = jax.tree.map(lambda x: rng.normal(0, 0.4, x.shape).astype(np.float32), template)
    state = variables_to_torch(drawn, names)
    for name, array in state.items():
        if name.endswith(("running_var",)):
            state[name] = np.abs(array) + 0.5
    return state


def speech_like(seconds, seed=0):
    rng = np.random.default_rng(seed)
    found = 0.1 * rng.standard_normal(int(seconds * RATE))
    return (found * (1 + np.sin(np.arange(len(found)) / 700))).astype(np.float32)


@pytest.fixture(scope="module")
def small_ge2e(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ge2e")
    state = random_state(ge2e.Ge2e(**SMALL_GE2E), ge2e.TORCH_NAMES)
    loss = {"similarity_weight": np.ones(1, np.float32), "similarity_bias": np.ones(1, np.float32)}
    write_state_dict(folder / "pretrained.pt", loss | state)
    write_encoder(folder / "encoder", *read_published(folder / "pretrained.pt"))
    return folder, state, load_encoder(folder / "encoder", speech="off").network


@pytest.fixture(scope="module")
def small_ecapa(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ecapa")
    state = random_state(ecapa.EcapaTdnn(**SMALL_ECAPA), ecapa.TORCH_NAMES)
    others = {
        "speaker_loss.weight": np.ones((3, 6), np.float32),
        "speaker_encoder.torchfbank.1.mel_scale.fb": ecapa.bank().astype(np.float32),
    }
    named = {f"speaker_encoder.{name}": array for name, array in state.items()}
    write_state_dict(folder / "small.model", named | others)
    write_encoder(folder / "encoder", *read_published(folder / "small.model"))
    return folder, state, load_encoder(folder / "encoder", speech="off").network


@pytest.mark.parametrize("seconds", [0.01, 0.7, 3.0])
def test_ge2e_equals_its_slow_form(small_ge2e, seconds):
    _, state, network = small_ge2e
    clip = speech_like(seconds)
    starts = {0.01: [0], 0.7: [0], 3.0: [0, 77, 154]}[seconds]
    assert ge2e.part_starts(len(clip)) == starts
    np.testing.assert_allclose(
        network.embed(clip), slow_ge2e(clip, state, starts, layers=2), atol=1e-5
    )


def test_mel_powers_equal_their_definition():
    clip = speech_like(0.05)
    np.testing.assert_allclose(ge2e.mel_powers(clip), slow_mel_powers(clip), rtol=1e-5)


@pytest.mark.parametrize(
    ("num_samples", "num_parts"),
    # A part of 160 frames each 77; the last counts where three quarters of it are there.
    [(1, 1), (25_600, 1), (31_519, 1), (31_520, 2), (100_000, 7)],
)
def test_parts_of_a_clip(num_samples, num_parts):
    assert ge2e.part_starts(num_samples) == [77 * i for i in range(num_parts)]


def test_many_parts_are_those_of_small_batches(small_ge2e):
    network = small_ge2e[2]
    parts = np.random.default_rng(0).random((18, 160, 40), np.float32)  # more than a batch holds
    small = [network._in_batches(parts[i : i + 4]) for i in range(0, 18, 4)]
    np.testing.assert_allclose(network._in_batches(parts), np.concatenate(small), atol=1e-6)


@pytest.mark.parametrize(("level", "expected"), [(0.001, 10**-1.5), (0.5, 0.5), (0.0, 0.0)])
def test_quiet_clips_are_raised_and_loud_ones_left(level, expected):
    clip = np.full(1_000, level, np.float32)
    found = ge2e.raised(clip)
    assert np.sqrt(np.mean(found**2)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("seconds", [0.05, 0.4])
def test_ecapa_equals_its_slow_form(small_ecapa, seconds):
    _, state, network = small_ecapa
    clip = speech_like(seconds)
    np.testing.assert_allclose(network.embed(clip), slow_ecapa(clip, state), atol=1e-4)


def test_padding_behind_a_clip_changes_nothing(small_ecapa):
    """A clip of 200 frames fills a row of 200; here it stands in one of 400."""
    network = small_ecapa[2]
    clip = speech_like(1.99)
    shorter = network.embed(clip)
    filled = np.zeros((1, 400, 80), np.float32)
    features = ecapa.log_mel(clip)
    filled[0, : len(features)] = features
    filled[0, len(features) :] = 1e3  # what stands behind a clip must not be looked at
    found = network._forward(network._variables, filled, np.array([len(features)], np.int32))
    np.testing.assert_allclose(unit(np.asarray(found)[0]), shorter, atol=1e-5)


def test_long_clips_go_in_equal_pieces(small_ecapa, monkeypatch):
    monkeypatch.setattr(ecapa, "_LENGTHS", (200,))
    network = small_ecapa[2]
    clip = speech_like(3.0)
    halves = [network.embed(half) for half in np.split(clip, 2)]
    np.testing.assert_allclose(network.embed(clip), mean_voice(np.stack(halves)), atol=1e-6)


@pytest.mark.parametrize(
    ("module", "count"),
    [
        (ge2e.Ge2e(), 1_423_616),
        (ecapa.EcapaTdnn(channels=512), 6_978_176),
        (ecapa.EcapaTdnn(channels=1024), 15_444_544),
    ],
)
def test_published_sizes(module, count):
    assert sum(x.size for x in jax.tree.leaves(template_of(module)["params"])) == count


def test_channels_that_groups_do_not_divide():
    with pytest.raises(ValueError, match="must divide"):
        template_of(ecapa.EcapaTdnn(channels=20, scale=8, squeezed=4))


def test_folder_says_what_it_is_and_notices_a_flipped_byte(small_ge2e, tmp_path):
    folder = small_ge2e[0] / "encoder"
    card = read_card(folder)
    assert (card.kind, dict(card.fields)) == ("ge2e", SMALL_GE2E)
    encoder = load_encoder(folder, speech="off")
    assert encoder.digest == card.digest
    assert encoder.width == 5
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    weights = copy / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-3] ^= 1
    weights.write_bytes(content)
    with pytest.raises(CheckpointError, match="SHA-256"):
        load_encoder(copy)
    with pytest.raises(DataError, match="something is there"):
        write_encoder(copy, card, {})
    with pytest.raises(ConfigError, match="is not an encoder of voices"):
        load_encoder(tmp_path)


def test_what_is_no_encoder_is_refused(small_ecapa, tmp_path):
    path = tmp_path / "a.pth"
    write_state_dict(path, {"conv.weight": np.ones((2, 2), np.float32)})
    with pytest.raises(CheckpointError, match="neither GE2E"):
        read_published(path)
    state = {f"speaker_encoder.{name}": array for name, array in small_ecapa[1].items()}
    lost = {name: array for name, array in state.items() if not name.endswith("bn5.bias")}
    write_state_dict(path, lost)
    with pytest.raises(CheckpointError, match=r"missing: bn5\.bias"):
        read_published(path)
    wrong = {"speaker_encoder.torchfbank.1.mel_scale.fb": np.zeros((257, 80), np.float32)}
    write_state_dict(path, state | wrong)
    with pytest.raises(CheckpointError, match="mel bands"):
        read_published(path)


def test_the_wheel_is_read(small_ge2e, tmp_path):
    wheel = tmp_path / "r-1-py3-none-any.whl"
    content = (small_ge2e[0] / "pretrained.pt").read_bytes()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("resemblyzer/pretrained.pt", content)
    card, variables = read_published(wheel, licence="Apache-2.0")
    assert (card.kind, card.licence, card.source) == ("ge2e", "Apache-2.0", wheel.name)
    assert isinstance(variables, dict)
    assert variables["params"]["linear"]["bias"].shape == (5,)
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("other/pretrained.pt", content)
    with pytest.raises(CheckpointError, match="wheel of Resemblyzer"):
        read_published(wheel)
    wheel.write_bytes(content[:100])
    with pytest.raises(CheckpointError, match="damaged wheel"):
        read_published(wheel)


def test_published_weights_where_the_package_is_installed(tmp_path):
    try:
        installed_weights()
    except ConfigError as error:
        pytest.skip(str(error))
    card, variables = read_published(None)
    assert card.source == PACKAGE
    assert sum(x.size for x in jax.tree.leaves(variables)) == 1_423_616


def test_pauses_are_cut_out_and_speech_is_counted():
    rng = np.random.default_rng(0)
    # Bursts at the rate of syllables, then silence: what the energy detector takes for speech.
    time_s = np.arange(2 * RATE) / RATE
    bursts = (np.sin(2 * np.pi * 4 * time_s) > 0) * rng.standard_normal(2 * RATE)
    clip = np.concatenate([0.1 * bursts, np.zeros(2 * RATE)]).astype(np.float32)
    kept, speech_s = speech_mask(clip, "energy")
    assert 0.8 < speech_s < 1.4
    assert not kept[int(2.2 * RATE) :].any()
    assert kept[: 2 * RATE].mean() > 0.9  # pauses of 125 ms stay
    everything, all_s = speech_mask(clip, "off")
    assert everything.all()
    assert all_s == 4.0


def test_silence_is_nobodys_voice(small_ge2e):
    encoder = load_encoder(small_ge2e[0] / "encoder", speech="energy")
    voice = encoder.voice(np.zeros(RATE, np.float32))
    assert not voice.vector.any()
    assert voice.speech_s == 0.0


def test_means_of_voices_do_not_weigh_longer_vectors_more():
    vectors = np.array([[1.0, 0.0], [0.0, 100.0]])
    np.testing.assert_allclose(mean_voice(vectors), [2**-0.5, 2**-0.5])
