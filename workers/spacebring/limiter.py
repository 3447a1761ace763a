"""Spacebring's rate limit, kept by all workers together.

10 requests a second for everything (https://developer.spacebring.com/api-reference/rate-limiting), over a
window that is not documented. So the calls are spaced evenly, a little slower than the limit, and there are
no bursts. Each caller reserves its own slot once and sleeps until it comes.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from workers.spacebring.errors import TemporaryError

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

# Even spacing at the very limit would cross it by the jitter of the network.
SHARE = 0.975

# By Redis's own clock, in microseconds. `free`: the next slot nobody has. `held`: no call before it.
# `seen`: the clock at the last call; should the clock have been set back since, both move with it, or
# everyone would wait for the old time to come again. "%.0f", for Lua writes large numbers as 1.7e+15.
_SCRIPT = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local key, what = KEYS[1], ARGV[1]
local old = redis.call('HMGET', key, 'free', 'held', 'seen')
local free, held, seen = tonumber(old[1] or 0), tonumber(old[2] or 0), tonumber(old[3] or 0)
if now < seen then
  free, held = free - (seen - now), held - (seen - now)
end
local answer = math.max(0, held - now)
if what == 'reserve' then
  local slot = math.max(now, free, held)
  answer = slot - now
  if answer > tonumber(ARGV[3]) then
    answer = -answer
  else
    free = slot + tonumber(ARGV[2])
  end
elseif what == 'pause' then
  held = math.max(held, now + tonumber(ARGV[2]))
  answer = held - now
end
redis.call('HSET', key, 'free', string.format('%.0f', free), 'held', string.format('%.0f', held),
  'seen', string.format('%.0f', now))
redis.call('PEXPIRE', key, math.ceil(math.max(0, free - now, held - now) / 1000) + 60000)
return answer
"""


class LimiterBusyError(TemporaryError):
    """The next free slot is further away than a caller may wait; `retry_after` says how far."""


class Limiter:
    """Hands out evenly spaced slots to every process that uses the same `key` of the same Redis.

    `rate` is the limit in requests a second, `max_wait` the longest that `wait` sleeps in one go, `sleep`
    takes seconds. ValueError if `rate` or `max_wait` is not positive. Redis errors reach the caller.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        rate: float,
        key: str = "bridge:limiter",
        max_wait: float = 30.0,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        if rate <= 0 or max_wait <= 0:
            raise ValueError("the rate and the longest wait of the limiter must be more than 0")
        self.interval = 1.0 / (rate * SHARE)
        self.max_wait = max_wait
        self._key = key
        self._sleep = sleep
        self._script = redis.register_script(_SCRIPT)

    def reserve(self) -> float:
        """Take the next slot and return the seconds until it comes.

        LimiterBusyError, and no slot taken, if that is more than `max_wait`.
        """
        seconds = self._run("reserve", self.interval, self.max_wait)
        if seconds < 0:
            raise LimiterBusyError(
                f"requests to Spacebring are held back for another {-seconds:.0f} s",
                status=None,
                retry_after=-seconds,
            )
        return seconds

    def wait(self) -> None:
        """Sleep until a slot of our own has come; LimiterBusyError if that is too far away."""
        while seconds := self.reserve():
            self._sleep(seconds)
            # Somebody may have been told to pause while we slept: then this slot is gone.
            if not self._run("look", 0.0, 0.0):
                return

    def pause(self, seconds: float) -> None:
        """Let nobody begin a call for `seconds` from now; never shortens a longer pause."""
        self._run("pause", seconds, 0.0)

    def _run(self, what: str, first: float, second: float) -> float:
        micros = self._script(keys=[self._key], args=[what, round(first * 1e6), round(second * 1e6)])
        return float(micros) / 1e6
