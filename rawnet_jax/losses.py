"""Losses: each takes what a model returned and computes how wrong every row is.

A loss is a pure function ``(output: ModelOutput, label int32 [B], weight float32 [B]) -> float32
[B]``. ``weight`` is what a row counts in the mean, as `row_weights` gives it: the weight of its
class, 0 for filler rows and unknown labels. A loss only looks at it where rows meet each other;
weighting and averaging is the same for all and happens once, in `batch_loss`.

Centres are parameters of the models that have them; a loss stays a function of a model's output.
"""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from rawnet_jax.config import LossConfig, unknown_field
from rawnet_jax.contract import Batch, ModelOutput, is_real
from rawnet_jax.errors import ConfigError
from rawnet_jax.labels import Label
from rawnet_jax.nn.loss_terms import euclidean, focal_term, log_probability

Loss = Callable[[ModelOutput, jax.Array, jax.Array], jax.Array]


def bce(output: ModelOutput, label: jax.Array, weight: jax.Array) -> jax.Array:
    """Binary cross-entropy on one logit per row.

    Args:
        output: its ``logits`` [B] are the log odds of bona fide speech.
        label: int32 [B].
        weight: float32 [B].

    Returns:
        float32 [B], in nats.
    """
    del weight
    target = (label == Label.BONAFIDE).astype(jnp.float32)
    return optax.sigmoid_binary_cross_entropy(output.logits, target)


def cross_entropy(
    output: ModelOutput, label: jax.Array, weight: jax.Array, *, smoothing: float = 0.0
) -> jax.Array:
    """Softmax cross-entropy on ``[spoof, bonafide]`` logits.

    Args:
        output: its ``logits`` are [B, 2]; or [B, K, 2] of K branches, each to learn on its own.
        label: int32 [B].
        weight: float32 [B].
        smoothing: share of the target that is divided equally over the classes (Szegedy et al.,
            Rethinking the inception architecture, CVPR 2016, section 7), so that log odds beyond
            log(2 / smoothing - 1) cost again.

    Returns:
        float32 [B], in nats; of branches the mean.
    """
    del weight
    branches = output.logits.reshape(len(label), -1, len(Label))
    wrong = smoothing / len(Label)
    log_p = (1.0 - wrong) * log_probability(branches, label[:, None])
    log_p += wrong * log_probability(branches, 1 - jnp.maximum(label, 0)[:, None])
    return -log_p.mean(axis=1)


def pair_ranking(
    output: ModelOutput,
    label: jax.Array,
    weight: jax.Array,
    *,
    smoothing: float = 0.0,
    margin: float = 2.0,
    ranking_weight: float = 1.0,
) -> jax.Array:
    """Cross-entropy, and within each pair the bona fide clip ranked above its fake.

    Rows 2i and 2i + 1 are a pair, as ``config.data.pairs`` makes them. What both sides have in
    common (speaker, words, channel) cancels in the difference of their log odds. The ranking term
    is the logistic one of Burges et al., Learning to rank using gradient descent (ICML 2005), with
    a margin.

    Args:
        output: as in `cross_entropy`.
        label: int32 [B].
        weight: float32 [B]; a pair of which a row has weight 0 has no ranking term.
        smoothing: as in `cross_entropy`.
        margin: log odds that the bona fide clip shall be ahead by.
        ranking_weight: factor on the ranking term.

    Returns:
        float32 [B], in nats; of branches the mean.
    """
    classifier = cross_entropy(output, label, weight, smoothing=smoothing)
    branches = output.logits.reshape(len(label), -1, len(Label))
    log_odds = branches[..., Label.BONAFIDE] - branches[..., Label.SPOOF]
    partner = jnp.arange(len(label)) ^ 1
    ahead = (label - label[partner])[:, None] * (log_odds - log_odds[partner])
    ranked = (label != label[partner]) & (weight > 0) & (weight[partner] > 0)
    ranking = jnp.where(ranked, jax.nn.softplus(margin - ahead).mean(axis=1), 0.0)
    return classifier + ranking_weight * ranking


def focal(
    output: ModelOutput,
    label: jax.Array,
    weight: jax.Array,
    *,
    gamma: float = 2.0,
    alpha: float = 1.0,
    smoothing: float = 0.0,
) -> jax.Array:
    """Cross-entropy in which rows already scored well count less: (1 - p)^gamma · (-log p).

    Lin et al., Focal loss for dense object detection (ICCV 2017), eq. 4; here on ``[spoof,
    bonafide]`` logits [B, 2]. Their factor by class, eq. 5, is ``class_weights``.

    Args:
        output: of the model.
        label: int32 [B].
        weight: float32 [B].
        gamma: 0 = cross-entropy.
        alpha: factor on all rows alike, as in Nes2Net's code for CtrSVDD (arXiv 2504.05657).
        smoothing: as in `cross_entropy`; p is then exp(-cross-entropy). That code has .1.

    Returns:
        float32 [B], in nats.
    """
    found = focal_term(output.logits, label, gamma)
    if smoothing:
        wrong = cross_entropy(output, label, weight, smoothing=smoothing)
        found = jnp.power(-jnp.expm1(-wrong), gamma) * wrong
    return found if alpha == 1.0 else alpha * found


def oc_softmax(
    output: ModelOutput,
    label: jax.Array,
    weight: jax.Array,
    *,
    alpha: float = 20.0,
    bonafide_margin: float = 0.9,
    spoof_margin: float = 0.2,
) -> jax.Array:
    """One-class softmax: bona fide speech close to one centre, everything else away from it.

    Zhang, Jiang, Duan, One-class learning towards synthetic voice spoofing detection (IEEE SPL
    2021), eq. 5.

    Args:
        output: its ``logits`` [B] are cosines between embedding and centre.
        label: int32 [B].
        weight: float32 [B].
        alpha: scale.
        bonafide_margin: cosine that bona fide speech shall exceed.
        spoof_margin: cosine that spoofed speech shall stay below.

    Returns:
        float32 [B].
    """
    del weight
    distance = jnp.where(
        label == Label.BONAFIDE, bonafide_margin - output.logits, output.logits - spoof_margin
    )
    return jax.nn.softplus(alpha * distance)


def am_softmax(
    output: ModelOutput,
    label: jax.Array,
    weight: jax.Array,
    *,
    scale: float = 20.0,
    margin: float = 0.9,
) -> jax.Array:
    """Additive-margin softmax: cross-entropy on cosines, the true class's less a margin.

    Wang et al., Additive margin softmax for face verification (IEEE SPL 2018); with two centres and
    these values in Zhang, Jiang, Duan (IEEE SPL 2021), eq. 4.

    Args:
        output: its ``logits`` [B, 2] are cosines to the centres of ``[spoof, bonafide]``.
        label: int32 [B].
        weight: float32 [B].
        scale: factor on the cosines.
        margin: what the true class's cosine must be better by.

    Returns:
        float32 [B], in nats.
    """
    del weight
    is_true = jax.nn.one_hot(jnp.maximum(label, 0), 2)
    return -log_probability(scale * (output.logits - margin * is_true), label)


def triplet_hard(
    output: ModelOutput,
    label: jax.Array,
    weight: jax.Array,
    *,
    margin: float = 0.3,
    triplet_weight: float = 1.0,
    cross_entropy_weight: float = 1.0,
) -> jax.Array:
    """Triplet loss with batch-hard mining, beside cross-entropy that trains the classifier.

    Hermans, Beyer, Leibe, In defense of the triplet loss (2017), eq. 5: each row against its
    farthest row of the same class and its nearest of the other one, within the batch. A row that
    lacks either has no triplet term.

    Args:
        output: ``embedding`` [B, D], and ``logits`` [B, 2] for the cross-entropy.
        label: int32 [B].
        weight: float32 [B]; rows of weight 0 are not mined.
        margin: Euclidean distance that the classes must keep.
        triplet_weight: factor on the triplet term.
        cross_entropy_weight: factor on the cross-entropy.

    Returns:
        float32 [B].
    """
    distance = euclidean(output.embedding[:, None] - output.embedding[None])
    counts = weight > 0
    known = counts[:, None] & counts[None]
    same = known & (label[:, None] == label[None]) & ~jnp.eye(len(label), dtype=bool)
    other = known & (label[:, None] != label[None])
    farthest = jnp.max(jnp.where(same, distance, -jnp.inf), axis=1)
    nearest = jnp.min(jnp.where(other, distance, jnp.inf), axis=1)
    mined = same.any(axis=1) & other.any(axis=1)
    hinge = jnp.where(mined, farthest, 0.0) - jnp.where(mined, nearest, 0.0) + margin
    triplet = jnp.where(mined, jnp.maximum(hinge, 0.0), 0.0)
    classifier = -log_probability(output.logits, label)
    return triplet_weight * triplet + cross_entropy_weight * classifier


def triplet_center(
    embedding: jax.Array, centers: jax.Array, label: jax.Array, margin: float
) -> jax.Array:
    """Hinge on being closer to the own class's centre than to the other one's, by a margin.

    Rostami et al., EABN (CSSP 2023), binary triplet-centre loss; distances are Euclidean.

    Args:
        embedding: float32 [..., D].
        centers: float32 [2, D], in the order of `Label`.
        label: int32 [...].
        margin: in units of the embedding.

    Returns:
        float32 [...].
    """
    own = centers[jnp.maximum(label, 0)]
    other = centers[1 - jnp.maximum(label, 0)]
    return jnp.maximum(euclidean(embedding - own) - euclidean(embedding - other) + margin, 0.0)


def eabn(
    output: ModelOutput,
    label: jax.Array,
    weight: jax.Array,
    *,
    gamma: float = 2.0,
    margin: float = 32.0,
    triplet_weight: float = 0.005,
    aux_weight: float = 0.1,
) -> jax.Array:
    """EABN's combined loss: focal, triplet-centre and the attention branch's cross-entropy.

    Rostami et al., EABN (CSSP 2023), in the form of its published code: the class term is the focal
    loss (the abstract names cross-entropy), and the triplet term is divided by the number of rows
    where the others are divided by the sum of the class weights.

    Args:
        output: of a model with ``slices``; every slice is a training item.
        label: int32 [B].
        weight: float32 [B].
        gamma: of the focal loss.
        margin: of the triplet-centre term.
        triplet_weight: factor on the triplet-centre term.
        aux_weight: factor on the auxiliary cross-entropy.

    Returns:
        float32 [B], mean over a row's slices.
    """
    slices: Any = output.slices
    label_of_slice = jnp.broadcast_to(label[:, None], slices.logits.shape[:2])
    # The mean that follows divides by the sum of the weights; this turns it into one by rows.
    by_rows = weight.sum() / jnp.maximum(jnp.sum(weight > 0), 1)
    triplet = triplet_center(slices.embedding, slices.centers, label_of_slice, margin)
    values = (
        focal_term(slices.logits, label_of_slice, gamma)
        + triplet_weight * by_rows * triplet
        - aux_weight * log_probability(slices.aux_logits, label_of_slice)
    )
    return values.mean(axis=1)


LOSSES: dict[str, Callable[..., jax.Array]] = {
    "bce": bce,
    "cross_entropy": cross_entropy,
    "focal": focal,
    "oc_softmax": oc_softmax,
    "am_softmax": am_softmax,
    "triplet_hard": triplet_hard,
    "eabn": eabn,
    "pair_ranking": pair_ranking,
}


def loss_config(
    name: str, class_weights: tuple[float, float] = (1.0, 1.0), **fields: float
) -> LossConfig:
    """Return the config section of a loss, all its fields spelt out.

    Args:
        name: a row of `LOSSES`.
        class_weights: (spoof, bonafide).
        **fields: keyword arguments of the loss that differ from its defaults.

    Raises:
        ConfigError: for an unknown loss or field.
    """
    known = _defaults(name)
    for given in fields:
        if given not in known:
            raise ConfigError(f"loss {name}: {unknown_field(given, known)}")
    complete = {n: float(value) for n, value in {**known, **fields}.items()}
    return LossConfig(name=name, class_weights=class_weights, fields=ConfigDict(complete))


def make_loss(config: LossConfig) -> Loss:
    """Return the loss that a config names.

    Raises:
        ConfigError: for an unknown loss or field.
    """
    complete = loss_config(config.name, **config.fields.to_dict())
    return partial(LOSSES[config.name], **complete.fields.to_dict())


def _defaults(name: str) -> dict[str, Any]:
    if name not in LOSSES:
        raise ConfigError(f"config.loss.name is {name!r}; it must be one of {', '.join(LOSSES)}")
    parameters = inspect.signature(LOSSES[name]).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def batch_loss(
    loss: Loss, output: ModelOutput, batch: Batch, class_weights: tuple[float, ...]
) -> tuple[jax.Array, jax.Array]:
    """Return the sum of weighted losses of a batch and the sum of weights to divide it by."""
    weight = row_weights(batch["label"], batch["num_samples"], class_weights)
    return weighted_sums(loss(output, batch["label"], weight), weight)


def row_weights(
    label: jax.Array, num_samples: jax.Array, class_weights: tuple[float, ...]
) -> jax.Array:
    """Return what each row counts in the mean loss.

    Args:
        label: int32 [B]; rows of unknown label (-1) count 0.
        num_samples: int32 [B]; filler rows (0) count 0.
        class_weights: (spoof, bonafide).

    Returns:
        float32 [B].
    """
    weight = jnp.asarray(class_weights, jnp.float32)[jnp.maximum(label, 0)]
    return jnp.where(is_real(num_samples) & (label >= 0), weight, 0.0)


def weighted_sums(values: jax.Array, weight: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Sum a loss over the rows that count.

    Their quotient is the weighted mean as PyTorch's ``CrossEntropyLoss(weight=…)`` defines it:
    divided by the sum of the weights, not by the number of rows.

    Args:
        values: float32 [B]; what stands in a row of weight 0 is not looked at.
        weight: float32 [B], of `row_weights`.

    Returns:
        ``(sum of weighted values, sum of weights)``, float32 scalars.
    """
    return jnp.sum(weight * jnp.where(weight > 0, values, 0.0)), jnp.sum(weight)
