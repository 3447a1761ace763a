"""Valkey killed, away, and robbed of RQ's queue."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.faults.run import POINTS, Run, scenario
from tests.faults.stack import Setting

if TYPE_CHECKING:
    from tests.faults.proxy import Act, Hit

_SETTING = Setting(quick=False)


@scenario(_SETTING)
def kill_store(run: Run) -> None:
    """Attack promises 1 and 2: Valkey dies before or after a write, and comes back from its log."""
    points = run.mixed(*POINTS, "before accept", "after accept", "before take", "after enqueue")
    for point in points[: run.size(4, len(points))]:
        run.strike(point, run.killing("store"))
        run.heal()
    run.send(run.size(4, 100))


@scenario(_SETTING)
def store_gone(run: Run) -> None:
    """Attack promises 1 and 2: Valkey is away for a while; senders are refused, or find a spool."""
    run.send(run.size(10, 50))
    run.strike(run.random.choice(POINTS), _leave(run))
    run.send(run.size(10, 50))
    # The outage itself: nothing is waited for.
    time.sleep(run.size(5, 30))
    run.stack.store.start()
    run.stack.store_answers()


def _leave(run: Run) -> Act:
    def act(hit: Hit) -> bool:
        run.strike_no_more(hit.subject)
        run.stack.store.kill(stays_down=True)
        return True

    return act


@scenario(_SETTING)
def flushed_queue(run: Run) -> None:
    """Attack promise 2: RQ's queue, jobs and registries vanish; the ledger knows what is due."""
    for _ in range(run.size(2, 20)):
        run.strike(run.random.choice(("after enqueue", "before claim")), _flush(run))
    run.send(run.size(8, 50))


def _flush(run: Run) -> Act:
    def act(hit: Hit) -> bool:
        run.strike_no_more(hit.subject)
        keys = [key for key in run.stack.redis.scan_iter("rq:*") if not key.startswith(b"rq:worker")]
        run.stack.redis.delete(*keys)
        return True

    return act
