"""Spacebring failing in every way that it may, and in the ways that leave a ticket's fate unknown."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING

from tests.faults.run import Run, scenario
from tests.faults.stack import Setting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.faults.proxy import Hit

_SETTING = Setting()
_LIMITED = Setting(rate=10, sandbox_rate=10)
# Longer than the client waits.
_LONG = 2
_AMBIGUOUS: tuple[Mapping[str, object], ...] = (
    {"kind": "timeout_before_commit", "seconds": _LONG},
    {"kind": "timeout_after_commit", "seconds": _LONG},
    {"kind": "error_after_commit", "status": 500},
    {"kind": "reset"},
    {"kind": "reset_after_commit"},
    {"kind": "wrong_json"},
)


@scenario(_SETTING)
def ambiguous_answers(run: Run) -> None:
    """Attack promise 3: each failure that tells nothing about the ticket, on some of the POSTs."""
    times = run.size(2, 20)
    run.faults(*({**fault, "every": 3, "times": times} for fault in _AMBIGUOUS))
    run.send(run.size(40, 400))


@scenario(_SETTING)
def time_out_after_commit(run: Run) -> None:
    """Attack promise 3: every tenth ticket is filed, and its answer never comes."""
    run.faults({"kind": "timeout_after_commit", "seconds": _LONG, "every": 10, "times": run.size(3, 30)})
    run.send(run.size(30, 300))


@scenario(_SETTING)
def plain_failures(run: Run) -> None:
    """Attack promises 2 and 5: 503, slow answers and storms of 429 with Retry-After."""
    storm = run.size(4, 30)
    run.faults(
        {"kind": "status", "status": 503, "rate": 0.2, "times": storm},
        {"kind": "status", "status": 429, "retry_after": 1, "rate": 0.3, "times": storm},
        {"kind": "latency", "seconds": 0.5, "rate": 0.2, "times": storm},
    )
    run.send(run.size(30, 300))


@scenario(_SETTING)
def refused_list(run: Run) -> None:
    """Attack promise 3: the list is refused while a ticket's fate is unknown, which proves nothing."""
    run.faults(
        {"kind": "timeout_after_commit", "seconds": _LONG, "times": 2},
        {"kind": "status", "status": 500, "methods": ["GET"], "times": run.size(2, 8)},
        {"kind": "wrong_json", "methods": ["GET"], "times": run.size(1, 4)},
    )
    run.send(run.size(6, 40))


@scenario(_SETTING)
def empty_list(run: Run) -> None:
    """Attack promise 3: the list comes empty, though tickets of ours stand in it, which proves nothing."""
    empty = b'{"tickets": [], "nextPageToken": null}'
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(empty)}\r\n\r\n"

    def nothing(hit: Hit) -> bytes:
        del hit
        return head.encode() + empty

    run.send(4)
    run.filed(1)
    run.faults({"kind": "timeout_after_commit", "seconds": _LONG, "times": run.size(2, 10)})
    trap = run.stack.traps.arm("before list", nothing, stays=True)
    run.send(run.size(4, 30))
    trap.wait(20)
    # For as long as a careless bridge would need to post again.
    time.sleep(run.stack.setting.timeout * 3)
    run.stack.traps.disarm(trap)


@scenario(_SETTING)
def outage(run: Run) -> None:
    """Attack promise 5: Spacebring is down: delivery pauses, gives nothing up, and goes on within 30 s."""
    run.faults({"kind": "status", "status": 503, "methods": ["*"]})
    run.send(run.size(20, 100))
    run.must("delivery is paused", lambda: not run.stack.api("stats")["delivery"]["healthy"])
    run.faults()
    run.must("it goes on", lambda: run.stack.api("stats")["delivery"]["healthy"])


@scenario(_LIMITED)
def wrong_token(run: Run) -> None:
    """Attack promise 5: the token is refused for a while: delivery pauses, and nothing is given up."""
    run.faults({"kind": "status", "status": 401, "methods": ["*"]})
    run.send(run.size(10, 100))
    run.must("delivery is paused", lambda: not run.stack.api("stats")["delivery"]["healthy"])
    tried = _requests(run)
    if tried > 3:
        run.verdict.notes.append(f"{tried} requests before the pause")
    run.faults()


@scenario(_LIMITED)
def rate_limit(run: Run) -> None:
    """Attack promise 4: a backlog against a strict window of 10 a second: no 429, drained at 95 % of it."""
    backlog = run.size(60, 300)
    run.send(backlog)
    run.filed(backlog)
    made = sorted(datetime.fromisoformat(ticket["createDate"]) for ticket in run.tickets())
    took = (made[-1] - made[0]).total_seconds()
    limited = run.stack.held("GET", "requests")["limited"]
    # 300 in 31 s.
    if took > backlog * 31 / 300 or limited:
        run.verdict.notes.append(f"{backlog} took {took:.1f} s, with {limited} answers 429")


def _requests(run: Run) -> int:
    try:
        return int(run.stack.held("GET", "requests")["total"])
    finally:
        run.stack.held("DELETE", "requests")
