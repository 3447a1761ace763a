"""What the ledger gives out: events, claims, attempts, pages and counts."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
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
    *("name", "email", "subject", "location", "ticket_id"),
)
_NUMBERS = ("token", "tries", "begun", "attempts", "repeats")


@dataclass(frozen=True)
class Timings:
    """How long the steps of a delivery may take, in seconds.

    A worker that dies is noticed after `lease`; an RQ job that is lost after `handover`. `hard` ends a
    job whatever it does.
    """

    lease: float = 10
    handover: float = 10
    renew: float = 3
    hard: float = 60


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
class Event:
    """One event as the ledger has it. Times are UTC; empty text means that it is not known."""

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
    due: datetime | None = None

    @classmethod
    def of(cls, fields: Mapping[bytes, bytes]) -> Event:
        """Read the hash of an event."""
        text = {key.decode(): value.decode("utf-8", "replace") for key, value in fields.items()}

        def given(name: str) -> str:
            return text.get(name, "")

        texts: dict[str, Any] = {name: given(name) for name in _TEXTS}
        numbers: dict[str, Any] = {name: int(text[name]) for name in _NUMBERS}
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
            lookups_failed=int(given("lookups_failed") or 0),
        )


@dataclass(frozen=True)
class Claim:
    """A worker's hold on an event, until its lease ends; `token` fences off earlier holders."""

    event: Event

    @property
    def token(self) -> int:
        """The fencing token."""
        return self.event.token

    @property
    def taken_over(self) -> bool:
        """Whether an earlier holder had begun an attempt and never recorded it."""
        return self.event.begun > 0


@dataclass(frozen=True)
class Failing:
    """Says that Spacebring does not work for anyone: after `threshold` in a row, delivery pauses."""

    kind: Literal["credentials", "outage"]
    threshold: int
    probe: float


@dataclass(frozen=True)
class Outcome:
    """What a worker records about an event it holds.

    `attempt` is None where nothing was tried. `delay` is in seconds, for `retrying`. `uncounted`: the
    try does not count against the schedule. `answered`: Spacebring works, so a pause may end.
    """

    state: State
    reason: str = ""
    code: str = ""
    delay: float = 0
    attempt: Attempt | None = None
    fields: Mapping[str, str | int] = field(default_factory=dict)
    uncounted: bool = False
    answered: bool = False
    failing: Failing | None = None

    def as_json(self) -> str:
        """Give what `record.lua` reads: no nulls, no numbers that a float cannot hold, no empty tables."""
        data: dict[str, Any] = {
            "state": self.state.value,
            "reason": clean(self.reason),
            "code": clean(self.code),
            "delay_ms": max(0, int(self.delay * 1000)),
            "uncounted": self.uncounted,
            "answered": self.answered,
        }
        if self.fields:
            data["fields"] = {
                key: clean(value) if isinstance(value, str) else str(int(value))
                for key, value in self.fields.items()
            }
        if self.attempt is not None:
            attempt = {
                "outcome": self.attempt.outcome,
                "status": self.attempt.status,
                "error": clean(self.attempt.error),
                "duration_ms": self.attempt.duration_ms,
            }
            data["attempt"] = {key: value for key, value in attempt.items() if value is not None}
        if self.failing is not None:
            data["failing"] = {
                "kind": self.failing.kind,
                "threshold": self.failing.threshold,
                "probe_ms": int(self.failing.probe * 1000),
            }
        return json.dumps(data)


@dataclass(frozen=True)
class Pause:
    """Why delivery stands still: `kind` is `credentials` or `outage`."""

    kind: str
    why: str
    since: datetime
    until: datetime


@dataclass(frozen=True)
class Page:
    """A page of events, newest first; `cursor` asks for the next and is None at the end."""

    events: Sequence[Event]
    cursor: str | None


@dataclass(frozen=True)
class Stats:
    """The ledger in figures."""

    states: Mapping[str, int]
    due: Mapping[str, int]
    oldest_waiting: datetime | None
    handed_out: int
    pause: Pause | None
    counters: Mapping[str, int]


def moment(milliseconds: str | float) -> datetime:
    """Give the time that Redis's clock had, in UTC."""
    return datetime.fromtimestamp(float(milliseconds) / 1000, UTC)


def clean(text: str) -> str:
    """Give text that every JSON reader takes: lone surrogates are replaced."""
    return text.encode("utf-8", "replace").decode("utf-8")
