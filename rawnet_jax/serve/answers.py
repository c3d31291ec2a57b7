"""What a client is told of a recording, by its role."""

import asyncio
import math
import time
from typing import Any

from rawnet_jax.result import ModelInfo
from rawnet_jax.serve.access import Principal
from rawnet_jax.serve.service import Judged

UNLIKE = "unlike training"
"""Class of reason where there is a score and nothing is concluded from it."""

NO_SCORE = "no score"


def answer(
    judged: Judged,
    who: Principal,
    model: ModelInfo,
    request_id: str,
    verdict: str,
    reason: str | None,
) -> dict[str, Any]:
    """Return the answer, ready for JSON: `ScoreMessage` or `DecisionMessage`.

    Args:
        judged: the recording.
        who: who asks.
        model: what judged it.
        request_id: of the request.
        verdict: what was decided, for a gate.
        reason: its class of reason, for a gate.
    """
    if who.is_gate:
        return {
            "verdict": verdict,
            "reason": reason,
            "request_id": request_id,
        }
    return {
        **judged.record,
        "request_id": request_id,
        "audio": judged.seen,
        "model": {"name": model.name, "digest": model.digest},
        "timing_ms": judged.timing_ms,
    }


def reason_class(judged: Judged) -> str | None:
    """Return the kind of reason why there is no verdict; None where there is one."""
    if judged.record["reason"] is None:
        return None
    found = judged.scored.found
    if found.refusal is not None:
        return found.refusal.reason.value
    return NO_SCORE if found.score is None else UNLIKE


async def pace(who: Principal, begin_s: float, step_s: float) -> None:
    """Wait so that an answer to a gate leaves at a multiple of a step, whatever it says.

    Args:
        who: who asks; analysts do not wait.
        begin_s: when the body had come, of `time.monotonic`.
        step_s: 0 = nobody waits.
    """
    if not who.is_gate or step_s <= 0:
        return
    passed_s = time.monotonic() - begin_s
    await asyncio.sleep(math.ceil(passed_s / step_s) * step_s - passed_s)
