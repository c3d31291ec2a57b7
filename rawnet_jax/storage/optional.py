"""Packages of the extras `scale` and `ray`."""

import importlib
from types import ModuleType

from rawnet_jax.errors import ConfigError


def imported(name: str, what: str, extra: str = "scale") -> ModuleType:
    """Import a package of the extra.

    Args:
        name: of the module.
        what: needs it, for the error.
        extra: that brings it.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ConfigError(
            f"{what} needs {name.partition('.')[0]}: pip install 'rawnet_jax[{extra}]'"
        ) from None
