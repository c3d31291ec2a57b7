"""A vocoder by flow matching: noise that is carried to speech in a few steps, frame by frame.

Lipman, Chen, Ben-Hamu, Nickel, Le, "Flow Matching for Generative Modeling", ICLR 2023, over the
short-time spectra of a waveform with ConvNeXt blocks at frame rate, as in Liu, Dai, Wu, "RFWave:
Multi-band Rectified Flow for Audio Waveform Reconstruction", 2024.

The path is a quarter of a circle (section 4.1, "diffusion"), not a straight line: a straight one
shrinks before it grows, and a network whose width is below the size of a spectrum cannot undo that.
After 400 steps of training on straight lines the loss was above that of the best linear guess.

Spectra of speech span 80 dB. Here the path runs over spectra divided by the envelope that the mel
bands give, so that noise and speech have the same level in every bin; the noise of Lee et al.,
"PriorGrad", ICLR 2022, has that level for the same reason.
"""

import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from rawnet_jax.vocoders.inverse_stft import inverse_stft
from rawnet_jax.vocoders.layers import ConvNextBlock
from rawnet_jax.vocoders.mel import MelSetting, filter_bank, hann, log_mel, stft

_WHOLE = math.pi / 2  # from noise to speech
_TIME_WAVES = 16  # sines and cosines each that say the angle
_SPEECH_GAIN = 1.25  # of divided spectra: measured, for real and imaginary parts near variance 1


class Flow(nn.Module):
    """The generator; a waveform's mel spectrogram and digest are all that reaches the copy.

    Attributes:
        setting: of the spectrogram and of the spectra; its size is a multiple of its hop.
        width: channels.
        hidden: channels inside a block.
        num_blocks: of them.
        num_steps: from noise to speech, by Euler's method.
    """

    setting: MelSetting
    width: int = 256
    hidden: int = 768
    num_blocks: int = 6
    num_steps: int = 8

    def setup(self) -> None:
        """Make the layers."""
        small = nn.initializers.truncated_normal(0.02)
        self.embed = nn.Conv(self.width, (7,), kernel_init=small)
        self.angles = [nn.Dense(self.width, kernel_init=small) for _ in range(self.num_blocks)]
        self.norm = nn.LayerNorm(epsilon=1e-6)
        self.blocks = [
            ConvNextBlock(self.hidden, 1 / self.num_blocks) for _ in range(self.num_blocks)
        ]
        self.last_norm = nn.LayerNorm(epsilon=1e-6)
        self.head = nn.Dense(self.setting.size + 2, kernel_init=nn.initializers.zeros)

    def __call__(self, waveform: jax.Array) -> jax.Array:
        """Return copies of waveforms.

        The noise of a row is drawn from a digest of its samples: the same copy again, and no noise
        that copies share.

        Args:
            waveform: float32 [B, T], T a multiple of the hop.

        Returns:
            float32 [B, T] within ±1.
        """
        mel = log_mel(waveform, self.setting)
        keys = jax.vmap(jax.random.key)(digests(waveform))
        x = self._noise(keys, waveform.shape[1])
        for step in range(self.num_steps):
            angle = jnp.full((len(x),), step * _WHOLE / self.num_steps)
            x = x + self.velocity(x, mel, angle) * _WHOLE / self.num_steps
        real, imaginary = jnp.split(x / _SPEECH_GAIN, 2, axis=-1)
        level = envelope(mel, self.setting)
        spectrum = jax.lax.complex(real * level, imaginary * level)
        return jnp.clip(inverse_stft(spectrum, self.setting.size, self.setting.hop), -1.0, 1.0)

    def loss(self, waveform: jax.Array, key: jax.Array) -> jax.Array:
        """Return the mean squared error of the velocity at an angle that each row draws.

        Args:
            waveform: float32 [B, T].
            key: of noise and angles.

        Returns:
            float32 []; about 1 where nothing is learned, the variance of noise and of speech.
        """
        angle_key, noise_key = jax.random.split(key)
        mel = log_mel(waveform, self.setting)
        speech = self.divided(waveform, mel)
        noise = self._noise(jax.random.split(noise_key, len(waveform)), waveform.shape[1])
        angle = jax.random.uniform(angle_key, (len(waveform),), maxval=_WHOLE)
        sine, cosine = jnp.sin(angle)[:, None, None], jnp.cos(angle)[:, None, None]
        found = self.velocity(cosine * noise + sine * speech, mel, angle)
        return jnp.mean(jnp.square(cosine * speech - sine * noise - found))

    def divided(self, waveform: jax.Array, mel: jax.Array) -> jax.Array:
        """Return the end of a path: spectra over their envelope, float32 [B, F, size + 2]."""
        spectrum = stft(waveform, self.setting.size, self.setting.hop)
        gain = _SPEECH_GAIN / envelope(mel, self.setting)
        return jnp.concatenate([spectrum.real * gain, spectrum.imag * gain], axis=-1)

    def velocity(self, x: jax.Array, mel: jax.Array, angle: jax.Array) -> jax.Array:
        """Return where to a path goes.

        Args:
            x: float32 [B, F, size + 2], real parts before imaginary ones.
            mel: float32 [B, F, M].
            angle: float32 [B], 0 = noise and half of pi = speech.

        Returns:
            As `x`: its change per radian.
        """
        turns = angle[:, None] * 2.0 ** np.linspace(-2, 8, _TIME_WAVES, dtype=np.float32)
        waves = jnp.concatenate([jnp.sin(turns), jnp.cos(turns)], axis=-1)[:, None]
        y = self.norm(self.embed(jnp.concatenate([x, mel], axis=-1)))
        for turned, block in zip(self.angles, self.blocks, strict=True):
            y = block(y + turned(waves))
        return self.head(self.last_norm(y))

    def _noise(self, keys: jax.Array, num_samples: int) -> jax.Array:
        """Return the spectra of white noise, float32 [B, F, size + 2], parts of variance 1."""
        noise = jax.vmap(lambda key: jax.random.normal(key, (num_samples,)))(keys)
        spectrum = stft(noise, self.setting.size, self.setting.hop)
        spectrum = spectrum * math.sqrt(2 / float(np.sum(hann(self.setting.size) ** 2)))
        return jnp.concatenate([spectrum.real, spectrum.imag], axis=-1)


def digests(waveform: jax.Array) -> jax.Array:
    """Return a number for each row of [B, T], uint32 [B]: of its samples in 16 bit.

    Sums of whole numbers, which every processor rounds alike.
    """
    samples = jnp.round(waveform * 32_767).astype(jnp.int32).astype(jnp.uint32)
    place = jnp.arange(waveform.shape[1], dtype=jnp.uint32) * jnp.uint32(2_654_435_761) + 1
    return jnp.sum(samples * place, axis=1, dtype=jnp.uint32)


def envelope(mel: jax.Array, setting: MelSetting) -> jax.Array:
    """Return the level of each bin that mel bands speak of.

    Args:
        mel: float32 [B, F, M], as `log_mel` gives it.
        setting: of it.

    Returns:
        float32 [B, F, size / 2 + 1], magnitudes.
    """
    return jnp.dot(jnp.exp(mel), _spread(setting))


@functools.cache
def _spread(setting: MelSetting) -> np.ndarray:
    """Return float32 [M, size / 2 + 1]: from the energy of bands to magnitudes of bins."""
    bank = filter_bank(setting).astype(np.float64)
    area = np.maximum(bank.sum(axis=0), 1e-12)
    inside = bank.any(axis=1)
    # Bins outside all bands take the level of the nearest one inside.
    nearest = np.flatnonzero(inside)[
        np.abs(np.flatnonzero(inside)[None] - np.arange(len(bank))[:, None]).argmin(axis=1)
    ]
    share = bank[nearest] / bank[nearest].sum(axis=1, keepdims=True)
    return (share / area).T.astype(np.float32)
