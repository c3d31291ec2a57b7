"""What the data, the models and the losses agree upon: one batch in, one output out."""

from typing import Any, NamedTuple, TypedDict

import numpy as np

SAMPLE_RATE_HZ = 16_000
"""Sample rate of every waveform inside the package, in Hz."""


class Batch(TypedDict):
    """A batch as the loader makes it and every step takes it.

    ``num_samples == 0`` marks a filler row: the last batch is padded to full size so that there is
    one shape, and nothing in that row may change a statistic, a loss or a figure.
    """

    waveform: Any  # float32 [B, T], full scale = 1
    num_samples: Any  # int32 [B]; samples that carry signal, 0 = filler row
    label: Any  # int32 [B], values of labels.Label, -1 = unknown
    index: Any  # int64 [B] position in the partition, -1 = filler row


class ModelOutput(NamedTuple):
    """What every model returns.

    Attributes:
        score: float32 [B], higher = more bona fide.
        logits: what the loss reads: [B] (log odds, or a cosine, of bona fide) or [B, 2] ([spoof,
            bonafide]).
        embedding: float32 [B, D], the last hidden vector.
        slices: of a model that cuts a clip into slices and averages their scores; else None.
    """

    score: Any
    logits: Any
    embedding: Any
    slices: "SliceOutput | None" = None


class SliceOutput(NamedTuple):
    """What a model with slices returns of each of the S slices of a clip, for its loss.

    Attributes:
        logits: float32 [B, S, 2], [spoof, bonafide].
        embedding: float32 [B, S, D].
        aux_logits: float32 [B, S, 2], [spoof, bonafide] of an auxiliary classifier.
        centers: float32 [2, D], the learnt centre of each class, in the order of `labels.Label`.
    """

    logits: Any
    embedding: Any
    aux_logits: Any
    centers: Any


class StepOutput(NamedTuple):
    """What a training or scoring step reports of its batch.

    Attributes:
        loss_sum: float32 scalar, weighted sum of the loss over the batch.
        weight_sum: float32 scalar, what to divide it by.
        score: float32 [B], higher = more bona fide; of filler rows, meaningless.
        label: int32 [B].
        index: int64 [B] position in the partition, -1 = filler row.
    """

    loss_sum: Any
    weight_sum: Any
    score: Any
    label: Any
    index: Any


def is_real(num_samples: Any) -> Any:
    """Return bool [B]: which rows of a batch are clips and not filler."""
    return num_samples > 0


HostBatch = dict[str, np.ndarray]
"""A `Batch` of numpy arrays: this process's rows."""
