"""How often a key may ask: a token bucket for each."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from rawnet_jax.errors import ConfigError

_MOST_BUCKETS = 10_000


@dataclass(frozen=True, slots=True)
class Allowance:
    """Whether a request may go on.

    Attributes:
        allowed: whether it may.
        limit: requests in `window_s`.
        window_s: in seconds.
        remaining: whole requests that are left now.
        retry_after_s: when the next one is allowed; 0 where one is left.
        reset_s: when all are there again.
    """

    allowed: bool
    limit: int
    window_s: int
    remaining: int
    retry_after_s: float
    reset_s: float

    @property
    def headers(self) -> dict[str, str]:
        """Header fields of the answer (draft-ietf-httpapi-ratelimit-headers, RFC 9110)."""
        fields = {
            "RateLimit-Policy": f'"key";q={self.limit};w={self.window_s}',
            "RateLimit": f'"key";r={self.remaining};t={math.ceil(self.reset_s)}',
        }
        if not self.allowed:
            fields["Retry-After"] = str(max(1, math.ceil(self.retry_after_s)))
        return fields


class RateLimiter:
    """Token buckets by name; those that are full again are forgotten."""

    def __init__(
        self,
        per_minute: float,
        burst: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with full buckets.

        Args:
            per_minute: tokens that a bucket gets in a minute.
            burst: tokens that it holds; None = a sixth of `per_minute`, 1 or more.
            clock: seconds.

        Raises:
            ConfigError: a number is not above 0.
        """
        for name, value in (("per_minute", per_minute), ("burst", burst)):
            if value is not None and not 0 < value < math.inf:
                raise ConfigError(f"rate limit {name} {value:g}: it must be above 0")
        self._per_minute, self._burst, self._clock = per_minute, burst, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, time

    def take(self, name: str, *, cost: float = 1.0, per_minute: float | None = None) -> Allowance:
        """Take tokens of a bucket.

        Args:
            name: of the bucket, such as the id of a key.
            cost: tokens; more than a bucket holds is taken as all of it.
            per_minute: instead of the limiter's.
        """
        rate = (per_minute or self._per_minute) / 60
        size = self._burst if self._burst is not None else max(1.0, rate * 10)
        now = self._clock()
        tokens, then = self._buckets.pop(name, (size, now))
        tokens = min(size, tokens + (now - then) * rate)
        wanted = min(cost, size)
        # Sums of fractions must not make the next request wait a nanosecond.
        allowed = tokens >= wanted - 1e-9
        if allowed:
            tokens = max(0.0, tokens - wanted)
        self._buckets[name] = (tokens, now)
        while len(self._buckets) > _MOST_BUCKETS:
            self._buckets.popitem(last=False)
        missing = max(0.0, wanted - tokens)
        return Allowance(
            allowed,
            round(rate * 60),
            60,
            math.floor(tokens + 1e-9),
            missing / rate,
            (size - tokens) / rate,
        )
