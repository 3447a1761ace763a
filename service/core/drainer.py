"""Moves the spool into the ledger, once Redis takes requests again."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from config.logging import get_logger
from service.core.errors import NearlyFull, StoreFull, Unavailable
from service.core.spool import MEND
from service.core.store import takes_nothing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from service.core.ledger import Ledger
    from service.core.spool import Spool

_log = get_logger("spool")
_SHORTEST = 1.0
_LONGEST = 10.0


class Drainer:
    """One for each web process; a lock on a file lets one at a time work."""

    def __init__(self, spool: Spool, ledger: Ledger) -> None:
        self._spool = spool
        self._ledger = ledger
        # Of each request that stays, it is said once.
        self._told: set[int] = set()

    def start(self) -> threading.Thread:
        """Drain for as long as this process lives: whenever it dies, the next goes on."""
        never = threading.Event()
        thread = threading.Thread(target=self.run, args=(never.wait,), name="drainer", daemon=True)
        thread.start()
        return thread

    def run(self, wait: Callable[[float], object]) -> None:
        """Drain again and again until `wait`, which is given seconds, says that it is over."""
        pause = _SHORTEST
        while not wait(pause):
            try:
                self.drain()
                pause = _SHORTEST
            except (RedisError, Unavailable) as error:
                pause = min(pause * 2, _LONGEST)
                _log.info("the spool waits for Redis", error=type(error).__name__, again_in=pause)
            except (sqlite3.Error, OSError) as error:
                pause = _LONGEST
                _log.error(
                    "the spool cannot be used", folder=str(self._spool.folder), why=str(error), mend=MEND
                )
            except Exception:  # noqa: BLE001 - see below
                # Whatever it is: what waits here has been accepted, and must not wait for a restart.
                pause = _LONGEST
                _log.exception("the spool cannot be drained", again_in=pause)

    def drain(self) -> int:
        """Move all that Redis takes, oldest first; gives how many requests.

        Dying between the two steps of one does no harm: the ledger knows the id when it comes again.
        Raises redis.RedisError or Unavailable where the ledger takes none, sqlite3.Error, OSError.
        """
        moved = 0
        if self._spool.after(0) is None:
            return moved
        with self._alone() as alone:
            number = 0
            while alone and (found := self._spool.after(number)) is not None:
                number, parcel = found
                try:
                    self._ledger.keep(parcel)
                except (RedisError, StoreFull) as error:
                    if isinstance(error, NearlyFull) or (
                        isinstance(error, RedisError) and takes_nothing(error)
                    ):
                        raise
                    # It alone is too large, or meets something damaged: the next need not wait for it.
                    self._say_once(number, error)
                else:
                    self._spool.remove(number)
                    moved += 1
        if moved:
            _log.info("spool drained", requests=moved)
        return moved

    def _say_once(self, number: int, error: Exception) -> None:
        if number not in self._told:
            self._told.add(number)
            _log.warning("a request stays in the spool", number=number, why=str(error))

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        descriptor = os.open(self._spool.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            yield _locked(descriptor)
        finally:
            os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
