"""What still goes on while calls to Spacebring hang: at most half of the workers may wait for it.

    python -m bench.hang --processes 4 --latency 8

A backlog whose calls hang, then an automatic reply (no call) and an event of a person who waits (a call that
hangs, too, but begins at once).
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from bench.stack import Stack, running, wait_until

if TYPE_CHECKING:
    from datetime import datetime


def waited(stack: Stack, event: str, target: str) -> float:
    """Give the seconds from the accept of an event to this state."""
    wait_until(lambda: any(step.target == target for step in stack.ledger.history(event)))
    moments: dict[str, datetime] = {step.target: step.at for step in reversed(stack.ledger.history(event))}
    return (moments[target] - moments["queued"]).total_seconds()


def main() -> None:
    """Print how long the two waited, and the most calls that the sandbox saw at once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backlog", type=int, default=20)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--latency", type=float, default=8)
    asked = parser.parse_args()
    with running(processes=asked.processes) as stack:
        stack.faults({"kind": "latency", "seconds": asked.latency})
        for number in range(asked.backlog):
            stack.accept(f"key-{number}")
        wait_until(lambda: stack.requests()["most_in_flight"] == max(1, asked.processes // 2))
        for turn in range(3):
            reply = waited(stack, stack.accept_reply(f"reply-{turn}"), "ignored")
            alone = stack.requests()["most_in_flight"]
            person = stack.accept(f"person-{turn}", "person")
            wait_until(lambda event=person: stack.ledger.attempts(event) != [])
            begun = stack.ledger.attempts(person)[0].at - stack.ledger.event(person).received
            print(
                f"automatic reply ignored after {reply:.2f} s, the person's call begun after "
                f"{begun.total_seconds():.2f} s; at once at the sandbox: {alone} before it, "
                f"{stack.requests()['most_in_flight']} with it"
            )
            wait_until(lambda event=person: stack.ledger.event(event).state == "delivered")


if __name__ == "__main__":
    main()
