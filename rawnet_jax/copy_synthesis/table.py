"""The table of vocoders. A new one that needs no model file is a row here.

Those with weights become rows when a user names the weights: `model_files.MODEL_KINDS`.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence

from rawnet_jax.copy_synthesis import griffin_lim, phase, source_filter, world
from rawnet_jax.copy_synthesis.vocoder import Vocoder
from rawnet_jax.errors import DataError

_OURS = "Apache-2.0 (ours)"
_WORLD = "MIT (pyworld), BSD-3-Clause (WORLD)"

VOCODERS: Mapping[str, Vocoder] = {
    row.name: row
    for row in (
        Vocoder(
            "world",
            "parametric",
            world.plain,
            world.PLAIN_SETTINGS,
            "WORLD, analysis and synthesis",
            _WORLD,
            world.PACKAGE,
        ),
        Vocoder(
            "world-pitch",
            "parametric",
            world.moved_pitch,
            world.PITCH_SETTINGS,
            "WORLD with moved pitch",
            _WORLD,
            world.PACKAGE,
        ),
        Vocoder(
            "world-formants",
            "parametric",
            world.moved_formants,
            world.FORMANT_SETTINGS,
            "WORLD with moved formants",
            _WORLD,
            world.PACKAGE,
        ),
        Vocoder(
            "world-coded",
            "parametric",
            world.coded,
            world.CODED_SETTINGS,
            "WORLD with coded envelope and aperiodicity",
            _WORLD,
            world.PACKAGE,
        ),
        Vocoder(
            "mlsa",
            "parametric",
            source_filter.mlsa,
            source_filter.MLSA_SETTINGS,
            "mel-cepstra driven by pulses and noise",
            _OURS,
        ),
        Vocoder(
            "lpc",
            "parametric",
            source_filter.lpc,
            source_filter.LPC_SETTINGS,
            "linear prediction driven by pulses and noise",
            _OURS,
        ),
        Vocoder(
            "griffin-lim",
            "phase",
            griffin_lim.griffin_lim,
            griffin_lim.SETTINGS,
            "mel spectrogram, phases by Griffin-Lim",
            _OURS,
        ),
        Vocoder(
            "phase-random",
            "phase",
            phase.random_phase,
            phase.RANDOM_SETTINGS,
            "magnitudes kept, phases moved at random",
            _OURS,
        ),
        Vocoder(
            "phase-zero",
            "phase",
            phase.zero_phase,
            phase.FIXED_SETTINGS,
            "magnitudes kept, all phases zero",
            _OURS,
        ),
        Vocoder(
            "phase-minimum",
            "phase",
            phase.minimum_phase,
            phase.FIXED_SETTINGS,
            "magnitudes kept, minimum phase",
            _OURS,
        ),
    )
}
"""Every vocoder that needs no model file, by name."""


def all_vocoders(models: Sequence[Vocoder] = ()) -> dict[str, Vocoder]:
    """Return the table with the rows of models behind it.

    Raises:
        DataError: two have the same name.
    """
    rows = dict(VOCODERS)
    for row in models:
        if row.name in rows:
            raise DataError(f"two vocoders are called {row.name}; rename a model's file or folder")
        rows[row.name] = row
    return rows


def chosen(names: Iterable[str], models: Sequence[Vocoder] = ()) -> list[Vocoder]:
    """Return the vocoders of these names, or all that can be used here where none is named.

    Raises:
        DataError: a name is unknown or given twice, or the package of a named one is missing.
    """
    rows = all_vocoders(models)
    wanted = list(names)
    if not wanted:
        return [row for row in rows.values() if row.is_installed]
    for name in wanted:
        if name not in rows:
            raise DataError(_unknown(name, rows))
        if wanted.count(name) > 1:
            raise DataError(f"vocoder {name} is named twice")
        require_package(rows[name])
    return [rows[name] for name in wanted]


def require_package(row: Vocoder) -> None:
    """Refuse a vocoder whose package is missing.

    Raises:
        DataError: it is.
    """
    if not row.is_installed:
        raise DataError(
            f"vocoder {row.name} needs the package {row.package}: pip install 'rawnet_jax[vocode]'"
        )


def _unknown(name: str, rows: Mapping[str, Vocoder]) -> str:
    near = difflib.get_close_matches(name, rows, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return (
        f"vocoder {name!r} is not known; {hint}there are {', '.join(rows)}, "
        "and those that --model adds"
    )
