"""A worker's hold on one event: the claim, kept alive by a thread while the job runs."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Self

from redis.exceptions import RedisError

from service.core.errors import StaleToken

if TYPE_CHECKING:
    from types import TracebackType

    from service.core.ledger import Claim, Ledger


def boot_time() -> float:
    """Give the seconds since this machine started, those that it slept included where it can tell."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


class Hold:
    """Renews the lease every few seconds until the `with` block ends.

    `started` is the local time taken before the claim, so that the local deadline is never later than
    the lease's.
    """

    def __init__(self, ledger: Ledger, claim: Claim, started: float) -> None:
        self.claim = claim
        self._ledger = ledger
        # However often it is renewed, the lease ends with the job's hard limit.
        self._hard = started + ledger.timings.hard
        self._expires = min(started + ledger.timings.lease, self._hard)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"renew-{claim.event.id}", daemon=True)

    @classmethod
    def take(cls, ledger: Ledger, event: str, worker: str) -> Hold | None:
        """Claim the event; None where there is nothing to do."""
        started = boot_time()
        claim = ledger.claim(event, worker)
        return None if claim is None else cls(ledger, claim, started)

    def check(self) -> None:
        """Return while the lease surely stands; raises StaleToken otherwise."""
        if boot_time() >= self._expires:
            raise StaleToken(f"The lease on event {self.claim.event.id} is over: nothing was sent")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _keep(self) -> None:
        while not self._done.wait(self._ledger.timings.renew):
            started = boot_time()
            try:
                if not self._ledger.renew(self.claim):
                    # Somebody else has it: `check` refuses from now on.
                    self._expires = started
                    return
            except RedisError:
                # Redis may be back before the lease ends; until then the local deadline stands.
                continue
            self._expires = min(started + self._ledger.timings.lease, self._hard)
