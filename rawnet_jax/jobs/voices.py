"""What ``enrol`` and ``verify`` share: a detector, an encoder, and what both say of a recording."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rawnet_jax.config import AudioConfig
from rawnet_jax.data.audio import read_waveform
from rawnet_jax.data.audio_index import AudioIndex
from rawnet_jax.data.inputs import STDIN, find_inputs
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.jobs.options import VerdictOptions
from rawnet_jax.metrics.dcf import ASVSPOOF5_ADCF, ODYSSEY2024_ADCF, TandemCosts
from rawnet_jax.terminal import complain

if TYPE_CHECKING:  # brings JAX
    from rawnet_jax.speaker.encoder import SpeakerEncoder, Voice
    from rawnet_jax.speaker.sealing import Sealer
    from rawnet_jax.speaker.spoof_check import SpoofCheck, SpoofGate

COSTS = {"asvspoof5": ASVSPOOF5_ADCF, "odyssey2024": ODYSSEY2024_ADCF}
"""Priors and costs by the names that flags have for them."""


@dataclass(frozen=True, kw_only=True)
class VoiceOptions(VerdictOptions):
    """Options of both commands."""

    paths: Sequence[str]
    encoder: Path
    key: Path | None


@dataclass(frozen=True, slots=True)
class Judges:
    """What judges a recording."""

    encoder: "SpeakerEncoder"
    gate: "SpoofGate"
    channel: int | None

    def judge(self, path: str) -> tuple["Voice", "SpoofCheck"]:
        """Return whose voice a recording is, and whether it is bona fide.

        Raises:
            AudioError: it cannot be read.
        """
        from rawnet_jax.scoring.gate import ChannelMix

        mix = ChannelMix(self.gate.bounds, self.channel)
        waveform = read_waveform(path, AudioConfig(min_peak=0.0, min_duration_s=0.0), mix)
        return self.encoder.voice(waveform), self.gate.check(waveform, path, mix.refusal())


def judges_of(options: VoiceOptions) -> Judges:
    """Load detector and encoder.

    Raises:
        RawnetError: one of them is missing, damaged or not calibrated.
    """
    from rawnet_jax.run import Run
    from rawnet_jax.speaker.encoder_folder import load_encoder
    from rawnet_jax.speaker.spoof_check import SpoofGate

    encoder = load_encoder(options.encoder, speech=options.speech or "silero")
    run = Run.open(options.workdir, options.checkpoint, options.settings)
    decision = run.decision(prior=options.p_spoof, threshold=options.threshold)
    for note in decision.notes:
        complain(f"note: {note}")
    return Judges(encoder, SpoofGate(run, decision), options.channel)


def sealer_of(options: VoiceOptions) -> "Sealer | None":
    """Return what encrypts templates; None = nothing does.

    Raises:
        ConfigError: the key cannot be used.
    """
    if options.key is None:
        return None
    from rawnet_jax.speaker.sealing import Sealer

    return Sealer.read(options.key)


def recordings_of(paths: Sequence[str]) -> list[str]:
    """Return the recordings that a command line names.

    Raises:
        DataError: there are none, or a word names nothing that could be one.
        ConfigError: standard input is among them.
    """
    inputs = find_inputs(paths)
    if STDIN in inputs.paths:
        raise ConfigError("standard input (-) is not read here; give files or folders")
    if inputs.problems or not inputs.paths:
        raise DataError("; ".join(inputs.problems) or "there is no recording")
    for note in inputs.notes:
        complain(f"note: {note}")
    return inputs.paths


def files_of(utterances: Sequence[str], folder: Path) -> dict[str, Path]:
    """Return the recording of each utterance, with any extension, anywhere below a folder.

    Raises:
        DataError: there is no such folder, or no recording of an utterance, or two of them.
    """
    if not folder.is_dir():
        raise DataError(f"--audio-dir {folder}: no such folder")
    index = AudioIndex([folder])
    found = {name: index.find(name) for name in utterances}
    missing = [name for name, place in found.items() if place is None]
    if missing:
        raise DataError(
            f"--audio-dir {folder}: {len(missing):,} of {len(found):,} recordings are missing, "
            f"such as {missing[0]}"
        )
    places = {name: place for name, place in found.items() if place is not None}
    twice = next((name for name, (_, rival) in places.items() if rival is not None), None)
    if twice is not None:
        raise DataError(f"--audio-dir {folder}: {twice} is there twice: {places[twice][1]}")
    return {name: Path(place) for name, (place, _) in places.items()}


def costs_of(name: str, prior: tuple[float, float] | None) -> TandemCosts:
    """Return priors and costs.

    Args:
        name: one of `COSTS`.
        prior: of nontarget and spoof, instead of the named ones'.

    Raises:
        MetricError: a prior is out of range.
    """
    costs = COSTS[name]
    if prior is None:
        return costs
    nontarget, spoof = prior
    return TandemCosts(
        f"{costs.name}, own priors",
        1.0 - nontarget - spoof,
        nontarget,
        spoof,
        costs.c_miss,
        costs.c_fa,
        costs.c_fa_spoof,
        costs.plan,
    )
