"""A process that scores shards, one after the other, as it is told on standard input.

It is a plain child: it ends when its standard input does, and what it was doing then counts for
nothing. Messages are JSON, a line each.
"""

import hashlib
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from rawnet_jax.errors import RawnetError
from rawnet_jax.scale.ledger import Task
from rawnet_jax.scale.shard import OpenRows, Settings, score_shard
from rawnet_jax.scoring.model import ScoringModel
from rawnet_jax.scoring.sources import tracer_of
from rawnet_jax.storage.stores import open_store

OpenModel = Callable[[Mapping[str, Any]], ScoringModel]


def open_run(job: Mapping[str, Any]) -> ScoringModel:
    """Open the run that a job names."""
    from rawnet_jax.run import Run
    from rawnet_jax.scoring.speech import check_detector

    run = Run.open(Path(job["workdir"]), job["checkpoint"], job["overrides"], seed=job["seed"])
    check_detector(run.recipe.gate)
    return run


class Worker:
    """A model that is ready, and where results go.

    Attributes:
        settings: all of the model that decides a line of the results, ready for JSON.
        notes: what a user must know of the decision rule.
        recipe: how the model scores recordings.
        how: settings of its shards.
    """

    def __init__(self, job: Mapping[str, Any], open_model: OpenModel = open_run) -> None:
        """Open the model.

        Args:
            job: see `rawnet_jax.jobs.score_many`.
            open_model: does so.

        Raises:
            RawnetError: whatever is wrong with run or output.
        """
        self._model = open_model(job)
        self._decision = self._model.decision(prior=job["prior"], threshold=job["threshold"])
        self._store = open_store(job["output"])
        self.notes = self._decision.notes
        self.settings = {
            "network and settings": self._model.fingerprint[:16],
            "aggregate": self._model.recipe.aggregation or "first",
            "batch": self._model.recipe.batch_size,
            **self._decision.record,
        }
        if tracer := tracer_of(self._model):
            self.settings["sources"] = list(tracer.rule.names)
        self.recipe = self._model.recipe
        self.how = Settings(
            Path(job["manifest"]),
            job["settings"]["format"],
            job["settings"]["channel"],
            job["settings"]["max_duration_s"],
            job["threads"],
            job["concurrency"],
            job_digest(self.settings, job["settings"]),
        )

    def score(
        self, task: Task, tick: Callable[[int], Any], open_rows: OpenRows | None = None
    ) -> dict[str, Any]:
        """Score a shard, see `score_shard`."""
        return score_shard(
            task, self._store, self._model, self._decision, self.how, tick, open_rows
        )


def job_digest(of_model: Mapping[str, Any], of_job: Mapping[str, Any]) -> str:
    """Return SHA-256 of all that decides a line of the results."""
    text = json.dumps([of_model, of_job], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def main(open_model: OpenModel = open_run) -> None:
    """Serve whoever started this process."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a library that prints breaks no protocol
    try:
        job = json.loads(sys.stdin.readline())
        worker = Worker(job, open_model)
        _say(out, {"ready": worker.settings, "notes": list(worker.notes)})
        for line in sys.stdin:
            found = worker.score(Task(**json.loads(line)), lambda n: _say(out, {"tick": n}))
            _say(out, {"done": found})
    except RawnetError as error:
        _say(out, {"error": str(error)})
    except (BrokenPipeError, KeyboardInterrupt):
        os._exit(0)  # nobody listens any more


def _say(out: IO[str], message: Mapping[str, Any]) -> None:
    out.write(json.dumps(message) + "\n")


if __name__ == "__main__":
    main()
