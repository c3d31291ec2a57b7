"""The vocoders that copy a pool's bona fide pieces: matched fakes, beside those of repositories."""

from dataclasses import dataclass
from pathlib import Path

from rawnet_jax.copy_synthesis.model_files import model_vocoders
from rawnet_jax.copy_synthesis.table import VOCODERS
from rawnet_jax.copy_synthesis.vocoder import Vocoder
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.pool.table import Table, VocoderRow


@dataclass(frozen=True, slots=True)
class PoolVocoder:
    """One of them. It can be pickled: a worker process gets it.

    Attributes:
        name: system of its copies.
        family: engine family of its copies.
        row: makes them.
    """

    name: str
    family: str
    row: Vocoder


def pool_vocoders(
    table: Table, folder: Path | None
) -> tuple[tuple[PoolVocoder, ...], tuple[str, ...]]:
    """Return the vocoders of a table, and a line for each that is not there.

    Args:
        table: names them.
        folder: of trained vocoders; None = there is none.

    Raises:
        ConfigError: a name without a model is not a vocoder of ours.
        DataError: a model is damaged.
    """
    found, lacking = [], []
    for each in table.vocoder:
        try:
            row = _row(each, folder)
        except FileNotFoundError:
            lacking.append(
                f"vocoder {each.name}: no {each.model} in "
                f"{folder or 'a folder of vocoders'} (--vocoders)"
            )
            continue
        if row.is_installed:
            found.append(PoolVocoder(each.name, each.family, row))
        else:
            lacking.append(f"vocoder {each.name}: needs the package {row.package}")
    return tuple(found), tuple(lacking)


def _row(each: VocoderRow, folder: Path | None) -> Vocoder:
    if not each.model:
        if each.name not in VOCODERS:
            raise ConfigError(
                f"vocoder {each.name}: it must have a model, or be one of {', '.join(VOCODERS)}"
            )
        return VOCODERS[each.name]
    path = None if folder is None else folder / each.model
    if path is None or not path.exists():
        raise FileNotFoundError(each.model)
    try:
        [row] = model_vocoders([path])
    except DataError as error:
        raise DataError(f"vocoder {each.name}: {error}") from error
    return row
