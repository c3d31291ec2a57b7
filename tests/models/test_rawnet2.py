"""RawNet2 against the published networks, its quirks, and what its fields do."""

import jax
import numpy as np
import pytest

from rawnet_jax.errors import CheckpointError, ConfigError
from rawnet_jax.interop.torch_weights import variables_from_torch, variables_to_torch
from rawnet_jax.models.rawnet2 import TORCH_NAMES, RawNet2
from rawnet_jax.models.registry import build_model, model_config
from rawnet_jax.models.variables import init_variables, variable_shapes
from tests.models.parity_fixture import channels_second, fixture_named, taps_of
from tests.models.small_models import quickly

FORMS = {"rawnet2_2021": "rawnet2_asvspoof2021", "rawnet2_eurecom": "rawnet2_eurecom"}
TIME_FIRST = ("gru_in", "gru_out")  # published with time before channels, as ours

SMALL = {"num_filters": 4, "num_taps": 9, "block_features": (4, 6), "pool_size": 2}
SMALL |= {"gru_features": 5, "gru_layers": 1, "embedding_features": 7}
NUM_SAMPLES = 120


def small(**fields):
    """A small network and variables drawn at random, none of them 0 or 1."""
    model = RawNet2(**{**SMALL, **fields})
    shapes = variable_shapes(model, NUM_SAMPLES)
    rng = np.random.default_rng(1)
    drawn = jax.tree.map(lambda leaf: rng.uniform(-1, 1, leaf.shape).astype(np.float32), shapes)
    drawn["batch_stats"] = jax.tree.map(lambda x: 0.1 + x**2, drawn["batch_stats"])
    return model, drawn


def clips(rows=2, num_samples=NUM_SAMPLES):
    waveform = np.random.default_rng(2).standard_normal((rows, num_samples)) * 0.3
    return waveform.astype(np.float32), np.full(rows, num_samples, np.int32)


def scores(model, variables):
    return np.asarray(quickly(model.apply)(variables, *clips()).score)


@pytest.fixture(scope="module", params=sorted(FORMS))
def published(request, shared_data):
    fixture = fixture_named(shared_data, request.param)
    model, variables = fixture.variables(FORMS[request.param])
    waveform = np.concatenate(list(fixture.inputs().values()))
    num_samples = np.full(len(waveform), waveform.shape[1], np.int32)

    @quickly
    def run(variables, waveform):
        return model.apply(variables, waveform, num_samples, mutable=["intermediates"])

    output, state = jax.device_get(run(variables, waveform))
    return fixture, variables, output, state["intermediates"]


def test_parity_with_the_published_network(published):
    fixture, _, output, intermediates = published
    taps = {
        name: x if name in TIME_FIRST else channels_second(x)
        for name, x in taps_of(intermediates).items()
    }
    assert fixture.compare_taps(taps) == 2 * len(taps) == 44
    fixture.compare_outputs("embedding", output.embedding)
    fixture.compare_outputs("logits", output.logits)


def test_score_is_the_log_odds_of_the_published_probability(published):
    fixture, _, output, _ = published
    if "log_softmax" in fixture.about["tolerance"]:
        name, found = "log_softmax", jax.nn.log_sigmoid(output.score)
    else:
        name, found = "softmax", jax.nn.sigmoid(output.score)
    arrays = [fixture.arrays[f"{row['name']}.{name}"] for row in fixture.about["inputs"]]
    difference = np.abs(found - np.concatenate(arrays)[:, 1]).max()
    assert difference <= fixture.about["tolerance"][name]["max_abs"]


def test_weights_come_out_as_they_went_in(published):
    fixture, variables, _, _ = published
    given, found = fixture.state_dict(), variables_to_torch(variables, TORCH_NAMES)
    assert set(found) == set(given)
    for name, array in given.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
        assert found[name].dtype == array.dtype


def test_dead_pre_activation_is_stored_and_ignored():
    """Quirk of ASVspoof 2021's baseline: entries of bn1 exist, outputs do not depend on them."""
    dead, variables = small(active_pre_activation=False)
    active, same_shapes = small(active_pre_activation=True)
    assert jax.tree.map(np.shape, variables) == jax.tree.map(np.shape, same_shapes)
    moved = jax.tree_util.tree_map_with_path(
        lambda path, x: x + 0.5 if "norm1" in jax.tree_util.keystr(path) else x, variables
    )
    np.testing.assert_array_equal(scores(dead, variables), scores(dead, moved))
    # ASVspoof 5's form reads the very same weights and scores otherwise.
    assert np.abs(scores(active, variables) - scores(active, moved)).max() > 1e-2
    assert np.abs(scores(active, variables) - scores(dead, variables)).max() > 1e-2


def test_entries_of_the_network():
    """No pre-activation in the first block, and no parameters in the filters."""
    params = small()[1]["params"]
    sets = ("first_norm", "block_0", "block_1", "scaling_0", "scaling_1", "gru_norm", "gru")
    assert set(params) == {*sets, "embedding", "head"}
    assert set(params["block_0"]) == {"conv1", "norm2", "conv2"}
    assert set(params["block_1"]) == {"norm1", "conv1", "norm2", "conv2", "downsample"}


def test_the_filter_bank_is_the_one_that_was_asked_for():
    _, variables = small()
    banks = ("s1_mel", "s2_inverse_mel", "inverse_mel")
    found = [scores(small(filterbank=name)[0], variables)[0] for name in banks]
    assert np.diff(np.sort(found)).min() > 1e-4


def test_the_shortest_clip_leaves_one_frame():
    model, variables = small()
    assert model.shortest == 8 + 2**3

    def states(num_samples):
        def run():
            return model.apply(variables, *clips(num_samples=num_samples), mutable="intermediates")

        return jax.eval_shape(run)[1]["intermediates"]["gru_out"][0].shape

    assert states(model.shortest) == (2, 1, 5)
    assert states(model.shortest + 8) == (2, 2, 5)
    with pytest.raises(ConfigError, match="9 taps and 2 blocks takes at least 16 samples"):
        init_variables(model, jax.random.key(0), model.shortest - 1)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"filterbank": "bark"}, "filter bank 'bark' is none of mel, s1_mel"),
        ({"num_taps": 128}, "odd number of taps, not 128"),
    ],
)
def test_unfit_fields_are_named(fields, message):
    model = build_model(model_config("rawnet2_eurecom", **fields))
    with pytest.raises(ConfigError, match=message):
        init_variables(model, jax.random.key(0), 64_600)


def test_weights_of_another_form_are_refused():
    _, variables = small()
    state = variables_to_torch(variables, TORCH_NAMES)
    _, wider = small(num_filters=5)
    with pytest.raises(CheckpointError, match=r"first_bn\.running_mean is \(4,\), must be \(5,\)"):
        variables_from_torch(state, TORCH_NAMES, wider)
    del state["gru.bias_hh_l0"]
    with pytest.raises(CheckpointError, match=r"missing: gru\.bias_hh_l0$"):
        variables_from_torch(state, TORCH_NAMES, variables)
