"""Spacebring's rate limit, kept by all workers together, and how many of them may be calling at once.

10 requests a second for everything (https://developer.spacebring.com/api-reference/rate-limiting), over a
window that is not documented. So the calls are spaced evenly, a little slower than the limit, and there are
no bursts. Each caller reserves its own slot once and sleeps until it comes; immediately before its first byte
it asks once more, so that a call that is late pushes those that the server would count together with it.

A call also takes one of the places, of which there are half as many as workers: when calls hang, the other
half go on with what needs no call. Why this is no library: docs/adr/0004-our-own-limiter.md.
"""

from __future__ import annotations

import secrets
import time
from contextlib import contextmanager, suppress
from functools import partial
from importlib import resources
from typing import TYPE_CHECKING, Self

from redis.exceptions import RedisError

from service.core.queue import workers_alive
from workers.spacebring.errors import TemporaryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from redis import Redis

    from service.core.source import Lane

# Even spacing at the very limit would cross it by the jitter of the network.
SHARE = 0.98
# How long to wait for a place. What needs no call, or has a person waiting, must not queue up behind it.
PLACE_WAIT = 0.5
# When to try again after that.
PLACE_RETRY = 1.0
# A call that has not come back so long after its time-out never will: its process was killed.
_MARGIN = 5.0
_COUNTED_FOR = 5.0
_NO_LIMIT = 0


class LimiterBusyError(TemporaryError):
    """No call may be made as soon as a caller can wait for; `retry_after` says when to try again."""


class Slot:
    """The right to make one call; the `with` block gives its place back at the end."""

    def __init__(self, start: Callable[[], None], release: Callable[[], None]) -> None:
        self.start = start
        self.release = release

    def before(self, last_check: Callable[[], None] | None) -> Callable[[], None]:
        """Give what to call just before the first byte leaves: the start, then the caller's own check."""

        def check() -> None:
            self.start()
            if last_check is not None:
                last_check()

        return check

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class Limiter:
    """Hands out places and evenly spaced slots to every process that uses the same `key` of the same Redis.

    `rate` is the limit in requests a second, `timeout` the longest that a call takes, `max_wait` the longest
    that `call` sleeps for a slot in one go, `place_wait` the longest that it waits for a place. `workers`
    counts the workers (those of RQ, by default), `sleep` takes seconds. ValueError if `rate`, `timeout` or
    `max_wait` is not positive. Redis errors reach the caller. For one thread.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        rate: float,
        timeout: float = 10.0,
        key: str = "bridge:limiter",
        max_wait: float = 30.0,
        place_wait: float = PLACE_WAIT,
        workers: Callable[[], int] | None = None,
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if rate <= 0 or max_wait <= 0 or timeout <= 0:
            raise ValueError("the rate, the time-out and the longest wait of the limiter must be more than 0")
        self._person = False
        self.interval = 1.0 / (rate * SHARE)
        self.max_wait = max_wait
        self._most = max(1, int(rate))
        # The server's window, and a fourth of what even spacing leaves beside it: were it all of it, one late
        # call would delay all that come after.
        self._window = self._most * (3.0 / rate + self.interval) / 4
        self._timeout = timeout
        self._place_wait = place_wait
        self._workers = workers or partial(workers_alive, redis)
        self._places = 1
        self._counted = -_COUNTED_FOR
        self._sleep = sleep
        self._clock = clock
        self._redis = redis
        self._keys = [key, f"{key}:starts", f"{key}:flying", f"{key}:freed"]
        script = resources.files("workers.spacebring") / "limiter.lua"
        self._script = redis.register_script(script.read_text("utf-8"))

    @contextmanager
    def serving(self, lane: Lane) -> Iterator[None]:
        """Make the calls of this block for an event of this lane: who waits in person needs no place."""
        self._person = lane == "person"
        try:
            yield
        finally:
            self._person = False

    def call(self, *, with_place: bool = True) -> Slot:
        """Wait for a place and a slot of our own; the call is made in the `with` block of what this gives.

        Its `start` comes immediately before the first byte. LimiterBusyError, and neither place nor slot
        taken, if they are too far away. `with_place` off: the call is made in the middle of another, whose
        place serves for it too, or a person waits for it.
        """
        caller = secrets.token_hex(8)
        try:
            while seconds := self._reserve(caller, with_place=with_place):
                self._sleep(seconds)
                # Somebody may have been told to pause while we slept: then this slot is gone.
                if not self._run("look")[1]:
                    break
        except BaseException:
            self._release(caller)
            raise
        return Slot(partial(self._start, caller), partial(self._release, caller))

    def pause(self, seconds: float) -> None:
        """Let nobody begin a call for `seconds` from now; never shortens a longer pause."""
        self._run("pause", _micros(seconds))

    def _reserve(self, caller: str, *, with_place: bool) -> float:
        """Take a place and the next slot, and return the seconds until it comes."""
        ends = self._clock() + self._place_wait
        while True:
            answer, seconds = self._run(
                "reserve",
                caller,
                _micros(self.interval),
                _micros(self.max_wait),
                self._places_now() if with_place else _NO_LIMIT,
                _micros(self._timeout + _MARGIN),
            )
            if answer == b"ok":
                return seconds
            if answer == b"far":
                raise LimiterBusyError(
                    "requests to Spacebring are held back", status=None, retry_after=seconds
                )
            left = ends - self._clock()
            if left <= 0:
                raise LimiterBusyError(
                    "as many requests to Spacebring are under way as may be",
                    status=None,
                    retry_after=PLACE_RETRY,
                )
            # For Redis, 0 means for ever.
            self._redis.blpop([self._keys[3]], timeout=max(left, 0.01))

    def _start(self, caller: str) -> None:
        """Return when the first byte may leave, which is nearly always now; to be called just before it.

        LimiterBusyError if that is further away than a caller may wait. Without Redis the slot stands.
        """
        with suppress(RedisError):
            while seconds := self._run(
                "start",
                caller,
                self._most,
                _micros(self._window),
                _micros(self.interval),
                _micros(self._timeout + _MARGIN),
            )[1]:
                if seconds > self.max_wait:
                    raise LimiterBusyError(
                        "requests to Spacebring are held back", status=None, retry_after=seconds
                    )
                self._sleep(seconds)

    def _release(self, caller: str) -> None:
        # Without Redis the place comes free by itself.
        with suppress(RedisError):
            self._run("release", caller)

    def _places_now(self) -> int:
        if self._person:
            return _NO_LIMIT
        if self._clock() - self._counted >= _COUNTED_FOR:
            self._places = max(1, self._workers() // 2)
            self._counted = self._clock()
        return self._places

    def _run(self, *arguments: str | int) -> tuple[bytes, float]:
        answer, micros = self._script(keys=self._keys, args=arguments)
        return answer, float(micros) / 1e6


def _micros(seconds: float) -> int:
    return round(seconds * 1e6)
