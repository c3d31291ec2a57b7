"""What tells copies from recordings while a vocoder is trained: by period, and by resolution.

The multi-period discriminator of HiFi-GAN (Kong et al., NeurIPS 2020) and the multi-resolution one
of UnivNet (Jang et al., Interspeech 2021), with fewer channels: here they train small generators on
a few cores.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from rawnet_jax.vocoders.mel import stft_magnitude

FeatureMaps = list[list[jax.Array]]
"""Of each discriminator the layers before its scores, [B, ..., C]."""

PERIODS = (2, 3, 5, 7, 11)
RESOLUTIONS = ((512, 128), (1024, 256), (256, 64))  # (size, hop) of a spectrogram
_SLOPE = 0.1


class Discriminators(nn.Module):
    """All of them together.

    Attributes:
        period_channels: of each layer of those by period.
        resolution_channels: of each layer of those by resolution.
        periods: of the first family.
        resolutions: (size, hop) of the second.
    """

    period_channels: Sequence[int] = (16, 32, 64, 64)
    resolution_channels: Sequence[int] = (8, 16, 16, 16)
    periods: Sequence[int] = PERIODS
    resolutions: Sequence[tuple[int, int]] = RESOLUTIONS

    @nn.compact
    def __call__(self, waveform: jax.Array) -> tuple[list[jax.Array], FeatureMaps]:
        """Judge waveforms, float32 [B, T].

        Returns:
            Scores of each discriminator, 1 = recording and 0 = copy, and its feature maps. Their
            first axis is B, or B times a period: a clip's rows follow each other.
        """
        maps = [self._by_period(waveform, period) for period in self.periods]
        maps += [self._by_resolution(waveform, *sizes) for sizes in self.resolutions]
        return [layers[-1] for layers in maps], [layers[:-1] for layers in maps]

    def _by_period(self, waveform: jax.Array, period: int) -> list[jax.Array]:
        missing = -waveform.shape[1] % period
        x = jnp.pad(waveform, ((0, 0), (0, missing)), mode="reflect")
        # A period's samples become rows of the batch: a convolution over one axis is faster on a
        # CPU than the published one over two, of which the second has width 1.
        x = x.reshape(len(x), -1, period).transpose(0, 2, 1).reshape(len(x) * period, -1, 1)
        strides = (3,) * (len(self.period_channels) - 1) + (1,)
        kernels = (5,) * len(strides)
        return self._layers(x, self.period_channels, kernels, strides, f"period_{period}", (3,))

    def _by_resolution(self, waveform: jax.Array, size: int, hop: int) -> list[jax.Array]:
        x = stft_magnitude(waveform, size, hop)[..., None]
        strides = ((1, 2), *((2, 2),) * (len(self.resolution_channels) - 1))
        kernels = ((3, 5),) * len(strides)
        name = f"resolution_{size}"
        return self._layers(x, self.resolution_channels, kernels, strides, name, (3, 3))

    def _layers(
        self,
        x: jax.Array,
        channels: Sequence[int],
        kernels: Sequence[tuple[int, ...] | int],
        strides: Sequence[tuple[int, ...] | int],
        name: str,
        last: tuple[int, ...],
    ) -> list[jax.Array]:
        maps = []
        for number, (width, kernel, stride) in enumerate(
            zip(channels, kernels, strides, strict=True)
        ):
            x = nn.Conv(width, kernel, stride, name=f"{name}_{number}")(x)
            x = nn.leaky_relu(x, _SLOPE)
            maps.append(x)
        return [*maps, nn.Conv(1, last, name=f"{name}_last")(x)]
