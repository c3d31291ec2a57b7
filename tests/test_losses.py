"""Losses against the published ones' values and gradients, and what holds for all of them."""

import json
import zlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rawnet_jax.config import LossConfig
from rawnet_jax.contract import ModelOutput, SliceOutput
from rawnet_jax.errors import ConfigError
from rawnet_jax.labels import Label
from rawnet_jax.losses import (
    LOSSES,
    batch_loss,
    cross_entropy,
    eabn,
    focal,
    loss_config,
    make_loss,
    pair_ranking,
    row_weights,
    triplet_center,
    triplet_hard,
)

BATCH, DIM = 8, 16
# The fixture's cases call bona fide 0 but for weighted_ce; ours call it 1.
BONAFIDE_FIRST = {"oc_softmax", "oc_softmax_near", "am_softmax", "eabn", "eabn_far_centres"}


class Case:
    """One case of the fixture: its inputs by rule, as float32, in the fixture's own label order."""

    def __init__(self, shared_data, name):
        about = json.loads((shared_data / "parity" / "losses.json").read_text("utf-8"))
        self.arrays = np.load(shared_data / "parity" / "losses.npz")
        self.name = name
        self.about = next(c for c in about["cases"] if c["case"] == name)
        self.labels = np.array(self.about["labels"], np.int32)
        self.inputs = {}
        for entry in about["entries"]:
            case, what = entry["name"].split(".")
            if case == name:
                g = np.random.default_rng([zlib.crc32(entry["name"].encode()), about["seed"]])
                drawn = entry["scale"] * g.standard_normal(tuple(entry["shape"]))
                self.inputs[what] = drawn.astype(np.float32).astype(np.float64)
        if name == "oc_softmax_near":
            self.inputs["embedding"] += 2 * self.inputs["center"]
        if name == "eabn_far_centres":
            odd = np.arange(BATCH) % 2
            own = np.where(odd, 1 - self.labels, self.labels)
            self.inputs["embedding"] += self.inputs["centers"][own]

    @property
    def our_labels(self):
        return jnp.asarray(1 - self.labels if self.name in BONAFIDE_FIRST else self.labels)

    def check(self, loss_of):
        """Compare the value and every gradient with the fixture."""
        inputs = {what: jnp.asarray(x, jnp.float32) for what, x in self.inputs.items()}
        value, grads = jax.value_and_grad(loss_of)(inputs)
        assert float(value) == pytest.approx(self.about["loss"], rel=1e-5)
        assert set(grads) == set(self.about["gradients"])
        for what, grad in grads.items():
            wanted = self.arrays[f"{self.name}.grad.{what}"]
            assert np.abs(grad - wanted).max() <= 2e-5 * np.abs(wanted).max(), what


def mean_loss(config: LossConfig, output: ModelOutput, labels) -> jax.Array:
    batch: Any = {"label": labels, "num_samples": jnp.ones_like(labels)}
    sums = batch_loss(make_loss(config), output, batch, config.class_weights)
    return sums[0] / sums[1]


def cosine(embedding, centers):
    unit = embedding / jnp.linalg.norm(embedding, axis=-1, keepdims=True)
    return unit @ (centers / jnp.linalg.norm(centers, axis=-1, keepdims=True)).T


@pytest.mark.parametrize("name", ["oc_softmax", "oc_softmax_near"])
def test_oc_softmax_matches_the_published_one(shared_data, name):
    case = Case(shared_data, name)

    def loss_of(inputs):
        score = cosine(inputs["embedding"], inputs["center"])[:, 0]
        output = ModelOutput(score, score, inputs["embedding"])
        return mean_loss(loss_config("oc_softmax"), output, case.our_labels)

    case.check(loss_of)


def test_am_softmax_matches_the_published_one(shared_data):
    case = Case(shared_data, "am_softmax")

    def loss_of(inputs):
        logits = cosine(inputs["embedding"], inputs["centers"])[:, ::-1]
        output = ModelOutput(logits[:, 1], logits, inputs["embedding"])
        return mean_loss(loss_config("am_softmax"), output, case.our_labels)

    case.check(loss_of)


@pytest.mark.parametrize("name", ["eabn", "eabn_far_centres"])
def test_eabn_matches_the_published_one(shared_data, name):
    case = Case(shared_data, name)

    def loss_of(inputs):
        slices = SliceOutput(
            inputs["logits"][:, None, ::-1],
            inputs["embedding"][:, None],
            inputs["aux_logits"][:, None, ::-1],
            inputs["centers"][::-1],
        )
        output = ModelOutput(None, None, None, slices)
        return mean_loss(loss_config("eabn", class_weights=(0.1, 0.9)), output, case.our_labels)

    case.check(loss_of)


@pytest.mark.parametrize("weights", [(0.1, 0.9), (1.0, 9.0)])
def test_weighted_cross_entropy_matches_the_published_one(shared_data, weights):
    case = Case(shared_data, "weighted_ce")

    def loss_of(inputs):
        output = ModelOutput(None, inputs["logits"], None)
        config = loss_config("cross_entropy", class_weights=weights)
        return mean_loss(config, output, case.our_labels)

    case.check(loss_of)


def test_parts_of_the_eabn_loss(shared_data):
    """The triplet-centre and focal terms alone, as the fixture lists them."""
    case = Case(shared_data, "eabn_far_centres")
    wanted, labels = case.about["parameters"], case.our_labels
    x = {what: jnp.asarray(value, jnp.float32) for what, value in case.inputs.items()}
    weight = row_weights(labels, jnp.ones_like(labels), (0.1, 0.9))
    hinge = triplet_center(x["embedding"], x["centers"][::-1], labels, 32.0)
    assert [bool(h > 0) for h in hinge] == case.about["hinge_active"]
    assert float((weight * hinge).mean()) == pytest.approx(wanted["triplet_centre"], rel=1e-5)
    output = ModelOutput(None, x["logits"][:, ::-1], None)
    value = mean_loss(loss_config("focal", class_weights=(0.1, 0.9)), output, labels)
    assert float(value) == pytest.approx(wanted["focal"], rel=1e-5)


def random_output(seed: int) -> ModelOutput:
    rng = np.random.default_rng(seed)
    draw = lambda *shape: jnp.asarray(rng.standard_normal(shape), jnp.float32)  # noqa: E731
    slices = SliceOutput(draw(BATCH, 3, 2), draw(BATCH, 3, DIM), draw(BATCH, 3, 2), draw(2, DIM))
    return ModelOutput(None, draw(BATCH, 2), draw(BATCH, DIM), slices)


def output_for(name: str, seed: int = 0) -> ModelOutput:
    output = random_output(seed)
    one_logit = name in ("bce", "oc_softmax")
    return output._replace(logits=output.logits[:, 0]) if one_logit else output


LABELS = jnp.array([0, 1, 0, 1, 1, 0, 1, 0])


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_filler_and_unlabelled_rows_count_nothing(name):
    loss, labels = make_loss(loss_config(name)), LABELS.at[6].set(-1)
    num_samples = jnp.ones_like(LABELS).at[7].set(0)
    output = output_for(name)
    spoilt = jax.tree.map(lambda x: x.at[6:].set(50.0) if x.shape[0] == BATCH else x, output)

    def value(o):
        batch: Any = {"label": labels, "num_samples": num_samples}
        sums = batch_loss(loss, o, batch, (0.1, 0.9))
        return sums[0] / sums[1]

    assert float(value(output)) == pytest.approx(float(value(spoilt)), rel=1e-6)
    grads = jax.grad(lambda logits: value(output._replace(logits=logits)))(output.logits)
    assert not np.any(np.asarray(grads)[6:])


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_losses_fall_along_their_gradient(name):
    """And are finite with a finite gradient far out, where probabilities round to 0 and 1."""
    loss, output = make_loss(loss_config(name)), output_for(name)
    weight = jnp.ones(BATCH)
    mean = lambda o: loss(o, LABELS, weight).mean()  # noqa: E731
    grads = jax.grad(mean)(output)
    step = jax.tree.map(lambda x, g: x - 1e-3 * g, output, grads)
    assert float(mean(step)) < float(mean(output))
    far = jax.tree.map(lambda x: 1e4 * x, output)
    values = jax.tree.leaves((loss(far, LABELS, weight), jax.grad(mean)(far)))
    assert all(bool(jnp.isfinite(x).all()) for x in values)


def test_focal_on_smoothed_labels_by_hand():
    """alpha (1 - p)^gamma (-log p) with log p = -cross-entropy to .05 and .95, as Nes2Net's."""
    output = ModelOutput(None, jnp.array([[1.0, -0.5], [0.3, 2.0]]), None)
    label = jnp.array([1, 1])
    p = 1 / (1 + np.exp(-np.array([-1.5, 1.7])))
    wrong = -(0.95 * np.log(p) + 0.05 * np.log(1 - p))
    wanted = 0.25 * (1 - np.exp(-wrong)) ** 2 * wrong
    found = focal(output, label, jnp.ones(2), alpha=0.25, smoothing=0.1)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    plain = focal(output, label, jnp.ones(2), alpha=0.25)
    np.testing.assert_allclose(plain, 0.25 * (1 - p) ** 2 * -np.log(p), rtol=1e-5)


def test_focal_without_gamma_is_cross_entropy():
    output, weight = random_output(3), jnp.ones(BATCH)
    plain = cross_entropy(output, LABELS, weight)
    np.testing.assert_allclose(focal(output, LABELS, weight, gamma=0.0), plain, rtol=1e-6)
    assert bool((focal(output, LABELS, weight) < plain).all())


def test_cross_entropy_of_branches_is_the_mean_of_each_alone():
    logits = jax.random.normal(jax.random.key(6), (BATCH, 3, 2))
    weight = jnp.ones(BATCH)
    found = cross_entropy(ModelOutput(None, logits, None), LABELS, weight)
    alone = [cross_entropy(ModelOutput(None, logits[:, k], None), LABELS, weight) for k in range(3)]
    np.testing.assert_allclose(found, np.mean(alone, axis=0), rtol=1e-6)


def test_smoothing_by_a_slow_second_way():
    output, weight = random_output(5), jnp.ones(BATCH)
    log_p = jax.nn.log_softmax(output.logits)
    target = 0.9 * jax.nn.one_hot(LABELS, 2) + 0.1 / 2
    found = cross_entropy(output, LABELS, weight, smoothing=0.1)
    np.testing.assert_allclose(found, -(target * log_p).sum(axis=1), rtol=1e-5)
    # Nothing is better than the log odds that the docstring names.
    log_odds = np.log(2 / 0.1 - 1) + np.array([0.0, 0.5, -0.5], np.float32)
    logits = np.stack([np.zeros(3, np.float32), log_odds], axis=1)
    sure = cross_entropy(ModelOutput(None, logits, None), jnp.ones(3, int), weight, smoothing=0.1)
    assert sure.argmin() == 0


def test_batch_hard_mining_by_a_slow_second_way():
    output = random_output(4)
    embedding, labels = np.asarray(output.embedding, np.float64), np.asarray(LABELS)
    weight = jnp.ones(BATCH).at[2].set(0.0)
    wanted = []
    for a in range(BATCH):
        distances: dict[int, list[float]] = {0: [], 1: []}
        for b in range(BATCH):
            if b != a and b != 2 and a != 2:
                distances[labels[b]].append(np.sqrt(((embedding[a] - embedding[b]) ** 2).sum()))
        own, other = distances[labels[a]], distances[1 - labels[a]]
        wanted.append(max(0.0, max(own) - min(other) + 0.3) if own and other else 0.0)
    found = triplet_hard(output, LABELS, weight, cross_entropy_weight=0.0)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    assert max(wanted) > 0.3


def test_batch_of_one_class_has_no_triplet():
    found = triplet_hard(
        random_output(5), jnp.ones(BATCH, jnp.int32), jnp.ones(BATCH), cross_entropy_weight=0.0
    )
    assert not np.any(np.asarray(found))


def test_equal_embeddings_have_a_finite_gradient():
    output = random_output(6)._replace(embedding=jnp.ones((BATCH, DIM)))
    grads = jax.grad(
        lambda e: triplet_hard(output._replace(embedding=e), LABELS, jnp.ones(BATCH)).sum()
    )(output.embedding)
    assert bool(jnp.isfinite(grads).all())


def test_every_slice_is_a_training_item():
    """Three slices of a clip count as three clips of one slice would."""
    output, weight = random_output(7), row_weights(LABELS, jnp.ones(BATCH, jnp.int32), (0.2, 0.8))
    assert output.slices is not None
    flat = [x.reshape(3 * BATCH, 1, -1) for x in output.slices[:3]]
    apart = SliceOutput(flat[0], flat[1], flat[2], output.slices.centers)
    label, weights = jnp.repeat(LABELS, 3), jnp.repeat(weight, 3)
    found = eabn(output, LABELS, weight)
    wanted = eabn(output._replace(slices=apart), label, weights)
    np.testing.assert_allclose(found, wanted.reshape(BATCH, 3).mean(1), rtol=1e-5)


def test_label_of_classes_indexes_logits():
    confident = ModelOutput(None, jnp.array([[-9.0, 9.0]]), None)
    low, high = (
        cross_entropy(confident, jnp.array([label]), jnp.ones(1))
        for label in (Label.BONAFIDE, Label.SPOOF)
    )
    assert float(low[0]) < 1e-6 < float(high[0])


def test_fields_of_a_loss_are_checked():
    assert loss_config("am_softmax", scale=30).fields.scale == 30.0
    with pytest.raises(ConfigError, match="must be one of bce, cross_entropy, focal"):
        loss_config("hinge")
    with pytest.raises(ConfigError, match=r"loss oc_softmax: .*did you mean 'alpha'"):
        loss_config("oc_softmax", alpa=3)
    with pytest.raises(ConfigError, match="unknown config field 'alpha'"):
        make_loss(LossConfig(name="bce", fields=loss_config("focal").fields))


def test_a_pair_is_ranked_by_the_difference_of_its_log_odds():
    log_odds = np.array([2.0, -1.0, 0.5, 1.5, 3.0, 0.0, 1.0, 1.0], np.float32)
    logits = jnp.stack([jnp.zeros(8), log_odds], axis=1)
    label = jnp.array([1, 0, 0, 1, 1, 1, 1, 0])
    weight = jnp.array([1.0, 1, 1, 1, 1, 1, 1, 0])
    output = ModelOutput(jnp.asarray(log_odds), logits, jnp.zeros((8, 1)))
    found = pair_ranking(output, label, weight, margin=2.0, ranking_weight=3.0)
    ahead = np.array([3.0, 3.0, 1.0, 1.0])  # of the two pairs that have both classes and count
    ranking = np.concatenate([3.0 * np.log1p(np.exp(2.0 - ahead)), np.zeros(4)])
    expected = np.asarray(cross_entropy(output, label, weight)) + ranking
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    moved = ModelOutput(output.score, logits + jnp.array([0.0, 5.0]), output.embedding)
    again = pair_ranking(moved, label, weight, margin=2.0, ranking_weight=3.0)
    np.testing.assert_allclose(
        again - cross_entropy(moved, label, weight),
        found - cross_entropy(output, label, weight),
        rtol=1e-5,
        atol=1e-6,
    )
