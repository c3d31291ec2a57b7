"""A network that gives no finite score to anything."""

from rawnet_jax.errors import CheckpointError
from rawnet_jax.scoring.file_scorer import SCORE_NOT_FINITE


class ModelWatch:
    """Notices a network that gives no finite score to anything: then no recording is to blame."""

    def __init__(self, model: object) -> None:
        """Begin; `model` is what errors call it."""
        self._model = model
        self._num_finite = self._num_others = 0

    def add(self, score: float | None, reason: str | None) -> None:
        """Take what a clip or a window got, and why it got no score."""
        self._num_finite += score is not None
        self._num_others += reason == SCORE_NOT_FINITE

    def check(self) -> None:
        """Check that the network gave a finite score to something, if it was asked at all.

        Raises:
            CheckpointError: it did not.
        """
        if self._num_others and not self._num_finite:
            raise CheckpointError(no_finite_score(self._model, self._num_others))


def no_finite_score(model: object, count: int) -> str:
    """Return the error of a network that gave no finite score to any of `count` inputs."""
    return (
        f"{model}: none of {count} scores is a finite number: the model is at fault, not the "
        "audio; use another --checkpoint, or train again"
    )
