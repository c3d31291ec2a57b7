"""``speaker-encoder``: bring in an encoder of voices, measure it, calibrate it."""

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rawnet_jax.config import AudioConfig
from rawnet_jax.data.audio import read_waveform
from rawnet_jax.data.audio_index import audio_files
from rawnet_jax.data.protocol_file import read_protocol
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.jobs.console import say_written
from rawnet_jax.jobs.options import at_least
from rawnet_jax.jobs.voices import files_of
from rawnet_jax.labels import Label
from rawnet_jax.progress import BatchBars
from rawnet_jax.terminal import complain, show

if TYPE_CHECKING:  # brings JAX
    from rawnet_jax.speaker.encoder import SpeakerEncoder

INSTALLED = "installed"
"""In place of a file: the installed package resemblyzer."""


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """Options of ``speaker-encoder --import``, named as its flags."""

    source: str
    output: Path
    name: str
    licence: str


def import_encoder(options: ImportOptions) -> int:
    """Write an encoder's folder; returns the exit status.

    Raises:
        RawnetError: the source cannot be read or is not an encoder, or the folder is in use.
    """
    from rawnet_jax.atomic_file import refuse_used
    from rawnet_jax.speaker.encoder_folder import write_encoder
    from rawnet_jax.speaker.published import read_published

    refuse_used(options.output, "--output")
    source = None if options.source == INSTALLED else Path(options.source)
    card, weights = read_published(source, name=options.name, licence=options.licence)
    written = write_encoder(options.output, card, weights)
    show(f"{written.name}: {written.kind}, digest {written.digest[:16]}")
    if written.source != str(options.source):
        show(f"weights of {written.source}")
    say_written([("encoder", options.output)])
    complain("note: not calibrated yet; speaker-encoder --calibrate does it")
    return 0


@dataclass(frozen=True, kw_only=True)
class MeasureOptions:
    """Options of ``speaker-encoder --encoder``, named as its flags."""

    encoder: Path
    folder: Path | None
    protocol: Path | None
    corpus: str
    audio_dir: Path | None
    speakers: str
    enrol_clips: int
    calibrate: bool
    speech: str
    seed: int
    progress: bool

    def __post_init__(self) -> None:
        at_least("--enrol-clips", self.enrol_clips, 0)
        if (self.folder is None) == (self.protocol is None):
            raise ConfigError("--encoder: needs --folder or --protocol, whose speakers are known")
        if self.protocol is not None and self.audio_dir is None:
            raise ConfigError("--protocol: needs --audio-dir, the folder of its recordings")


def measure_encoder(options: MeasureOptions) -> int:
    """Say how well an encoder tells speakers apart, and calibrate it; returns the exit status.

    Raises:
        RawnetError: options that do not fit, files that cannot be read, too few speakers.
    """
    from rawnet_jax.speaker.encoder_folder import load_encoder
    from rawnet_jax.speaker.pairs import eer_interval, eer_of_pairs, pairs_of

    if options.calibrate and options.encoder.suffix.lower() == ".onnx":
        raise ConfigError("--calibrate needs an encoder's folder, not a file; --import makes one")
    encoder = load_encoder(options.encoder, speech=options.speech)
    clips = _clips(options)
    vectors, names, speech_s = _voices(encoder, clips, options)
    pairs = pairs_of(vectors, names, options.enrol_clips)
    rate, interval = eer_of_pairs(pairs), eer_interval(pairs, seed=options.seed)
    how = f"{options.enrol_clips} clips against one" if options.enrol_clips else "clip against clip"
    show(f"{encoder.name} ({encoder.digest[:16]})")
    show(
        f"{len(set(names)):,} speakers, {len(names):,} clips of {np.mean(speech_s):.1f} s of speech"
        f" on average, {how}: {pairs.target.size:,} target and {pairs.nontarget.size:,} nontarget "
        "trials"
    )
    show(
        f"EER {100 * rate:.2f} %, 95 % interval by speaker {100 * interval.low:.2f} to "
        f"{100 * interval.high:.2f} %"
    )
    if options.calibrate:
        _calibrate(options.encoder, pairs.target, pairs.nontarget)
    return 0


def _calibrate(folder: Path, target: np.ndarray, nontarget: np.ndarray) -> None:
    from rawnet_jax.metrics.calibration import fit_calibration
    from rawnet_jax.metrics.cllr import cllr
    from rawnet_jax.scoring.verdict import CALIBRATION_JSON, save_calibration

    calibration = fit_calibration("affine", target, nontarget)
    save_calibration(folder / CALIBRATION_JSON, calibration)
    cost = cllr(calibration.apply(target), calibration.apply(nontarget))
    show(f"calibrated on these trials: Cllr {float(cost):.4f} bits")
    say_written([("calibration", folder / CALIBRATION_JSON)])


def _clips(options: MeasureOptions) -> list[tuple[str, Path]]:
    """Return (speaker, file) of each clip whose speaker matches the pattern."""
    if options.folder is not None:
        if not options.folder.is_dir():
            raise DataError(f"--folder {options.folder}: no such folder; a subfolder per speaker")
        folders = sorted(path for path in options.folder.iterdir() if path.is_dir())
        found = [
            (folder.name, folder / name)
            for folder in folders
            for name in sorted(audio_files(folder, recursive=True))
        ]
    else:
        found = _of_protocol(options)
    kept = [clip for clip in found if fnmatch.fnmatchcase(clip[0], options.speakers)]
    if not kept:
        raise DataError(
            f"no clip of a speaker like {options.speakers!r} in "
            f"{options.folder or options.protocol}; speakers: "
            f"{', '.join(sorted({name for name, _ in found})[:5]) or 'none'}"
        )
    return kept


def _of_protocol(options: MeasureOptions) -> list[tuple[str, Path]]:
    assert options.protocol is not None
    assert options.audio_dir is not None
    trials = [
        trial
        for trial in read_protocol(options.protocol, options.corpus)
        if trial.label == Label.BONAFIDE and trial.speaker_id is not None
    ]
    files = files_of([trial.audio_name for trial in trials], options.audio_dir)
    return [(trial.speaker_id or "", files[trial.audio_name]) for trial in trials]


def _voices(
    encoder: "SpeakerEncoder", clips: Sequence[tuple[str, Path]], options: MeasureOptions
) -> tuple[np.ndarray, list[str], list[float]]:
    """Return vectors, speakers and seconds of speech of the clips that hold any."""
    vectors, names, speech_s, num_silent = [], [], [], 0
    audio = AudioConfig(min_peak=0.0)
    with BatchBars(options.progress)("clips", len(clips), unit="file") as bar:
        for name, file in clips:
            voice = encoder.voice(read_waveform(str(file), audio))
            if voice.vector.any():
                vectors.append(voice.vector)
                names.append(name)
                speech_s.append(voice.speech_s)
            else:
                num_silent += 1
            bar.update()
    if num_silent:
        complain(f"note: {num_silent} clips hold no speech and are left out")
    if not vectors:
        raise DataError("no clip holds speech")
    return np.stack(vectors), names, speech_s
