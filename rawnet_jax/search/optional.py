"""Optuna, where it is installed."""

from types import ModuleType

from rawnet_jax.errors import ConfigError


def optuna_module() -> ModuleType:
    """Import Optuna and keep it quiet: its output is in our own table.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise ConfigError(
            "a search needs Optuna, which is not installed: pip install 'rawnet_jax[search]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna
