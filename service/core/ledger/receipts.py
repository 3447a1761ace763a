"""The receipts that the ledger owes: word of an event's end, for whoever asked for the ticket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.core.ledger.scripts import Scripts
from service.core.store import PREFIX

if TYPE_CHECKING:
    from redis import Redis


class Receipts:
    """Each is due at a time of Redis's clock; `move` in the ledger's scripts puts them in."""

    def __init__(self, redis: Redis, prefix: str = PREFIX) -> None:
        self._scripts = Scripts(redis, prefix)

    def take(self, seconds: float) -> tuple[str, str] | None:
        """Give event and state of a receipt that is due; for so long nobody else gets it."""
        owed = self._scripts.run("owed", int(seconds * 1000))
        if owed is None:
            return None
        event, _, state = owed.decode().partition(" ")
        return event, state

    def done(self, event: str, state: str, *, again: float | None = None) -> None:
        """Be done with a receipt; or try again in so many seconds."""
        delay = () if again is None else (int(again * 1000),)
        self._scripts.run("told", f"{event} {state}", *delay)
