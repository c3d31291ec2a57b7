"""The batches that a config asks for."""

from rawnet_jax.config import DataConfig, EvalConfig, TrainConfig
from rawnet_jax.data.balance import group_numbers
from rawnet_jax.data.host_augment import make_host_chain
from rawnet_jax.data.loader import BatchSource, WaveformSource
from rawnet_jax.data.pairs import Pairs, source_positions
from rawnet_jax.data.window_labels import WindowLabels


def training_source(
    cache: WaveformSource,
    data: DataConfig,
    train: TrainConfig,
    process_index: int = 0,
    process_count: int = 1,
) -> BatchSource:
    """Return batches to train on: shuffled, cropped, balanced and augmented as the config says.

    Args:
        cache: the clips.
        data: how clips become rows.
        train: batch size, seed, number of epochs, and whether short last batches are dropped.
        process_index: of this process.
        process_count: number of processes.

    Raises:
        ConfigError: if the config asks for what these clips or this machine cannot give.
    """
    pairs = None
    if data.pairs:
        source = source_positions(cache.trials, data.pairs)
        pairs = Pairs(cache.trials, source, data.unpaired_share, train.seed)
    return BatchSource(
        cache,
        cut_labels=_cut_labels(cache, data),
        batch_size=train.batch_size,
        num_samples=data.num_samples,
        bucket_samples=data.bucket_samples,
        crop=data.crop,
        min_samples=data.min_samples,
        pad=data.pad,
        shuffle=True,
        drop_last=train.drop_last,
        seed=train.seed,
        num_epochs=train.num_epochs,
        groups=group_numbers(cache.trials, data.balance) if data.balance else None,
        pairs=pairs,
        change=make_host_chain(data.host_augment, cache),
        process_index=process_index,
        process_count=process_count,
    )


def scoring_source(
    cache: WaveformSource,
    data: DataConfig,
    evaluation: EvalConfig,
    process_index: int = 0,
    process_count: int = 1,
) -> BatchSource:
    """Return batches to score: each clip once, from its first sample, as it was recorded.

    With ``config.data.window_labels`` it is cut where ``config.data.split_seed`` draws, in every
    epoch at the same place, and has the label of that: clips rarely begin with a fake.

    Args are those of `training_source`; `evaluation` has the batch size.
    """
    shorter = tuple(bound for bound in data.bucket_samples if bound < data.num_samples)
    return BatchSource(
        cache,
        cut_labels=_cut_labels(cache, data),
        crop="random" if data.window_labels else "first",
        seed=data.split_seed,
        batch_size=evaluation.batch_size,
        num_samples=data.num_samples,
        bucket_samples=(*shorter, data.num_samples),
        pad=data.pad,
        process_index=process_index,
        process_count=process_count,
    )


def _cut_labels(cache: WaveformSource, data: DataConfig) -> WindowLabels | None:
    return WindowLabels(cache.trials, data.min_fake_s) if data.window_labels else None
