"""How long a backlog takes against a sandbox that allows ten requests a second, and whether it says 429.

    python -m bench.drain --events 300 --processes 4 --runs 5 --strict

Each event is one call: its channel looks nobody up. The time is that
from the first claim to the last record, by Redis's clock.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import dataclass

from bench.stack import Stack, running, wait_until


@dataclass(frozen=True)
class Run:
    """One drain: seconds from the first claim to the last record, and what the sandbox counted."""

    seconds: float
    limited: int
    total: int
    at_once: int
    handed_back: int


def drain(stack: Stack, events: int) -> Run:
    """Accept so many events, and wait until each has its ticket."""
    kept = [stack.accept(f"key-{number}") for number in range(events)]
    wait_until(lambda: stack.finished() == events, 60 + events)
    steps = [step for event in kept for step in stack.ledger.history(event)]
    first = min(step.at for step in steps if step.target == "delivering")
    last = max(step.at for step in steps if step.target == "delivered")
    counts = stack.requests()
    return Run(
        (last - first).total_seconds(),
        counts["limited"],
        counts["total"],
        counts["most_in_flight"],
        sum(step.target == "retrying" for step in steps),
    )


def main() -> None:
    """Print a line for each run, then the median and the worst."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=300)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--latency", type=float, default=0, help="seconds that Spacebring takes for a ticket")
    asked = parser.parse_args()
    runs: list[Run] = []
    for _ in range(asked.runs):
        with running(processes=asked.processes, strict=asked.strict) as stack:
            if asked.latency:
                stack.faults({"kind": "latency", "seconds": asked.latency})
            runs.append(drain(stack, asked.events))
        print(runs[-1], flush=True)
    seconds = [run.seconds for run in runs]
    print(
        f"{asked.events} events, {asked.processes} workers, strict={asked.strict}, latency={asked.latency}: "
        f"median {statistics.median(seconds):.2f} s, worst {max(seconds):.2f} s, "
        f"429s {sum(run.limited for run in runs)}, calls {sum(run.total for run in runs)}"
    )


if __name__ == "__main__":
    main()
