"""AASIST against the published networks, its quirks, and what its fields do."""

import collections
import json
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import soundfile

from rawnet_jax.errors import ConfigError
from rawnet_jax.interop.torch_file import read_state_dict
from rawnet_jax.interop.torch_weights import variables_from_torch, variables_to_torch
from rawnet_jax.models.aasist import AASIST, TORCH_NAMES
from rawnet_jax.models.aasist_parts import max_pool_time
from rawnet_jax.models.registry import build_model, model_config
from rawnet_jax.models.variables import init_variables
from rawnet_jax.nn.dropout import Dropout
from tests.models.parity_fixture import channels_second, fixture_named, taps_of
from tests.models.small_models import quickly

SMALL: dict[str, Any] = {"num_filters": 12, "num_taps": 17, "channels": (3, 4), "gat_dims": (5, 3)}
NUM_SAMPLES = 160
KEY = jax.random.key(3)


def small(**fields):
    """A small network and variables drawn at random, none of them 0 or 1."""
    model = AASIST(**{**SMALL, **fields})
    shapes = jax.eval_shape(lambda: init_variables(model, KEY, NUM_SAMPLES))
    rng = np.random.default_rng(1)
    drawn = jax.tree.map(lambda leaf: rng.uniform(-1, 1, leaf.shape).astype(np.float32), shapes)
    drawn["batch_stats"] = jax.tree.map(lambda x: 0.1 + x**2, drawn["batch_stats"])
    return model, drawn


def clips(rows=2):
    waveform = np.random.default_rng(2).standard_normal((rows, NUM_SAMPLES)) * 0.3
    return waveform.astype(np.float32), np.full(rows, NUM_SAMPLES, np.int32)


@pytest.fixture(scope="module")
def network():
    """One small network, its jitted forward pass, and what it shows of two clips."""
    model, variables = small()
    run = quickly(lambda v: model.apply(v, *clips(), mutable=["intermediates"]))
    output, state = run(variables)
    return run, variables, output, taps_of(state["intermediates"])


@pytest.fixture(scope="module", params=["aasist", "aasist_l"])
def published(request, shared_data):
    fixture = fixture_named(shared_data, request.param)
    model, variables = fixture.variables(request.param)
    waveform = np.concatenate(list(fixture.inputs().values()))
    num_samples = np.full(len(waveform), waveform.shape[1], np.int32)

    @quickly
    def run(variables, waveform):
        return model.apply(variables, waveform, num_samples, mutable=["intermediates"])

    output, state = jax.device_get(run(variables, waveform))
    return fixture, variables, output, taps_of(state["intermediates"])


def test_kept_nodes_are_the_published_ones_in_their_order(published):
    fixture, _, _, shown = published
    kinds = ("S", "T", "hS1", "hT1", "hS2", "hT2")
    for kind in kinds:
        rows = [
            selection[f"pool_{kind}"]["index"]
            for selection in fixture.about["pool_selection"].values()
        ]
        np.testing.assert_array_equal(shown[f"pool_{kind}.index"], np.concatenate(rows))


def test_parity_with_the_published_network(published):
    fixture, _, output, shown = published
    taps = {name: channels_second(x) if x.ndim == 4 else x for name, x in shown.items()}
    assert fixture.compare_taps(taps) == 60
    fixture.compare_outputs("last_hidden", output.embedding)
    fixture.compare_outputs("logits", output.logits)
    np.testing.assert_array_equal(output.score, output.logits[:, 1])


def test_weights_come_out_as_they_went_in(published):
    fixture, variables, _, _ = published
    wanted = fixture.state_dict()
    found = variables_to_torch(variables, TORCH_NAMES)
    assert set(found) == set(wanted)
    for name, array in found.items():
        np.testing.assert_array_equal(array, wanted[name])


def test_trained_weights_on_real_speech(shared_data):
    about = json.loads((shared_data / "parity" / "aasist_pretrained.json").read_text("utf-8"))
    model = build_model(model_config("aasist"))
    template = jax.eval_shape(lambda: init_variables(model, KEY, 64_600))
    state = read_state_dict(shared_data / "weights" / about["weights"]["file"])
    variables = variables_from_torch(state, TORCH_NAMES, template)
    waveforms = []
    for clip in about["clips"]:
        x, _ = soundfile.read(shared_data / "speech/flac" / f"{clip['utt']}.flac", dtype="float32")
        assert len(x) == clip["samples"]
        waveforms.append(np.tile(x, 64_600 // len(x) + 1)[:64_600])
    num_samples = np.full(len(waveforms), 64_600, np.int32)
    output = jax.device_get(quickly(model.apply)(variables, np.stack(waveforms), num_samples))
    tolerance = about["tolerance"]
    for row, clip in enumerate(about["clips"]):
        hidden = output.embedding[row]
        assert (
            np.abs(output.logits[row] - np.array(clip["logits"])).max()
            <= (tolerance["logits_max_abs"])
        )
        assert (
            np.abs(hidden[:4] - np.array(clip["last_hidden_first4"])).max()
            <= (tolerance["last_hidden_max_abs"])
        )
        assert abs(hidden.sum() - clip["last_hidden_sum"]) <= tolerance["last_hidden_sum_abs"]


def test_first_batchnorm_of_later_blocks_does_nothing(network):
    """As published: it is computed and the convolution then reads the raw input."""
    run, variables, output, _ = network
    changed = jax.tree.map(lambda x: x, variables)
    for collection in changed.values():
        collection["encoder1"]["bn1"] = jax.tree.map(lambda x: x + 5, collection["encoder1"]["bn1"])
    np.testing.assert_array_equal(run(changed)[0].logits, output.logits)
    assert "bn1" not in variables["params"]["encoder0"]


def test_number_of_positions_and_nodes_follows_from_the_input(network):
    _, variables, output, shown = network
    # 12 filters pooled by 3; (160 - 16) samples pooled by 3 three times.
    assert variables["params"]["pos_S"].shape == (1, 4, 5 - 1)
    assert shown["e_T"].shape == (2, (NUM_SAMPLES - 16) // 27, 4)
    assert shown["pool_T"].shape[1] == int(5 * 0.7)
    assert shown["pool_hS1"].shape[1] == 1  # of two
    assert output.embedding.shape == (2, 5 * 3)


def test_both_branches_and_the_stack_node_reach_the_embedding(network):
    _, _, output, shown = network
    for kind, columns in (("T", slice(3, 6)), ("S", slice(9, 12)), ("master", slice(12, 15))):
        branches = []
        for i in (1, 2):
            below = shown[f"hs_gal_{i}1_{kind}"] if kind == "master" else shown[f"pool_h{kind}{i}"]
            branches.append(below + shown[f"hs_gal_{i}2_{kind}"])
        merged = np.maximum(*branches)
        np.testing.assert_allclose(output.embedding[:, columns], merged.mean(1), atol=1e-6)


def masked_bands(train, **fields):
    """Bool [60 draws, 2 clips, 12 bands]: which bands of three filters are silent throughout."""
    model, _ = small(num_filters=36, **fields)

    @quickly
    def filtered(key):
        return model.apply({}, clips()[0], train, rngs={"dropout": key}, method="_filtered")

    keys = jax.random.split(KEY, 60)
    return np.array([(filtered(key)[..., 0] == 0).all(2) for key in keys])


def test_frequency_mask_sets_neighbouring_filters_to_zero():
    silent = masked_bands(True, frequency_mask=20)
    assert silent.shape == (60, 2, 12)
    np.testing.assert_array_equal(silent[:, 0], silent[:, 1])  # one draw a batch
    counts = silent[:, 0].sum(1)
    assert counts.min() == 0
    assert counts.max() == 6  # 19 filters cover at most six bands of three
    edges = np.diff(np.pad(silent[:, 0].astype(int), ((0, 0), (1, 1))), axis=1)
    assert ((edges == 1).sum(1) <= 1).all()  # neighbours
    assert silent[:, 0].any(0).all()  # anywhere, both ends included


@pytest.mark.parametrize(("train", "frequency_mask"), [(True, 0), (False, 20)])
def test_no_frequency_mask_by_default_nor_in_scoring(train, frequency_mask):
    assert not masked_bands(train, frequency_mask=frequency_mask).any()


def test_mask_of_more_filters_than_there_are():
    counts = masked_bands(True, frequency_mask=1_000)[:, 0].sum(1)
    assert counts.max() >= 11  # up to 35 of 36


def test_where_dropout_is():
    """Counted while the forward pass is traced: (rate, whether it acts) of every layer."""
    rates = {"dropout": 0.21, "pool_dropout": 0.32, "head_dropout": 0.53}
    model, variables = small(**rates)
    wanted = {0.21: 2 + 4 + 1, 0.32: 6, 0.53: 1}
    for train in (True, False):
        found: list[tuple[float, bool]] = []

        def note(call, args, kwargs, context, found=found):
            if isinstance(context.module, Dropout):
                found.append((context.module.rate, args[1]))
            return call(*args, **kwargs)

        with nn.intercept_methods(note):
            jax.eval_shape(
                lambda train=train: model.apply(
                    variables,
                    *clips(),
                    train=train,
                    rngs={"dropout": KEY},
                    mutable=["batch_stats"],
                )
            )
        assert collections.Counter(found) == {(r, train): n for r, n in wanted.items()}


def test_initial_values_are_drawn_as_published():
    model = AASIST(channels=(4, 64), gat_dims=(64, 32))

    @quickly
    def drawn():
        params = init_variables(model, KEY, 2_400)["params"]
        normal = [params[name].ravel() for name in ("pos_S", "stack1", "stack2")]
        vectors = [params[name]["pair_vector"].ravel() for name in ("gat_S", "gat_T")]
        kernel = params["hs_gal_11"]["temporal"]["kernel"]
        return jnp.concatenate(normal), jnp.concatenate(vectors), jnp.abs(kernel).max()

    normal, vectors, largest = drawn()
    assert abs(normal.std() - 1) < 0.1
    assert abs(vectors.std() / np.sqrt(2 / 65) - 1) < 0.2
    assert 0.99 * 64**-0.5 < largest <= 64**-0.5


def test_too_short_a_clip_is_named():
    model = AASIST(**SMALL)
    assert jax.eval_shape(lambda: init_variables(model, KEY, 43))
    with pytest.raises(ConfigError, match="for clips of 42 samples: the network needs at least 43"):
        init_variables(model, KEY, 42)


def test_pooling_over_time_alone():
    x = np.random.default_rng(0).standard_normal((2, 3, 8, 2)).astype(np.float32)
    wanted = x[:, :, :6].reshape(2, 3, 2, 3, 2).max(3)
    np.testing.assert_array_equal(max_pool_time(jnp.asarray(x), 3), wanted)
