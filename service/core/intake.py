"""Where a verified request becomes safe: in the ledger, or in the spool while Redis is away or full."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from service.core.errors import StoreFull, Unavailable
from service.core.store import takes_nothing

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.core.ledger import Acceptance, Ledger
    from service.core.ledger.model import Parcel
    from service.core.spool import Spool

_RETRY_AFTER = 30
# For so many seconds after Redis did not answer nobody waits for it not to answer again.
_SPARED = 1.0


class Intake:
    """The ledger's door and the spool behind it."""

    def __init__(self, ledger: Ledger, spool: Spool, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._ledger = ledger
        self._spool = spool
        self._clock = clock
        self._spared_until = clock()

    def keep(self, parcel: Parcel) -> Acceptance:
        """Keep a parcel; raises Unavailable where nobody does, and the sender must send again.

        What the ledger wrote without confirming that it is safe is not spooled: it may be there.
        """
        if self._spared():
            try:
                return self._spool.put(parcel)
            except Unavailable:
                # Then there is nothing to lose by waiting for Redis.
                self._spared_until = self._clock()
        try:
            return self._ledger.keep(parcel)
        except StoreFull:
            if not self._spool.enabled:
                raise
        except RedisError as error:
            if not takes_nothing(error):
                raise Unavailable("The ledger fails: please send this again", _RETRY_AFTER) from error
            self._spared_until = self._clock() + _SPARED
        return self._spool.put(parcel)

    def _spared(self) -> bool:
        # An empty spool has been drained: Redis is back.
        return self._clock() < self._spared_until and self._spool.waiting() > 0
