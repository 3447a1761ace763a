"""When a failed delivery is tried again: exponential backoff with full jitter, over hours."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Schedule:
    """Before try n+1 the worker waits a random time up to min(cap, base * 2**(n-1)), at least `floor`.

    All in seconds. With the defaults the 18 tries span about four hours on average, eight at the most.
    Why full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """

    base: float = 5
    cap: float = 3600
    floor: float = 1
    tries: int = 18
    pick: Callable[[float, float], float] = random.uniform

    def delay(self, tried: int) -> float:
        """Give the wait after the `tried`-th try, in seconds."""
        # Beyond 2**30 the cap has long been reached, and a float would overflow.
        ceiling = min(self.cap, self.base * 2 ** min(max(tried - 1, 0), 30))
        return max(self.floor, self.pick(0, ceiling))

    def exhausted(self, tried: int) -> bool:
        """Whether the `tried`-th try was the last."""
        return tried >= self.tries
