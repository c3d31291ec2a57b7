"""``train-vocoder``: a folder of speech in, a vocoder out."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from rawnet_jax.atomic_file import write_text_atomically
from rawnet_jax.config import Config, DataConfig
from rawnet_jax.digest import digest_of
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.jobs.options import at_least
from rawnet_jax.json_text import parsed_json
from rawnet_jax.terminal import show

RECIPE_NAME = "recipe.json"


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


@dataclass(frozen=True, kw_only=True)
class TrainVocoderOptions:
    """Options of ``train-vocoder``, named as its flags; see ``train-vocoder --help``."""

    input: Path
    output: Path
    family: str
    bands: int
    hop: int
    size: int
    high_hz: float
    steps: int
    spectral_steps: int
    batch_size: int
    segment: int
    learning_rate: float
    seed: int
    save_every: int
    start_from: Path | None
    progress: bool

    def __post_init__(self) -> None:
        """Check what argparse cannot.

        Raises:
            ConfigError: naming the flag.
        """
        for name in ("steps", "batch_size", "save_every"):
            at_least(_flag(name), getattr(self, name), 1)
        for name in ("spectral_steps", "seed"):
            at_least(_flag(name), getattr(self, name), 0)
        if not 0 < self.learning_rate < 1:
            raise ConfigError(
                f"--learning-rate is {self.learning_rate:g}; it must be above 0 and below 1"
            )
        if self.segment % self.hop or self.segment < 4096:
            raise ConfigError(
                f"--segment is {self.segment}; it must be a multiple of --hop, 4096 at least"
            )


def train_vocoder(options: TrainVocoderOptions) -> int:
    """Train, or resume; returns the exit status.

    Raises:
        RawnetError: whatever is wrong with the options, the recordings or the folder.
    """
    from rawnet_jax.runtime import start_runtime
    from rawnet_jax.training.vocoder import Recipe, VocoderTrainer, recordings_below
    from rawnet_jax.training.workdir import held
    from rawnet_jax.vocoders.families import VocoderSpec
    from rawnet_jax.vocoders.mel import MelSetting

    start_runtime(Config().runtime)
    try:
        mel = MelSetting(options.bands, options.hop, options.size, high_hz=options.high_hz)
    except ValueError as error:
        raise ConfigError(f"spectrogram: {error}") from error
    structure, start = _start(options)
    spec = VocoderSpec(options.family, mel, structure)
    spec.build()
    named = {"num_steps": options.steps}
    named |= {f.name: getattr(options, f.name) for f in fields(Recipe) if f.name not in named}
    recipe = Recipe(**named)
    with held(options.output):
        settings = {"spec": spec.to_dict(), "recipe": asdict(recipe)}
        facts = {"started_from": digest_of(start)} if start else {}
        _same_or_new(options.output / RECIPE_NAME, settings | facts)
        caches = recordings_below(options.input, DataConfig(), progress=options.progress)
        trainer = VocoderTrainer(
            spec, recipe, options.output, caches, start=start, progress=options.progress
        )
        vocoder = trainer.run()
    show(
        f"{options.output}: {options.family}, {vocoder.num_values:,} values, mel distance on dev "
        f"{vocoder.facts['dev_mel_distance']:.3f}"
    )
    return 0


def _start(options: TrainVocoderOptions) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return fields of the generator, and parameters that it starts from; both may be empty."""
    from rawnet_jax.vocoders.piper import FAMILIES, read_piper_decoder
    from rawnet_jax.vocoders.vocoder import Vocoder

    path = options.start_from
    if path is None:
        return {}, {}
    if not path.is_dir():
        if options.family not in FAMILIES:
            raise ConfigError(f"--start-from {path}: --family must be one of {', '.join(FAMILIES)}")
        fields, params = read_piper_decoder(path)
        return fields | FAMILIES[options.family], params
    vocoder = Vocoder.load(path)
    if vocoder.spec.family != options.family:
        raise ConfigError(
            f"--start-from {path}: is a {vocoder.spec.family}; --family must be the same"
        )
    return dict(vocoder.spec.fields), dict(vocoder.params)


def _same_or_new(path: Path, settings: dict[str, Any]) -> None:
    """Keep the settings, or check that an earlier start had the same."""
    text = json.dumps(settings, indent=2) + "\n"
    if not path.exists():
        write_text_atomically(path, text)
        return
    try:
        is_same = parsed_json(path.read_text(encoding="utf-8")) == json.loads(text)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: damaged: {error}") from error
    if not is_same:
        raise ConfigError(f"{path} has other settings; use them, or another --output")
