"""Recordings that are judged later: a bounded number, for a bounded time."""

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from rawnet_jax.serve.problems import Problem, place_of

_LOG = logging.getLogger(__name__)

Work = Callable[[], Coroutine[Any, Any, dict[str, Any]]]
"""Judges a recording and returns the answer."""


@dataclass(eq=False)
class Job:
    """One recording.

    Attributes:
        owner: the key that sent it; no other sees it.
        job_id: names it.
        state: "queued", "running", "done" or "failed".
        result: the answer, where it is done.
        problem: what ended it, where it failed.
    """

    owner: str
    job_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    state: str = "queued"
    result: dict[str, Any] | None = None
    problem: Problem | None = None
    ended_s: float | None = None
    task: "asyncio.Task[None] | None" = None


class JobStore:
    """Runs jobs one after the other and keeps what came of them; for one event loop."""

    def __init__(self, most: int, life_s: float) -> None:
        """Begin.

        Args:
            most: jobs that are kept, finished ones too.
            life_s: seconds that a result is kept.
        """
        self._most = most
        self._life_s = life_s
        self._jobs: dict[str, Job] = {}
        self._turn = asyncio.Lock()

    def add(self, owner: str, work: Work) -> Job:
        """Begin a job.

        Raises:
            Problem: there is no room.
        """
        self._forget()
        if len(self._jobs) >= self._most:
            what = f"{self._most} jobs are kept; delete one, or wait"
            raise Problem("overloaded", what, retry_after_s=10)
        job = Job(owner)
        self._jobs[job.job_id] = job
        job.task = asyncio.create_task(self._run(job, work))
        return job

    def get(self, owner: str, job_id: str) -> Job:
        """Return a job.

        Raises:
            Problem: there is none of this owner, or none any more.
        """
        self._forget()
        job = self._jobs.get(job_id)
        if job is None or job.owner != owner:
            raise Problem("not-found", "there is no such job, or none any more")
        return job

    def delete(self, owner: str, job_id: str) -> None:
        """End a job and forget it.

        Raises:
            Problem: as `get`.
        """
        job = self.get(owner, job_id)
        del self._jobs[job_id]
        if job.task is not None:
            job.task.cancel()

    def close(self) -> None:
        """End all jobs."""
        for job in self._jobs.values():
            if job.task is not None:
                job.task.cancel()
        self._jobs.clear()

    async def _run(self, job: Job, work: Work) -> None:
        try:
            async with self._turn:
                job.state = "running"
                job.result = await work()
            job.state = "done"
        except Problem as problem:
            job.problem, job.state = problem, "failed"
        except Exception as error:
            _LOG.error("job %s: %s in %s", job.job_id, type(error).__name__, place_of(error))
            job.problem, job.state = Problem("internal"), "failed"
        finally:
            job.ended_s = time.monotonic()

    def _forget(self) -> None:
        latest_s = time.monotonic() - self._life_s
        for job in list(self._jobs.values()):
            if job.ended_s is not None and job.ended_s < latest_s:
                del self._jobs[job.job_id]
