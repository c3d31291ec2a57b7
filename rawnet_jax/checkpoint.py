"""Checkpoint folders of a run, and the model variables in them.

``WORKDIR/checkpoints/latest/STEP`` and ``…/best/STEP`` are written by orbax, under a temporary name
until they are whole. A checkpoint has four parts: ``variables`` (all that scoring needs),
``optimizer`` (the rest of the training state), ``run`` (JSON: loader position, resolved config,
metrics of the epoch so far) and ``digest`` (JSON: the SHA-256 of the first two, checked on reading;
checkpoints of older versions have none).
"""

import asyncio
import contextlib
import errno
import gc
import io
import logging
import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from rawnet_jax.checkpoint_names import BEST, FOLDER, LATEST, SWA
from rawnet_jax.digest import digest_of
from rawnet_jax.errors import CheckpointError
from rawnet_jax.json_text import parsed_json
from rawnet_jax.regular_file import read_regular
from rawnet_jax.variable_check import check_finite, check_shapes

DIGEST = "digest"

_MAX_DIGITS = 19  # of a step
_READS_END_S = 1.5
_OF_A_PLACE = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO)


def _is_news(record: logging.LogRecord) -> bool:
    """Return whether a record is not a report of a failed save, which is raised as one line too."""
    if record.levelno < logging.ERROR:
        return True
    error = record.exc_info[1] if record.exc_info else None
    of_disk = isinstance(error, OSError) or "os_error_code" in str(error)
    return "orbax" not in record.pathname and not of_disk


# A save that fails is raised where it is waited for, and ends in one line. Before that, each thread
# of orbax and asyncio would report it with a traceback of its own.
for _name in ("absl", "asyncio"):
    logging.getLogger(_name).addFilter(_is_news)


class _Asyncio:
    """The module asyncio, with event loops that take late reports.

    Where one array cannot be written or read, orbax closes the loop of all. The other arrays report
    to it later, from threads of tensorstore, which print a traceback each if the loop refuses.
    """

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    @staticmethod
    def new_event_loop() -> asyncio.AbstractEventLoop:
        loop: Any = asyncio.new_event_loop()
        call_soon = loop.call_soon_threadsafe

        def call_unless_closed(callback: Any, *args: Any, **options: Any) -> Any:
            try:
                return call_soon(callback, *args, **options)
            except RuntimeError:
                if loop.is_closed():
                    return None
                raise

        loop.call_soon_threadsafe = call_unless_closed
        return loop


with contextlib.suppress(ImportError):  # private to orbax; without it the tracebacks are back
    from orbax.checkpoint._src import asyncio_utils

    asyncio_utils.asyncio = _Asyncio()


def abstract(tree: Any, sharding: jax.sharding.Sharding) -> Any:
    """Return the tree's shapes and dtypes, placed as `sharding` says."""
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), tree
    )


def open_manager(workdir: Path, which: str, options: Any) -> ocp.CheckpointManager:
    """Open one folder of checkpoints; the caller closes it.

    Raises:
        CheckpointError: the folder cannot be read or made, or what stands in it of its steps is
            damaged.
    """
    folder = (workdir / FOLDER / which).absolute()
    with explained(folder):
        return ocp.CheckpointManager(folder, options=options)


@contextlib.contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn whatever orbax raises of a damaged, full or forbidden folder into one line.

    Raises:
        CheckpointError: something was raised.
    """
    try:
        str(folder).encode()
    except UnicodeEncodeError:  # neither orbax nor tensorstore takes it
        raise CheckpointError(f"{folder}: the path of a run must be UTF-8; rename it") from None
    # As in `read_or_explain`: threads of tensorstore print tracebacks of their own.
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            yield
            return
        except CheckpointError:
            raise
        except OSError as error:
            reason = error.strerror or str(error)
        except Exception as error:  # orbax and tensorstore raise many kinds
            known = (os.strerror(code) for code in _OF_A_PLACE)
            shown = " ".join(str(error).split())[:200]
            shown = f"damaged: {shown}" if isinstance(error, ValueError) else shown
            reason = next((text for text in known if text in str(error)), shown)
        gc.collect()
        time.sleep(_READS_END_S)
    raise CheckpointError(f"{folder}: {reason}")


def save_variables(
    workdir: Path, which: str, step: int, variables: dict[str, Any], run: dict[str, Any]
) -> None:
    """Save variables that no training step made, such as averaged or imported ones.

    Args:
        workdir: of the run.
        which: the folder under ``checkpoints/``: ``swa``, or ``best`` for a run that has none.
        step: number of the checkpoint.
        variables: ``{"params", "batch_stats"}``.
        run: what is to be known of them, as plain JSON values.

    Raises:
        CheckpointError: they cannot be written.
    """
    folder = (workdir / FOLDER / which).absolute()
    options = ocp.CheckpointManagerOptions(max_to_keep=1, create=True)
    with explained(folder), ocp.CheckpointManager(folder, options=options) as manager:
        manager.save(
            step,
            args=ocp.args.Composite(
                variables=ocp.args.StandardSave(variables),
                run=ocp.args.JsonSave(run),
                digest=ocp.args.JsonSave(digests(variables=variables)),
            ),
        )


def digests(**parts: Any) -> dict[str, str]:
    """Return what stands under ``digest`` in a checkpoint of these parts."""
    return {name: digest_of(part) for name, part in parts.items()}


def check_digests(manager: ocp.CheckpointManager, step: int, **parts: Any) -> None:
    """Check that parts of a checkpoint are what was saved; one without digests passes.

    Raises:
        CheckpointError: they are not.
    """
    folder = Path(manager.directory) / str(step)
    path = folder / DIGEST / "metadata"
    if not path.parent.exists():
        return
    try:
        saved = parsed_json(read_regular(path).decode("utf-8"))
        damaged = [name for name, part in parts.items() if saved[name] != digest_of(part)]
    except (OSError, ValueError, LookupError, TypeError):
        damaged = [DIGEST]
    if damaged:
        raise CheckpointError(
            f"{folder}: damaged: {' and '.join(damaged)} must be as saved and differ; "
            f"{_instead(manager, step)}"
        )


def _instead(manager: ocp.CheckpointManager, step: int) -> str:
    others = [s for s in manager.all_steps() if s != step]
    return f"delete this folder to use step {max(others)}" if others else "there is no other"


def steps_saved(workdir: Path, which: str) -> list[int]:
    """Return the steps of the whole checkpoints in one folder of a run, oldest first."""
    folder = workdir / FOLDER / which
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(int(path.name) for path in found if path.name.isdigit())


def read_or_explain(manager: ocp.CheckpointManager, step: int, read: Callable[[], Any]) -> Any:
    """Return what `read` returns.

    Raises:
        CheckpointError: it fails; in one line, with the step that can be used instead.
    """
    # Reads of other arrays that are under way when one fails end in tracebacks on stderr, from
    # threads of tensorstore; the one line that we raise is enough.
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            return read()
        except Exception as error:  # orbax and tensorstore raise many kinds for damaged files
            reason = " ".join(str(error).split())[:200]
        gc.collect()
        time.sleep(_READS_END_S)
    folder = Path(manager.directory) / str(step)
    raise CheckpointError(f"{folder}: cannot be restored ({reason}); {_instead(manager, step)}")


def restore_variables(
    workdir: Path, which: str, template: dict[str, Any], sharding: jax.sharding.Sharding
) -> tuple[dict[str, Any], int]:
    """Restore what scoring needs.

    Args:
        workdir: of the run.
        which: ``best``, ``latest``, ``swa`` (averaged parameters) or a step number.
        template: the model's variables, or their shapes.
        sharding: where to put them.

    Returns:
        The variables and the step they were saved at.

    Raises:
        CheckpointError: if there is no such checkpoint, or it is damaged, of another model, or has
            values that are not finite.
    """
    folder = (workdir / FOLDER).absolute()
    if which not in (BEST, LATEST, SWA) and not (which.isdecimal() and len(which) < _MAX_DIGITS):
        raise CheckpointError(
            f"checkpoint {which[:40]!r}: it must be best, latest, swa or a step number"
        )
    for kind in (which,) if which in (LATEST, SWA) else (BEST, LATEST):
        with explained(folder):
            is_there = (folder / kind).is_dir()
        if not is_there:
            continue
        options = ocp.CheckpointManagerOptions(
            best_fn=(lambda metrics: metrics["dev_eer"]) if kind == BEST else None,
            best_mode="min",
            create=False,
        )
        handlers = {
            "variables": ocp.StandardCheckpointHandler(),
            "optimizer": ocp.StandardCheckpointHandler(),  # else orbax warns that it is there
            "run": ocp.JsonCheckpointHandler(),
            DIGEST: ocp.JsonCheckpointHandler(),
        }
        with (
            explained(folder / kind),
            ocp.CheckpointManager(
                folder / kind, options=options, item_handlers=handlers
            ) as manager,
        ):
            step = _choose(manager, which)
            if step is None:
                continue
            wanted = ocp.args.Composite(
                variables=ocp.args.StandardRestore(abstract(template, sharding))
            )
            _refuse_other_model(manager, step, template)
            restored = read_or_explain(manager, step, partial(manager.restore, step, args=wanted))
            check_digests(manager, step, variables=restored.variables)
            where = f"{manager.directory}/{step}"
            check_finite(restored.variables, where, _instead(manager, step))
            return restored.variables, step
    raise CheckpointError(f"{folder}: no {which} checkpoint here; train the run first")


def _refuse_other_model(manager: ocp.CheckpointManager, step: int, template: Any) -> None:
    saved = read_or_explain(manager, step, lambda: manager.item_metadata(step).variables)
    check_shapes(saved, template, f"{manager.directory}/{step}")


def _choose(manager: ocp.CheckpointManager, which: str) -> int | None:
    if which.isdigit():
        return int(which) if int(which) in manager.all_steps() else None
    best = manager.best_step() if which == BEST else None
    # Imported variables come without a dev EER to be the best by.
    return manager.latest_step() if best is None else best
