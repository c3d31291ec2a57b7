"""Shards through actors of a Ray cluster; a node that is lost costs its running shards alone.

Every actor is a worker with its model open. The driver gives it a shard when it is free, so that
nothing waits in Ray but the names of shards. Usage statistics are off.
"""

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rawnet_jax.errors import DataError, RawnetError
from rawnet_jax.scale.ledger import Task, split
from rawnet_jax.scale.local_runner import KILLS, Listener, passed_by
from rawnet_jax.scale.ray_decoders import DecodedRecordings, Decoder, Decoding
from rawnet_jax.scale.shard import Settings
from rawnet_jax.scale.todo import Todo
from rawnet_jax.storage.optional import imported
from rawnet_jax.storage.stores import Store

_EXTRA = "ray"
_MOST_STARTS = 3  # that fail one after the other


class _Actor:
    """What runs in a process of the cluster."""

    def __init__(self, job: Mapping[str, Any], decoders: Sequence[Any]) -> None:
        self._job = job
        self._decoders = decoders
        self._worker: Any = None

    def ready(self) -> dict[str, Any]:
        """Open the model."""
        from rawnet_jax.scale.worker import Worker

        try:
            self._worker = Worker(self._job)
        except RawnetError as error:
            return {"error": str(error)}
        return {"ready": self._worker.settings, "notes": list(self._worker.notes)}

    def score(self, task: Task) -> dict[str, Any]:
        """Score a shard."""
        open_rows = None
        if self._decoders:
            how = Decoding.of(self._worker.recipe, self._worker.how)
            ray = imported("ray", "--runner ray", _EXTRA)
            open_rows = partial(DecodedRecordings, ray, self._decoders, how)
        try:
            return {"done": self._worker.score(task, lambda _: None, open_rows)}
        except RawnetError as error:
            return {"error": str(error)}


class RayRunner:
    """Actors that score shards."""

    def __init__(
        self,
        job: Mapping[str, Any],
        store: Store,
        *,
        num_workers: int,
        num_decoders: int = 0,
        timeout_s: float | None = None,
        address: str | None = None,
    ) -> None:
        """Join a cluster, or start one on this machine.

        Args:
            job: see `rawnet_jax.scale.worker.Worker`.
            store: the output.
            num_workers: actors that score.
            num_decoders: actors that decode for them; 0 = each decodes itself.
            timeout_s: seconds that a shard may take before it is split; None = any.
            address: of the cluster; None = start one here.

        Raises:
            ConfigError: Ray is not installed.
            DataError: there is no cluster at the address.
        """
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        self._ray: Any = imported("ray", "--runner ray", _EXTRA)
        self._job, self._store = job, store
        self._num_workers, self._timeout_s = num_workers, timeout_s
        here = (
            {} if address else {"include_dashboard": False, "num_cpus": num_workers + num_decoders}
        )
        above = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH")]
        path = os.pathsep.join(filter(None, above))
        environment = {"env_vars": {"PYTHONPATH": path, "RAY_USAGE_STATS_ENABLED": "0"}}
        try:
            self._ray.init(address=address, log_to_driver=False, runtime_env=environment, **here)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise DataError(f"--address {address}: no Ray cluster: {error}") from None
        gpus = self._ray.cluster_resources().get("GPU", 0)
        share = {"num_gpus": min(1.0, gpus / num_workers)} if gpus else {"num_cpus": 1}
        self._kind = self._ray.remote(**share)(_Actor)
        decoder = self._ray.remote(num_cpus=1, max_restarts=-1)(Decoder)
        self._decoders = [decoder.remote() for _ in range(num_decoders)]
        self._idle: list[Any] = []

    def start(self) -> dict[str, Any]:
        """Start the first actor; returns what it says of its model.

        Raises:
            DataError: run or output are at fault.
        """
        actor, said = self._started()
        self._idle.append(actor)
        return said

    def run(self, tasks: Iterable[Task], settings: Settings, listener: Listener) -> None:
        """Have tasks done, see `LocalRunner.run`."""
        todo = Todo(tasks)
        running: dict[Any, tuple[Any, Task, float]] = {}  # by what Ray gives for a call
        while True:
            while len(running) < self._num_workers:
                task = todo.take_at_once()
                if task is None:
                    break
                actor = self._idle.pop() if self._idle else self._started()[0]
                running[actor.score.remote(task)] = (actor, task, time.monotonic())
            if not running:
                return
            done, _ = self._ray.wait(list(running), timeout=1.0)
            for call in done:
                actor, task, _ = running.pop(call)
                self._collect(call, actor, task, todo, settings, listener)
            for call in self._late(running):
                actor, task, _ = running.pop(call)
                self._ray.kill(actor)
                why = f"it takes more than {self._timeout_s:g} s; --shard-timeout allows more"
                again = task.halves() if task.rows > 1 else ()
                todo.done(*self._instead(task, again, why, settings, listener))

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        self._ray.shutdown()

    def _collect(
        self,
        call: Any,
        actor: Any,
        task: Task,
        todo: Todo,
        settings: Settings,
        listener: Listener,
    ) -> None:
        try:
            found = self._ray.get(call)
        except self._ray.exceptions.RayError as error:
            listener.note(f"{task.name}: an actor was lost; its files are scored again")
            why = f"{KILLS}: {type(error).__name__}"
            todo.done(*self._instead(task, todo.died(task), why, settings, listener))
            return
        if "error" in found:
            raise DataError(found["error"])
        self._idle.append(actor)
        listener.files(task.rows)
        if found["done"]:
            listener.task(found["done"])
        todo.done()

    def _instead(
        self,
        task: Task,
        again: tuple[Task, ...],
        why: str,
        settings: Settings,
        listener: Listener,
    ) -> tuple[Task, ...]:
        if len(again) == 2 and not split(self._store, task):
            return ()
        if not again:
            record = passed_by(task, why, self._store, settings)
            listener.files(task.rows)
            if record:
                listener.task(record)
        return again

    def _late(self, running: Mapping[Any, tuple[Any, Task, float]]) -> list[Any]:
        if self._timeout_s is None:
            return []
        now_s = time.monotonic()
        return [call for call, (*_, begin) in running.items() if now_s - begin > self._timeout_s]

    def _started(self) -> tuple[Any, dict[str, Any]]:
        for number in range(1, _MOST_STARTS + 1):
            actor = self._kind.remote(self._job, self._decoders)
            try:
                said = self._ray.get(actor.ready.remote())
            except self._ray.exceptions.RayError as error:
                if number == _MOST_STARTS:
                    raise DataError(f"an actor does not start: {error}") from None
                continue
            if "error" in said:
                raise DataError(said["error"])
            return actor, said
        raise AssertionError
