"""Errors that a user can act on.

Whatever is raised from here ends, at the command line, in one line on standard error and exit
status 2. Every message says what is wrong, where, and what must be.
"""


class RawnetError(Exception):
    """Base of all errors that a user of this package can act on."""


class ConfigError(RawnetError):
    """A config file, an override or a saved config is wrong."""


class DataError(RawnetError):
    """A protocol, a corpus or its cache is wrong."""


class AudioError(DataError):
    """One audio file cannot be used.

    Attributes:
        path: the file as it was given.
        reason: a short class of problem, such as ``"empty"``; reports count by it.
    """

    def __init__(self, path: object, reason: str, detail: str = "") -> None:
        self.path = str(path)
        self.reason = reason
        self.detail = detail
        super().__init__(f"{self.path}: {reason}" + (f": {detail}" if detail else ""))

    def __reduce__(self) -> tuple[type["AudioError"], tuple[str, str, str]]:
        """Survive the way back from a worker process."""
        return (AudioError, (self.path, self.reason, self.detail))


class MetricError(RawnetError, ValueError):
    """Scores or labels that a metric is not defined for, for example one class only."""


class CheckpointError(RawnetError):
    """A work directory or a checkpoint is missing, damaged or does not fit."""


class TrainingError(RawnetError):
    """Training cannot continue, for example after a loss that is not a number."""


class ExportError(RawnetError):
    """A run cannot be written in a format, or the file does not compute what the run does."""


class Interrupted(RawnetError):
    """A signal asked the run to stop; its state is saved.

    Attributes:
        signal_number: the signal; the command exits with 128 + this, as shells expect.
    """

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.signal_number = signal_number
