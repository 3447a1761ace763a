"""Senders who send the same delivery again and again."""

from __future__ import annotations

from tests.faults.run import POINTS, Run, scenario
from tests.faults.stack import Setting


@scenario(Setting(quick=False))
def twice_at_once(run: Run) -> None:
    """Attack promise 3: each delivery comes on several connections at once, and again after it was filed."""
    run.send(run.size(20, 200), copies=4)
    run.strike(run.random.choice(POINTS), run.kill)
    run.send_again()
    run.heal()
    run.send_again()
