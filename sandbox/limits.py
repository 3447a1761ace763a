"""The network's limit of requests a second, and the count of what was asked.

Spacebring allows ten requests a second on all endpoints and answers 429 beyond it; how it counts is not
documented: https://developer.spacebring.com/api-reference/rate-limiting
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Protocol

Clock = Callable[[], float]


class Limiter(Protocol):
    """Decides whether one more request fits."""

    def take(self) -> bool:
        """Use up one request if there is room; say whether there was."""
        ...


class Unlimited:
    """Lets every request through."""

    def take(self) -> bool:
        """Say yes."""
        return True


class TokenBucket:
    """Holds `rate` tokens at most and gains `rate` a second: a burst passes if it was quiet before."""

    def __init__(self, rate: int, clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        self._tokens = float(rate)
        self._at = clock()
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Take a token if there is a whole one; say whether there was."""
        with self._lock:
            now = self._clock()
            self._tokens = min(self._rate, self._tokens + (now - self._at) * self._rate)
            self._at = now
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True


class SlidingWindow:
    """Lets through at most `rate` requests in any one second, wherever the second begins."""

    def __init__(self, rate: int, clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        self._admitted: deque[float] = deque()
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Count the request if fewer than `rate` were let through in the last second; say whether."""
        with self._lock:
            now = self._clock()
            while self._admitted and now - self._admitted[0] >= 1:
                self._admitted.popleft()
            if len(self._admitted) >= self._rate:
                return False
            self._admitted.append(now)
            return True


def limiter(rate: int, *, strict: bool, clock: Clock = time.monotonic) -> Limiter:
    """Make the limiter for `rate` requests a second; 0 means no limit."""
    if not rate:
        return Unlimited()
    return SlidingWindow(rate, clock) if strict else TokenBucket(rate, clock)


class Tally:
    """Counts the API's requests by method, path and outcome since the start or the last reset."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str, int | str]] = Counter()
        self._limited = 0
        self._in_flight = 0
        self._most_in_flight = 0

    def enter(self) -> None:
        """Note that a request has come and is being answered."""
        with self._lock:
            self._in_flight += 1
            self._most_in_flight = max(self._most_in_flight, self._in_flight)

    def leave(self) -> None:
        """Note that a request has its answer, or will get none."""
        with self._lock:
            self._in_flight -= 1

    def add(self, method: str, path: str, outcome: int | str) -> None:
        """Count one request; its outcome is a status, or `dropped` or `reset` when none was sent."""
        with self._lock:
            self._counts[method, path, outcome] += 1

    def add_limited(self) -> None:
        """Count one request that the limiter refused, on top of `add`."""
        with self._lock:
            self._limited += 1

    def clear(self) -> None:
        """Start from zero."""
        with self._lock:
            self._counts.clear()
            self._limited = 0
            self._most_in_flight = self._in_flight

    def document(self) -> dict[str, object]:
        """Give the counts as JSON: `total`, `limited`, `most_in_flight` and `counts`.

        `limited` are the 429s of the limiter alone, `most_in_flight` is how many were answered at once.
        """
        with self._lock:
            counts = dict(self._counts)
            limited = self._limited
            most_in_flight = self._most_in_flight
        return {
            "total": sum(counts.values()),
            "limited": limited,
            "most_in_flight": most_in_flight,
            "counts": [
                {"method": method, "path": path, "status": outcome, "count": count}
                for (method, path, outcome), count in sorted(counts.items(), key=str)
            ],
        }
