"""How the bridge does right now: what API, metrics, dashboard and CLI all show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from service.core import queue
from service.core.refusals import Refusals

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from redis import Redis

    from service.core.ledger import Ledger, Pause, Stats
    from service.core.refusals import TurnedAway


_PERMISSION = "give the account that the bridge uses the Support permission for it."


@dataclass(frozen=True)
class Delivery:
    """Whether delivery works; `why` says what is wrong and what to do, and is empty where it works."""

    healthy: bool
    why: str


@dataclass(frozen=True)
class Overview:
    """The ledger's figures with the queues', at one moment.

    `refused`: how many requests were turned away, by channel and reason. `turned_away`: the channels that
    have taken none since they turned one away.
    """

    at: datetime
    stats: Stats
    queues: Mapping[str, int]
    workers: int
    delivery: Delivery
    refused: Mapping[tuple[str, str], int]
    turned_away: Sequence[TurnedAway]

    @property
    def waited(self) -> float | None:
        """For how many seconds the oldest unfinished event has waited; None where none waits."""
        oldest = self.stats.oldest_waiting
        return max(0.0, (self.at - oldest).total_seconds()) if oldest is not None else None


def _utc_now() -> datetime:
    return datetime.now(UTC)


def overview(ledger: Ledger, redis: Redis, *, clock: Callable[[], datetime] = _utc_now) -> Overview:
    """Look at ledger and queues; raises redis.RedisError."""
    stats, workers, now = ledger.stats(), queue.workers_alive(redis), clock()
    refusals = Refusals(redis, clock=now.timestamp)
    return Overview(
        at=now,
        stats=stats,
        queues=queue.depths(redis),
        workers=workers,
        delivery=_delivery(stats, workers, ledger.blind_reason()),
        refused=refusals.counts(),
        turned_away=refusals.unanswered(ledger),
    )


def _delivery(stats: Stats, workers: int, blind: str) -> Delivery:
    problems = []
    if stats.pause is not None:
        problems.append(_paused(stats.pause))
    else:
        # While everything is paused, that one location would be too says nothing more.
        problems += [_closed(location, pause) for location, pause in sorted(stats.closed.items())]
    if blind:
        problems.append(
            f"Events that may have made a ticket, and of which Spacebring's list cannot tell: {stats.blind}. "
            f"Nothing is sent for them before it does, for {blind.rstrip('.')}. The bridge keeps looking."
        )
    if not workers:
        problems.append(
            "No worker is running: what comes in is kept, but nothing is delivered. "
            "Start `bridge worker`, or look in its log for why it stopped."
        )
    return Delivery(healthy=not problems, why=" ".join(problems))


def _paused(pause: Pause) -> str:
    if pause.location:
        what = (
            f"Spacebring refuses our credentials for location {pause.location} (403): {_PERMISSION} "
            "If another location takes a ticket, only this one stays paused."
        )
    elif pause.kind == "credentials":
        what = (
            "Spacebring refuses our credentials. "
            "Check SPACEBRING_TOKEN (or client id and secret), or connect again on the page Spacebring."
        )
    else:
        what = "Spacebring does not take tickets: it is down or cannot be reached."
    said = f" It said: {pause.why.rstrip('.')}." if pause.why else ""
    return (
        f"Delivery is paused since {pause.since:%H:%M} UTC. {what}{said} "
        f"Nothing is lost: the next try is at {pause.until:%H:%M:%S} UTC, by itself."
    )


def _closed(location: str, pause: Pause) -> str:
    said = f" It said: {pause.why.rstrip('.')}." if pause.why else ""
    return (
        f"Delivery to location {location} is paused since {pause.since:%H:%M} UTC, other locations are not "
        f"affected. Spacebring refuses our credentials there (403): {_PERMISSION}{said} "
        f"Nothing is lost: the next try is at {pause.until:%H:%M:%S} UTC, by itself."
    )
