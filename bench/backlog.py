"""Whether a large backlog slows the dispatcher, or makes it hand an event out twice.

    python -m bench.backlog --backlog 1000 100000

For each size: the time of one `take`, and how many events a second go through take, enqueue, claim and
record.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import Counter

from rq import Queue

from bench.stack import Stack, running
from service.core.ledger import HandedOut, Outcome, State
from workers.dispatcher import Dispatcher

WORKERS = 4
CAP = 2 * WORKERS
# Not sent anywhere: what is measured is the ledger.
IGNORED = Outcome(State.IGNORED, reason="measured", code="ignored")


def measure(stack: Stack, backlog: int, rounds: int) -> str:
    """Fill the ledger, and take, enqueue, claim and record so many events of it."""
    began = time.perf_counter()
    for number in range(backlog):
        stack.accept(f"{backlog}-{number}")
    accepted = backlog / (time.perf_counter() - began)

    queue = Queue("tickets", connection=stack.redis, serializer="json")
    dispatcher = Dispatcher(stack.ledger, stack.redis, stopping=lambda: False)
    taking: list[float] = []
    handed: Counter[str] = Counter()
    began = time.perf_counter()
    while handed.total() < rounds:
        start = time.perf_counter()
        batch = stack.ledger.take(CAP, cap=CAP)
        taking.append((time.perf_counter() - start) * 1000)
        _deliver(stack, dispatcher, queue, batch)
        handed.update(one.event for one in batch)
    through = handed.total() / (time.perf_counter() - began)

    percentiles = statistics.quantiles(taking, n=100)
    return (
        f"{backlog:>7} due: accept {accepted:,.0f}/s; take of {CAP}: median {percentiles[49]:.2f} ms, "
        f"p99 {percentiles[98]:.2f} ms; take + enqueue + claim + record {through:,.0f} events/s; "
        f"{handed.total()} hand-outs of {len(handed)} events, "
        f"{sum(count > 1 for count in handed.values())} twice"
    )


def _deliver(stack: Stack, dispatcher: Dispatcher, queue: Queue, batch: list[HandedOut]) -> None:
    dispatcher._enqueue(batch)  # noqa: SLF001 - without the take that was measured
    for job in queue.get_jobs():
        claim = stack.ledger.claim(job.args[0], "bench")
        if claim is not None:
            stack.ledger.record(claim, IGNORED)
        job.delete()


def main() -> None:
    """Print a line for each size, each on a store of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backlog", type=int, nargs="+", default=[1_000, 100_000])
    parser.add_argument("--all", action="store_true", help="go on until the backlog is empty")
    asked = parser.parse_args()
    for backlog in asked.backlog:
        with running() as stack:
            print(measure(stack, backlog, backlog if asked.all else min(backlog, 5_000)), flush=True)


if __name__ == "__main__":
    main()
