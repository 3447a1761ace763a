"""What a person does to many dead letters at once: the API's, the dashboard's and the CLI's one way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.core.errors import Forbidden, NoSuchEvent
from service.core.ledger.model import Page
from service.core.ledger.states import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from service.core.ledger import Event, Ledger, Operation

_CHUNK = 200
# Nobody could tell whether this one made a ticket.
UNKNOWN = "unknown"

# Nothing can be sent of what has been aged out.
NEED_BODY = frozenset({"replay", "release"})
# What a person may do to an event in each state, as `operate.lua` allows it, the usual one first.
OPERATIONS: dict[State, tuple[Operation, ...]] = {
    State.QUEUED: ("hold", "discard"),
    State.DELIVERING: (),
    State.RETRYING: ("hold", "discard"),
    State.DEAD: ("replay", "discard"),
    State.HELD: ("release", "discard"),
    State.DELIVERED: (),
    State.IGNORED: ("replay",),
    State.DISCARDED: ("replay",),
}


def dead_letters(
    ledger: Ledger, *, channel: str = "", reason: str = "", limit: int = 50, cursor: str | None = None
) -> Page:
    """Give a page of dead letters, newest first, at least `limit` of them where there are so many.

    `reason` is looked for, without case, in the reason; or is the code itself. Raises ValueError for a
    cursor that is not one of ours, and redis.RedisError.
    """
    found: list[Event] = []
    while True:
        page = ledger.events(states=[State.DEAD], channel=channel, limit=limit, cursor=cursor)
        found += [event for event in page.events if _fits(event, channel, reason)]
        cursor = page.cursor
        if cursor is None or len(found) >= limit:
            return Page(found, cursor)


def bulk(
    ledger: Ledger,
    operation: Operation,
    *,
    channel: str = "",
    reason: str = "",
    ids: Sequence[str] | None = None,
    by: str,
    confirmed: bool = False,
) -> int:
    """Do `operation` to every dead letter that fits all the filters; gives to how many it was done.

    `ids` None means any; none at all means none. What is no dead letter (any more) is passed over.
    `confirmed`: what may have made a ticket is sent without a look. Raises redis.RedisError.
    """
    done = 0
    chosen = _walk(ledger, channel, reason) if ids is None else _named(ledger, ids)
    for event in chosen:
        if event.state is State.DEAD and _fits(event, channel, reason):
            try:
                ledger.operate(event.id, operation, by, confirmed=confirmed)
            except (Forbidden, NoSuchEvent):
                continue
            done += 1
    return done


def _fits(event: Event, channel: str, reason: str) -> bool:
    if channel and event.channel != channel:
        return False
    return not reason or reason == event.code or reason.casefold() in event.reason.casefold()


def _walk(ledger: Ledger, channel: str, reason: str) -> Iterator[Event]:
    cursor: str | None = None
    while True:
        page = dead_letters(ledger, channel=channel, reason=reason, limit=_CHUNK, cursor=cursor)
        yield from page.events
        cursor = page.cursor
        if cursor is None:
            return


def _named(ledger: Ledger, ids: Iterable[str]) -> Iterator[Event]:
    for event in dict.fromkeys(ids):
        try:
            yield ledger.event(event)
        except NoSuchEvent:
            continue
