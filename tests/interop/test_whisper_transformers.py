"""Whisper's encoder against Hugging Face's own, and files of theirs and ours read by each other.

Theirs takes clips that fill all positions, and no others.
"""

import numpy as np
import pytest

from rawnet_jax.encoders.catalog import encoder_config
from rawnet_jax.encoders.hugging_face import config_to_hugging_face
from rawnet_jax.encoders.whisper import sinusoids
from rawnet_jax.interop.encoder_files import read_encoder_weights, write_encoder_weights
from rawnet_jax.interop.encoder_weights import encoder_from_state, state_from_encoder
from tests.encoders.small_encoders import drawn, encoded
from tests.encoders.small_whisper import WHISPER

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra: parity)")
transformers = pytest.importorskip(
    "transformers", reason="transformers is not installed (extra: parity)"
)
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

SMALL = WHISPER.replaced(positions=20, pad_to_s=0.4)


def whole_model(config):
    """Build their model with a decoder; no bias or scale of it is trivial."""
    written = config_to_hugging_face(config) | {
        "decoder_layers": 1,
        "vocab_size": 100,
        "max_target_positions": 10,
    }
    torch.manual_seed(0)
    network = transformers.WhisperForConditionalGeneration(transformers.WhisperConfig(**written))
    with torch.no_grad():
        for value in network.parameters():
            value.add_(0.1 * torch.randn_like(value))
    return network.eval()


def state_of(network):
    return {name: value.numpy().copy() for name, value in network.state_dict().items()}


def features_of(config, clips):
    extractor = transformers.WhisperFeatureExtractor(
        feature_size=config.mel_bands, chunk_length=config.longest_s
    )
    extractor.n_samples = round(config.longest_s * 16_000)
    rows = [np.asarray(clip) for clip in clips]
    found = extractor(rows, sampling_rate=16_000, max_length=extractor.n_samples)
    return torch.from_numpy(np.asarray(found["input_features"]))


def assert_equal_to_theirs(config, network, variables, waveform, lengths):
    features = features_of(config, [row[:n] for row, n in zip(waveform, lengths, strict=True)])
    with torch.no_grad():
        wanted = network(features, output_hidden_states=True)
    found = encoded(config, variables, waveform, lengths)
    *states, last = wanted.hidden_states  # behind the last layer theirs is normalised
    assert len(states) == config.num_layers
    for ours, theirs in zip(found.hidden, states, strict=False):
        scale = max(1.0, float(theirs.abs().max()))
        np.testing.assert_allclose(ours, theirs, atol=1e-4 * scale)
    np.testing.assert_allclose(found.last, last, atol=1e-4)
    return found


def test_hidden_states_equal_theirs():
    network = whole_model(SMALL)
    variables = encoder_from_state(state_of(network), SMALL).variables
    waveform = 0.1 * np.random.default_rng(4).standard_normal((2, 6_400)).astype(np.float32)
    assert_equal_to_theirs(
        SMALL, network.model.encoder, variables, waveform, np.array([6_400, 3_350], np.int32)
    )


@pytest.mark.parametrize("name", ["tiny", "base", "small", "medium", "large_v3"])
def test_full_size_equals_theirs(name):
    """On 30 s, of which 4 s are a clip."""
    config = encoder_config(f"whisper_{name}", pad_to_s=30.0)
    torch.manual_seed(0)
    kind = transformers.models.whisper.modeling_whisper.WhisperEncoder
    network = kind(transformers.WhisperConfig(**config_to_hugging_face(config))).eval()
    variables = encoder_from_state(state_of(network), config).variables
    waveform = 0.1 * np.random.default_rng(4).standard_normal((1, 64_600)).astype(np.float32)
    found = assert_equal_to_theirs(config, network, variables, waveform, np.array([64_600]))
    assert found.hidden.shape == (config.num_layers + 1, 1, 1_500, config.width)
    table = network.embed_positions.weight.detach().numpy()
    np.testing.assert_allclose(sinusoids(None, table.shape), table, atol=3e-4)  # theirs: float32


@pytest.mark.parametrize("size", ["50GB", "40KB"])
def test_their_files_are_read(tmp_path, size):
    network = whole_model(SMALL)
    network.save_pretrained(tmp_path, max_shard_size=size)
    assert (len(list(tmp_path.glob("*.safetensors"))) > 1) == (size == "40KB")
    found = read_encoder_weights(tmp_path)
    assert found.config == SMALL.replaced(pad_to_s=0.0)
    assert not found.rest
    ours = state_from_encoder(found.variables, found.config)
    wanted = network.model.encoder.state_dict()
    assert len(ours) == len(wanted)
    for name, value in wanted.items():
        np.testing.assert_array_equal(ours["encoder." + name], value.numpy())


def test_our_files_are_read_by_them(tmp_path):
    variables = drawn(WHISPER)
    write_encoder_weights(tmp_path / "out", variables, WHISPER)
    ours = state_from_encoder(variables, WHISPER)
    for kind in (transformers.AutoModel, transformers.AutoModelForAudioClassification):
        network, about = kind.from_pretrained(tmp_path / "out", output_loading_info=True)
        assert not about["unexpected_keys"]
        assert not about["mismatched_keys"]
        # Theirs has a decoder or a classifier, which an encoder alone does not fill.
        assert not any("encoder." in name for name in about["missing_keys"])
        for name, value in network.encoder.state_dict().items():
            np.testing.assert_array_equal(ours["encoder." + name], value.numpy())
    extractor = transformers.AutoFeatureExtractor.from_pretrained(tmp_path / "out")
    assert extractor.feature_size == WHISPER.mel_bands


@pytest.mark.parametrize(
    ("kind", "atol"),
    [(None, 0), ("float16", 5e-4), ("bfloat16", 4e-3), ("int8", 5e-3), ("int16", 5e-4)],
)
def test_files_of_ctranslate2_s_converter_are_read(tmp_path, kind, atol):
    pytest.importorskip("ctranslate2", reason="no CTranslate2 (extra: parity)")
    from ctranslate2.converters.transformers import WhisperLoader

    network = whole_model(SMALL)
    wanted = state_of(network.model.encoder)  # the converter writes into the network
    converted = WhisperLoader().get_model_spec(network)
    converted.register_vocabulary([str(i) for i in range(100)])
    converted.validate()
    converted.optimize(kind)
    converted._serialize(str(tmp_path / "model.bin"))
    found = read_encoder_weights(tmp_path)
    assert found.config == SMALL.replaced(pad_to_s=0.0)
    ours = state_from_encoder(found.variables, found.config)
    assert len(ours) == len(wanted)
    for name, array in wanted.items():
        np.testing.assert_allclose(ours["encoder." + name], array, atol=atol, rtol=0)
