"""SIGSTOP of a worker past its lease, then SIGCONT: the stale worker that the fencing token is for."""

from __future__ import annotations

from tests.faults.run import POINTS, Run, scenario
from tests.faults.stack import Setting

_PAUSABLE = tuple(point for point in POINTS if point != "after record")


@scenario(Setting())
def stop_worker(run: Run) -> None:
    """Attack promise 3: a worker sleeps past its lease at a point of its delivery, and goes on afterwards.

    With a POST still on its way this is the interleaving that cannot be excluded: its ticket comes second,
    and must be found, closed and alarmed.
    """
    for number, point in enumerate((_PAUSABLE * 7)[: run.size(0, 49)] or run.mixed(*_PAUSABLE)[:2]):
        run.strike(point, run.stopping(till_it_ended=number % 2 == 1))
    run.strike("before post", run.stopping(till_it_ended=True))
    run.send(run.size(8, 50))
