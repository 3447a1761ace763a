"""What the ledger gives out: events, claims, attempts, pages and counts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from service.core.ledger.states import State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.core.source import Lane

Status = Literal["accepted", "duplicate", "ignored"]
Operation = Literal["replay", "discard", "hold", "release"]

_TEXTS = (
    *("id", "marker", "channel", "source", "request", "slice", "dedupe", "code", "reason"),
    *("name", "email", "subject", "location", "ticket_id", "witness"),
)
# Written once an event is created.
_NUMBERS = ("token", "tries", "begun", "attempts", "repeats")
# Written when there is need.
_LATER = ("lookups_failed", "vendor_failed", "looks", "look_after", "look_from", "stray_at")


@dataclass(frozen=True)
class Timings:
    """How long the steps of a delivery may take, in seconds.

    A worker that dies is noticed after `lease`; an RQ job that is lost after `handover`. `hard` ends a
    job whatever it does. `grace`: what may have been sent is not sent again for so long, at least the
    whole time that a call may take.
    """

    lease: float = 10
    handover: float = 10
    renew: float = 3
    hard: float = 60
    grace: float = 10


@dataclass(frozen=True)
class Keeping:
    """How long things are kept. Bodies and summaries count from the end of the event."""

    bodies_days: int = 30
    summaries_days: int = 90
    dedupe_days: int = 30
    content_hours: int = 24
    blob_threshold: int = 65_536


@dataclass(frozen=True)
class Parcel:
    """A request on its way into the ledger: `record` as the script `accept` takes it, and the body."""

    record: Mapping[str, Any]
    body: bytes

    @property
    def parts(self) -> Sequence[Mapping[str, Any]]:
        """Each event's share: its id, and its dedupe keys with their lives in ms."""
        parts: Sequence[Mapping[str, Any]] = self.record["parts"]
        return parts


@dataclass(frozen=True)
class Acceptance:
    """What became of a request: one event id a part, and which of them are new."""

    events: tuple[str, ...]
    fresh: frozenset[str]

    @property
    def status(self) -> Status:
        """`accepted` if any part is new, `duplicate` if none is."""
        return "accepted" if self.fresh else "duplicate"


@dataclass(frozen=True)
class HandedOut:
    """An event that `take` handed out, for the n-th time."""

    event: str
    handout: int
    lane: Lane

    @property
    def job(self) -> str:
        """The RQ job's id: its own for each hand-out, so that a lost one never blocks the next."""
        return f"{self.event}-{self.handout}"


@dataclass(frozen=True)
class Attempt:
    """One try at filing: `outcome` is `sending` while it has not been recorded."""

    at: datetime
    outcome: str
    status: int | None = None
    error: str = ""
    duration_ms: int | None = None


@dataclass(frozen=True)
class Step:
    """One change of state."""

    at: datetime
    origin: str
    target: str
    why: str
    by: str


@dataclass(frozen=True)
class ExtraTicket:
    """A ticket that an event made beside its own; `closed` where the bridge closed it."""

    id: str
    number: int
    closed: bool


@dataclass(frozen=True)
class Event:
    """One event as the ledger has it. Times are UTC; empty text means that it is not known.

    `look_after` is 0, or the time in ms of Redis's clock: an attempt may have made a ticket, and only a
    look at Spacebring's list that began then or later can show that it did not. `look_from` (ms) and
    `witness` (a ticket of ours) say how far back the list is to be searched. `stray_at` (ms): a worker
    made, or may have made, a ticket when it no longer held the event.
    """

    id: str
    marker: str
    channel: str
    source: str
    lane: Lane
    state: State
    received: datetime
    updated: datetime
    request: str
    slice: str
    dedupe: str
    token: int
    tries: int
    begun: int
    attempts: int
    repeats: int
    force: bool
    code: str
    reason: str
    name: str
    email: str
    subject: str
    draft: Mapping[str, str] | None
    location: str
    ticket_id: str
    ticket_number: int | None
    has_body: bool
    requester_refused: bool
    lookups_failed: int
    vendor_failed: int
    looks: int
    look_after: int
    look_from: int
    stray_at: int
    witness: str
    extra_tickets: Sequence[ExtraTicket] = ()
    due: datetime | None = None

    @classmethod
    def of(cls, fields: Mapping[bytes, bytes]) -> Event:
        """Read the hash of an event."""
        text = {key.decode(): value.decode("utf-8", "replace") for key, value in fields.items()}

        def given(name: str) -> str:
            return text.get(name, "")

        texts: dict[str, Any] = {name: given(name) for name in _TEXTS}
        numbers: dict[str, Any] = {name: int(text[name]) for name in _NUMBERS}
        numbers |= {name: int(given(name) or 0) for name in _LATER}
        return cls(
            **texts,
            **numbers,
            lane="person" if given("lane") == "person" else "backlog",
            state=State(text["state"]),
            received=moment(text["received"]),
            updated=moment(text["updated"]),
            force=given("force") == "1",
            draft=json.loads(given("draft")) if given("draft") else None,
            ticket_number=int(given("ticket_number")) if given("ticket_number") else None,
            has_body=given("body") == "1",
            requester_refused=given("requester_refused") == "1",
            extra_tickets=tuple(
                ExtraTicket(**ticket) for ticket in json.loads(given("extra_tickets") or "[]")
            ),
        )


@dataclass(frozen=True)
class Claim:
    """A worker's hold on an event, until its lease ends; `token` fences off earlier holders.

    `probing`: delivery is paused, and this event finds out whether it still has to be.
    """

    event: Event
    probing: bool = False

    @property
    def token(self) -> int:
        """The fencing token."""
        return self.event.token

    @property
    def uncertain(self) -> bool:
        """Whether a ticket may exist already: then nothing is sent before a look at Spacebring's list."""
        return self.event.look_after > 0


@dataclass(frozen=True)
class Closed:
    """What `begin` says where delivery to the location is paused.

    `wait`: seconds until this event may try for all; None where another one does.
    """

    wait: float | None
    why: str


@dataclass(frozen=True)
class Pause:
    """Why delivery stands still, as a whole or to one location: `kind` is `credentials` or `outage`.

    `location` is where it was refused, if it may be that location alone.
    """

    kind: str
    why: str
    since: datetime
    until: datetime
    location: str = ""


@dataclass(frozen=True)
class Page:
    """A page of events, newest first; `cursor` asks for the next and is None at the end."""

    events: Sequence[Event]
    cursor: str | None


@dataclass(frozen=True)
class Stats:
    """The ledger in figures.

    `closed`: the locations whose delivery is paused, by uuid. `uncertain`: events that may have made a
    ticket and are being looked for. `alarms`: events that made a second one. `blind`: uncertain events for
    which the list proved nothing when it was last looked at.
    """

    states: Mapping[str, int]
    due: Mapping[str, int]
    oldest_waiting: datetime | None
    handed_out: int
    pause: Pause | None
    closed: Mapping[str, Pause]
    uncertain: int
    alarms: int
    blind: int
    counters: Mapping[str, int]


def moment(milliseconds: str | float) -> datetime:
    """Give the time that Redis's clock had, in UTC."""
    return datetime.fromtimestamp(float(milliseconds) / 1000, UTC)


def clean(text: str) -> str:
    """Give text that every JSON reader takes: lone surrogates are replaced."""
    return text.encode("utf-8", "replace").decode("utf-8")
