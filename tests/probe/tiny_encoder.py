"""A tiny encoder in a folder, and the command on the tiny corpus."""

from pathlib import Path

from rawnet_jax.encoders.config import Wav2Vec2Config
from rawnet_jax.interop.encoder_files import write_encoder_weights
from tests.encoders.small_encoders import drawn

CONFIG = Wav2Vec2Config(
    width=8,
    heads=2,
    feed_forward=8,
    num_layers=2,
    conv_features=6,
    conv_kernels=(10, 3, 2),
    conv_strides=(5, 2, 2),
    position_kernel=4,
    position_groups=2,
    norm_first=True,
    conv_norm="layer",
    conv_bias=True,
    input_norm="hf",
)


def write_encoder(folder: Path) -> Path:
    """Write the encoder as Hugging Face lays it out."""
    write_encoder_weights(folder, drawn(CONFIG), CONFIG)
    return folder


def command(encoder: Path, config: Path, workdir: Path, *more: str) -> list[str]:
    """Return the words of the command; features stand beside the work directory."""
    return [
        "probe",
        f"--encoder-weights={encoder}",
        f"--config={config}",
        f"--workdir={workdir}",
        f"--features={workdir.parent / 'features'}",
        "--no-progress",
        *more,
    ]
