"""Steps of Valkey's clock, the only clock that the ledger reads."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.faults.run import POINTS, Run, scenario
from tests.faults.stack import Setting

if TYPE_CHECKING:
    from tests.faults.proxy import Act, Hit

_SETTING = Setting(faketime=True)
_HOUR = 3600


@scenario(_SETTING)
def clock_forward(run: Run) -> None:
    """Attack promise 3: the clock leaps an hour: every lease is over at once, and nobody may send twice."""
    _step(run, _HOUR)


@scenario(_SETTING)
def clock_backward(run: Run) -> None:
    """Attack promise 2: the clock falls back an hour: what was due must not wait for an hour."""
    _step(run, -_HOUR)


def _step(run: Run, seconds: int) -> None:
    for number in range(1, run.size(1, 4) + 1):
        # So that events wait in every way: for a lease, for a retry, for a second look.
        run.faults(
            {"kind": "latency", "seconds": 1, "rate": 0.3, "times": 6},
            {"kind": "status", "status": 503, "rate": 0.4, "times": 6},
            {"kind": "reset", "rate": 0.4, "times": 6},
        )
        run.send(run.size(12, 20))
        run.strike(run.random.choice(POINTS), _stepping(run, seconds * number), skip=8)
        # What was known about Spacebring before the step says nothing about what is filed after it.
        run.faults({"kind": "reset_after_commit", "every": 2, "times": 4})
        run.send(10)


def _stepping(run: Run, offset: int) -> Act:
    def act(hit: Hit) -> bool:
        run.strike_no_more(hit.subject)
        run.stack.step_clock(offset)
        run.must("Valkey's clock has moved", lambda: abs(_off(run) - offset) < 60, 10)
        return True

    return act


def _off(run: Run) -> float:
    return float(run.stack.redis.time()[0]) - time.time()
