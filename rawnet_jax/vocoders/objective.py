"""What a vocoder and its discriminators minimise. Pure functions.

Least-squares adversarial losses, feature matching and the L1 distance of log-mel spectrograms, with
the weights 1, 2 and 45 of Kong et al., "HiFi-GAN", NeurIPS 2020, equations 1 to 6. The mel distance
is the mean over several settings (Kumar et al., "High-Fidelity Audio Compression with Improved
RVQGAN", NeurIPS 2023, section 3.4), since one alone leaves gaps that a small network hums through.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from rawnet_jax.vocoders.discriminators import FeatureMaps
from rawnet_jax.vocoders.mel import MelSetting, log_mel

FEATURE_WEIGHT = 2.0
MEL_WEIGHT = 45.0
MEL_SETTINGS = (
    MelSetting(20, 64, 256),
    MelSetting(40, 128, 512),
    MelSetting(80, 256, 1024),
    MelSetting(128, 512, 2048),
)


def mel_distance(
    real: jax.Array, copy: jax.Array, settings: Sequence[MelSetting] = MEL_SETTINGS
) -> jax.Array:
    """Return the mean absolute difference of log-mel spectrograms, in nats.

    Args:
        real: float32 [B, T].
        copy: float32 [B, T].
        settings: the mean is over these.

    Returns:
        float32 [].
    """
    distances = [jnp.mean(jnp.abs(log_mel(real, s) - log_mel(copy, s))) for s in settings]
    return jnp.mean(jnp.stack(distances))


def discriminator_loss(real: Sequence[jax.Array], copy: Sequence[jax.Array]) -> jax.Array:
    """Return how far scores of recordings are from 1 and of copies from 0, squared."""
    pairs = zip(real, copy, strict=True)
    terms = [jnp.mean(jnp.square(1 - r)) + jnp.mean(jnp.square(c)) for r, c in pairs]
    return sum(terms[1:], terms[0])


def deception_loss(copy: Sequence[jax.Array]) -> jax.Array:
    """Return how far scores of copies are from 1, squared."""
    terms = [jnp.mean(jnp.square(1 - score)) for score in copy]
    return sum(terms[1:], terms[0])


def feature_distance(real: FeatureMaps, copy: FeatureMaps) -> jax.Array:
    """Return the L1 distance of the discriminators' feature maps."""
    terms = [
        jnp.mean(jnp.abs(r - c))
        for layers_r, layers_c in zip(real, copy, strict=True)
        for r, c in zip(layers_r, layers_c, strict=True)
    ]
    return sum(terms[1:], terms[0])
