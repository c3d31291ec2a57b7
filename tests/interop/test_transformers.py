"""Encoders against Hugging Face's own, and files of theirs and ours read by each other."""

import os

import numpy as np
import pytest

from rawnet_jax.encoders.catalog import ENCODERS
from rawnet_jax.encoders.hugging_face import config_to_hugging_face
from rawnet_jax.encoders.transformer import distance_buckets
from rawnet_jax.interop.encoder_files import read_encoder_weights, write_encoder_weights
from rawnet_jax.interop.encoder_weights import encoder_from_state, state_from_encoder
from tests.encoders.small_encoders import FAMILIES, LENGTHS, MHUBERT, SEVEN, clips, drawn, encoded

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra: parity)")
transformers = pytest.importorskip(
    "transformers", reason="transformers is not installed (extra: parity)"
)
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

ALL = {**FAMILIES, "mhubert": MHUBERT, "seven": SEVEN}


def theirs(config, noise=0.1):
    """Build Hugging Face's network; no bias, scale or statistic of it is trivial."""
    written = config_to_hugging_face(config)
    torch.manual_seed(0)
    kind = getattr(transformers, written["architectures"][0])
    network = kind(transformers.CONFIG_MAPPING[written["model_type"]](**written)).eval()
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if value.dtype.is_floating_point:
                more = noise * torch.randn_like(value)
                is_var = name.endswith("running_var")
                value.add_(more.abs() if is_var else more)
    return network


def state_of(network):
    return {name: value.numpy() for name, value in network.state_dict().items()}


def states_of(network, waveform, mask=None):
    with torch.no_grad():
        found = network(torch.from_numpy(waveform), attention_mask=mask, output_hidden_states=True)
    return found.last_hidden_state.numpy(), [state.numpy() for state in found.hidden_states]


@pytest.mark.parametrize("name", ALL)
def test_hidden_states_equal_theirs(name):
    network = theirs(ALL[name])
    waveform = np.random.default_rng(4).standard_normal((2, 2_500)).astype(np.float32)
    variables = encoder_from_state(state_of(network), ALL[name]).variables
    found = encoded(ALL[name], variables, waveform, np.array([2_500, 2_500], np.int32))
    last, states = states_of(network, waveform)
    assert len(states) == 4
    for ours, wanted in zip(found.hidden, states, strict=True):
        np.testing.assert_allclose(ours, wanted, atol=1e-4)
    np.testing.assert_allclose(found.last, last, atol=1e-4)


@pytest.mark.parametrize("name", [name for name in ALL if ALL[name].conv_norm == "layer"])
def test_hidden_states_equal_theirs_with_padding(name):
    """Where the first convolution is normalised over time, padding changes theirs."""
    network = theirs(ALL[name])
    variables = encoder_from_state(state_of(network), ALL[name]).variables
    found = encoded(ALL[name], variables, clips(), LENGTHS)
    mask = torch.from_numpy((np.arange(LENGTHS[0]) < LENGTHS[:, None]).astype(np.int64))
    last, states = states_of(network, clips(), mask)
    for row, length in enumerate(LENGTHS):
        frames = ALL[name].num_frames(length)
        for ours, wanted in zip(found.hidden, states, strict=True):
            np.testing.assert_allclose(ours[row, :frames], wanted[row, :frames], atol=1e-4)
        np.testing.assert_allclose(found.last[row, :frames], last[row, :frames], atol=1e-4)


@pytest.mark.parametrize("size", ["50GB", "40KB"])
@pytest.mark.parametrize("name", ALL)
def test_their_files_are_read(tmp_path, name, size):
    network = theirs(ALL[name])
    network.save_pretrained(tmp_path, max_shard_size=size)
    shards = list(tmp_path.glob("*.safetensors"))
    assert (len(shards) > 1) == (size == "40KB")
    found = read_encoder_weights(tmp_path)
    assert found.config == ALL[name]
    wanted = state_of(network)
    ours = state_from_encoder(found.variables, ALL[name])
    assert len(ours) == len(wanted)
    for new, array in zip(map(spelled, wanted), wanted.values(), strict=True):
        np.testing.assert_array_equal(ours[new], array)


def spelled(name):
    name = name.replace("parametrizations.weight.original0", "weight_g")
    return name.replace("parametrizations.weight.original1", "weight_v")


@pytest.mark.parametrize("name", ALL)
def test_our_files_are_read_by_them(tmp_path, name):
    variables = drawn(ALL[name])
    write_encoder_weights(tmp_path / "out", variables, ALL[name])
    network, about = transformers.AutoModel.from_pretrained(
        tmp_path / "out", output_loading_info=True
    )
    assert not any(about[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    ours = state_from_encoder(variables, ALL[name])
    for key, array in state_of(network).items():
        np.testing.assert_array_equal(ours[spelled(key)], array)
    extractor = transformers.AutoFeatureExtractor.from_pretrained(tmp_path / "out")
    assert extractor.do_normalize is False


def test_buckets_equal_theirs():
    network = theirs(FAMILIES["wavlm_base"])
    attention = network.encoder.layers[0].attention
    found = distance_buckets(3_000, 320, 800)
    distance = torch.arange(-2_999, 3_000)
    wanted = attention._relative_positions_bucket(distance)
    np.testing.assert_array_equal(found, wanted.numpy())


@pytest.mark.parametrize("name", ENCODERS)
def test_published_number_of_parameters_is_theirs(name):
    written = config_to_hugging_face(ENCODERS[name].config)
    with torch.device("meta"):
        kind = getattr(transformers, written["architectures"][0])
        network = kind(transformers.CONFIG_MAPPING[written["model_type"]](**written))
    network = network.encoder if name.startswith("whisper") else network
    assert sum(value.numel() for value in network.parameters()) == ENCODERS[name].num_params


def has_memory_for(config_name: str) -> bool:
    """Both networks and their states, with room."""
    needed = 3 * 4 * ENCODERS[config_name].num_params
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") > needed


@pytest.mark.parametrize(
    "name",
    [name for name, spec in ENCODERS.items() if not name.startswith(("whisper", "mms"))],
)
def test_full_size_equals_theirs(name):
    """On half a second; of the largest the weights are 8.6 GB."""
    if not has_memory_for(name):
        pytest.skip("needs more memory than this machine has")
    config = ENCODERS[name].config.replaced(input_norm="none")
    network = theirs(config, noise=0.01)
    variables = encoder_from_state(state_of(network), config).variables
    waveform = np.random.default_rng(4).standard_normal((1, 8_000)).astype(np.float32)
    last, states = states_of(network, waveform)
    del network
    found = encoded(config, variables, waveform, np.array([8_000], np.int32))
    assert found.hidden.shape == (config.num_layers + 1, 1, 24, config.width)
    for ours, wanted in zip(found.hidden, states, strict=True):
        np.testing.assert_allclose(ours, wanted, atol=1e-4 * max(1, np.abs(wanted).max()))
    np.testing.assert_allclose(found.last, last, atol=1e-4 * max(1, np.abs(last).max()))
