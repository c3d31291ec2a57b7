"""What happens to recordings on their way: noise, rooms, telephones, codecs, levels.

Each function takes a waveform float32 [num_samples] at 16 kHz, full scale 1, and returns one. None
rounds or limits its samples, unless that is what it is for. Chance comes in with the arguments, so
that all of them are pure functions.
"""

import numpy as np
import soundfile
import soxr

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.data.codecs import has_codec, round_trip
from rawnet_jax.simulate.replay import compand, rms
from rawnet_jax.simulate.responses import FrequencyResponse
from rawnet_jax.simulate.rooms import Environment, reverberate

TELEPHONE_RATE_HZ = 8_000
TELEPHONE_BAND_HZ = (300.0, 3_400.0)
MULAW_BITS = 8

_TELEPHONE = FrequencyResponse(*TELEPHONE_BAND_HZ, low_order=4, high_order=8)
_NO_RANDOMNESS = np.random.default_rng(0)


def add_noise(waveform: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """Add a noise at a signal-to-noise ratio.

    Args:
        waveform: the clip; both powers are means over all of it.
        noise: float [num_samples] of any level; silence adds nothing.
        snr_db: of the result.
    """
    noise_rms = rms(noise)
    if noise_rms == 0.0:
        return waveform
    gain = rms(waveform) / noise_rms * 10.0 ** (-snr_db / 20.0)
    return (waveform + gain * noise).astype(np.float32)


def add_room(waveform: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Put a clip into a room, as long and as loud as before; direct sound stays where it was.

    Args:
        waveform: the clip; what rings on after its end is lost.
        response: float [num_taps], impulse response; its strongest tap is the direct sound.
    """
    room = Environment("", "", impulse_response=response)
    wet = reverberate(waveform, room, _NO_RANDOMNESS)  # a given response draws nothing
    wet_rms = rms(wet)
    return (wet * (rms(waveform) / wet_rms if wet_rms else 1.0)).astype(np.float32)


def telephone(waveform: np.ndarray) -> np.ndarray:
    """Leave 300 to 3,400 Hz and go through a sample rate of 8 kHz."""
    narrow = _TELEPHONE.apply(waveform.astype(np.float64))
    low = soxr.resample(narrow, SAMPLE_RATE_HZ, TELEPHONE_RATE_HZ, quality="HQ")
    back = soxr.resample(low, TELEPHONE_RATE_HZ, SAMPLE_RATE_HZ, quality="HQ")
    return _as_long(back, len(waveform))


def mu_law(waveform: np.ndarray) -> np.ndarray:
    """Go through 8 bit by the µ-law of ITU-T G.711; what is beyond full scale is clipped."""
    return compand(waveform.astype(np.float64), MULAW_BITS).astype(np.float32)


def mp3(waveform: np.ndarray, kbit_s: float) -> np.ndarray:
    """Encode as MP3 at a constant rate and decode again; the codec clips beyond full scale.

    Raises:
        soundfile.LibsndfileError: libsndfile lacks the codec; `why_no_mp3` tells before.
    """
    return round_trip("mp3", waveform, kbit_s)


def why_no_mp3() -> str:
    """Return why `mp3` does not work on this machine; "" where it does."""
    if has_codec("mp3"):
        return ""
    return (
        f"libsndfile {soundfile.__libsndfile_version__} cannot encode MP3 here; it must be "
        "1.1.0 or later, built with LAME"
    )


def clip_peaks(waveform: np.ndarray, share: float) -> np.ndarray:
    """Cut off all that exceeds `share` of the clip's own peak; the rest stays as loud as it was."""
    limit = np.float32(share) * np.abs(waveform).max()
    return np.clip(waveform, -limit, limit)


def change_gain(waveform: np.ndarray, gain_db: float) -> np.ndarray:
    """Make a clip louder or softer; its samples may exceed full scale and are not clipped."""
    return waveform * np.float32(10.0 ** (gain_db / 20.0))


def truncate(waveform: np.ndarray, duration_s: float) -> np.ndarray:
    """Return the first `duration_s` of a clip, or all of a shorter one."""
    return waveform[: round(duration_s * SAMPLE_RATE_HZ)]


def segment(recording: np.ndarray, num_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Return [num_samples] of a recording from a random place; a shorter one goes round."""
    spare = len(recording) - num_samples
    if spare >= 0:
        start = int(rng.integers(spare + 1))
        return recording[start : start + num_samples]
    start = int(rng.integers(len(recording)))
    return np.take(recording, np.arange(start, start + num_samples), mode="wrap")


def _as_long(waveform: np.ndarray, num_samples: int) -> np.ndarray:
    short = max(0, num_samples - len(waveform))
    return np.pad(waveform[:num_samples], (0, short)).astype(np.float32)
