"""What ``score-many-status`` does: how far a job is, from its output alone."""

import json
from dataclasses import dataclass

from rawnet_jax.jobs.score_many import status_text, write_summary
from rawnet_jax.scale.status import read_status
from rawnet_jax.storage.stores import open_store
from rawnet_jax.terminal import emit, say


@dataclass(frozen=True, kw_only=True)
class ScoreManyStatusOptions:
    """Options of ``score-many-status``, named as its flags."""

    output: str
    json: bool
    summary: bool


def show_status(options: ScoreManyStatusOptions) -> None:
    """Print how far a job is.

    Raises:
        RawnetError: there is no job, or it cannot be read.
    """
    store = open_store(options.output)
    status = read_status(store)
    if options.json:
        emit(json.dumps(status.record) + "\n")
    else:
        say(status_text(status) + "\n")
    if options.summary:
        write_summary(store, options.output, status)
