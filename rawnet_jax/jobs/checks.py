"""Checks of options, named as the flags that set them."""

from rawnet_jax.errors import ConfigError


def at_least(flag: str, number: int | None, least: int) -> None:
    """Check a number; None = not given.

    Raises:
        ConfigError: it is smaller.
    """
    if number is not None and number < least:
        raise ConfigError(f"{flag} {number}: it must be {least} or more")


def check_prior(p_spoof: float) -> None:
    """Check ``--p-spoof``.

    Raises:
        ConfigError: it is not between 0 and 1.
    """
    if not 0 < p_spoof < 1:
        raise ConfigError(f"--p-spoof {p_spoof:g}: it must be above 0 and below 1")
