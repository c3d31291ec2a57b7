"""What is searched where the user names nothing: the knobs of the original Conv1D classifier."""

from rawnet_jax.config import Config
from rawnet_jax.errors import ConfigError

_WIDE = 8
"""A kernel of at least this width spans periods of the waveform; others span a few frames."""


def default_declarations(config: Config) -> list[str]:
    """Declare filters, kernel widths and dropout of each layer, learning rate and batch size.

    Values lie around the config's own, so that the config is one of the points of the space.

    Raises:
        ConfigError: for another model than Conv1D.
    """
    if config.model.name != "conv1d":
        raise ConfigError(
            f"there is no default search space for model {config.model.name}; name what to search, "
            "such as --search config.optimizer.learning_rate=log:1e-4..1e-2 "
            "--search config.train.batch_size=16,32,64"
        )
    fields = config.model.fields
    found = []
    for layer, (channels, width) in enumerate(
        zip(fields.channels, fields.kernel_sizes, strict=True)
    ):
        widths = _around(width) if width >= _WIDE else [width, width + 2, width + 4]
        found += [
            _choices(f"config.model.fields.channels.{layer}", _around(channels)),
            _choices(f"config.model.fields.kernel_sizes.{layer}", widths),
            f"config.model.fields.block_dropout.{layer}=0.0..0.6",
        ]
    return [
        *found,
        "config.model.fields.hidden_dropout=0.1..0.7",
        "config.optimizer.learning_rate=log:1e-4..1e-2",
        _choices("config.train.batch_size", _around(config.train.batch_size)),
    ]


def _around(number: int) -> list[int]:
    return [max(1, number // 2), number, 2 * number]


def _choices(name: str, values: list[int]) -> str:
    return f"{name}={','.join(map(str, dict.fromkeys(values)))}"
