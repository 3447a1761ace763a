"""Brings events into every state through the ledger's own steps, for the tests of web and browser."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from service.core.ledger import Attempt, ExtraTicket, Failing, Outcome, State
from service.core.ledger.model import moment
from service.core.request import Headers, InboundRequest
from service.core.source import Key, Part

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis import Redis

    from service.core.ledger import Claim, Ledger

LOCATION = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
_numbers = count(1)


def request(body: bytes, content_type: str = "application/json", **headers: str) -> InboundRequest:
    """Give a request as the hooks would hand it over."""
    pairs = [
        ("Content-Type", content_type),
        *((name.replace("_", "-"), text) for name, text in headers.items()),
    ]
    return InboundRequest("POST", "https://bridge.example/hooks/web", Headers.of(pairs), body)


@dataclass
class Acts:
    """The ledger, with what a worker does to it."""

    ledger: Ledger
    redis: Redis

    def accept(self, body: bytes = b'{"text": "hello"}', *, channel: str = "web", **given: str) -> str:
        """Take a request in; gives the event's id."""
        inbound = request(body, **given)
        key = Key(f"key-{next(_numbers)}")
        accepted = self.ledger.accept(
            inbound, channel=channel, source="json", lane="backlog", parts=[Part((key,))]
        )
        return accepted.events[0]

    def claim(self) -> Claim:
        """Take up the next event."""
        (handed,) = self.ledger.take(1, cap=100)
        claim = self.ledger.claim(handed.event, "w1")
        assert claim is not None
        return claim

    def begin(self, **summary: str) -> Claim:
        """Begin an attempt at the next event."""
        claim = self.claim()
        draft = {"locationRef": LOCATION, "text": summary.get("subject", "The text"), "type": "internet"}
        known = {"name": "Ada Lovelace", "email": "ada@example.com", "subject": "The Wi-Fi is down"}
        self.ledger.begin(claim, draft, {**known, **summary})
        return claim

    def delivered(self, *, number: int = 7, channel: str = "web", **summary: str) -> str:
        """Give an event that made a ticket."""
        event = self.accept(channel=channel)
        ticket: Mapping[str, str | int] = {"ticket_id": f"ticket-{number}", "ticket_number": number}
        attempt = Attempt(at=moment(0), outcome="delivered", status=201, duration_ms=1234)
        outcome = Outcome(State.DELIVERED, attempt=attempt, fields=ticket, answered=True)
        self.ledger.record(self.begin(**summary), outcome)
        return event

    def dead(
        self,
        reason: str = "422: locationRef is not a location",
        *,
        code: str = "refused",
        channel: str = "web",
        body: bytes = b'{"text": "hello"}',
        content_type: str = "application/json",
        **summary: str,
    ) -> str:
        """Give a dead letter."""
        event = self.accept(body, channel=channel, content_type=content_type)
        attempt = Attempt(at=moment(0), outcome="refused", status=422, error=reason, duration_ms=80)
        self.ledger.record(
            self.begin(**summary), Outcome(State.DEAD, reason=reason, code=code, attempt=attempt)
        )
        return event

    def unknown(self, *, subject: str = "The Wi-Fi is down") -> str:
        """Give a dead letter that may have made a ticket."""
        return self.dead("no answer in time: it may have been filed", code="unknown", subject=subject)

    def ignored(self) -> str:
        """Give an event that makes no ticket."""
        event = self.accept()
        self.ledger.record(self.claim(), Outcome(State.IGNORED, reason="an auto-reply", code="auto-reply"))
        return event

    def pause(self, kind: str = "outage", why: str = "503: Service Unavailable") -> str:
        """Let Spacebring fail for everyone; gives the event that found it out."""
        event = self.accept()
        failing = Failing("credentials" if kind == "credentials" else "outage", threshold=1, probe=30)
        self.ledger.record(self.claim(), Outcome(State.RETRYING, reason=why, delay=60, failing=failing))
        return event

    def forbidden(self, why: str = "no Support permission") -> str:
        """Let a location refuse our credentials; gives the event that found it out."""
        event = self.accept()
        failing = Failing("credentials", threshold=1, probe=30, location=LOCATION)
        self.ledger.record(self.begin(), Outcome(State.RETRYING, reason=why, delay=1000, failing=failing))
        return event

    def closed(self, why: str = "no Support permission") -> str:
        """Let one location refuse our credentials, another not; gives the event that found it out."""
        event = self.forbidden(why)
        elsewhere = self.accept()
        fields: Mapping[str, str | int] = {"ticket_id": "e", "ticket_number": 1, "location": "elsewhere"}
        self.redis.hset("bridge:pause", "until", 0)
        (handed,) = self.ledger.take(1, cap=100)
        claim = self.ledger.claim(handed.event, "w1")
        assert claim is not None
        assert claim.event.id == elsewhere
        self.ledger.record(claim, Outcome(State.DELIVERED, fields=fields, answered=True))
        return event

    def doubled(self, *, closed: bool = True) -> str:
        """Give an event of which a second ticket was found."""
        event = self.delivered(number=7)
        self.ledger.doubled(event, [ExtraTicket("ticket-8", 8, closed)], "beside its ticket #7 there is #8")
        return event

    def blind(self, why: str) -> str:
        """Give an event that may have made a ticket, of which the list did not tell."""
        event = self.accept()
        outcome = Outcome(State.RETRYING, reason=why, code="unknown", delay=60, grace=10, stuck=True)
        self.ledger.record(self.begin(), outcome)
        return event
