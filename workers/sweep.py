"""Finds the second ticket that slipped through, closes it, and raises the alarm.

A worker that is stopped between its last check and the kernel's send wakes up and sends, whatever anybody
decided meanwhile. That cannot be prevented, so it is looked for: `docs/guarantees.md`.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from config.logging import get_logger
from service.core.errors import NoSuchEvent
from service.core.ledger import ExtraTicket, State
from workers.spacebring.errors import SpacebringError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.core.ledger import Event, Ledger
    from workers.reconcile import Reconciler, Sighting
    from workers.spacebring.client import SpacebringClient

_log = get_logger("sweep")
_CLOSED = "closed"
# Another worker that reads the list will soon have read it; if not, the next time of watching serves.
_PATIENCE = 2.0
# One listing serves all the events that are watched about then: it is later than their deliveries.
_SHARED_MS = 10_000


class Sweeper:
    """Looks at delivered events of which an attempt's end was not known for a while."""

    def __init__(self, ledger: Ledger, reconciler: Reconciler, client: SpacebringClient) -> None:
        self._ledger = ledger
        self._reconciler = reconciler
        self._client = client

    def sweep(self, event: str) -> None:
        """Look for tickets beside the event's own. What fails is tried again at the next time of watching."""
        try:
            found = self._ledger.event(event)
        except NoSuchEvent:
            return
        if found.state is not State.DELIVERED:
            return
        try:
            not_before = max(self._ledger.now() - _SHARED_MS, found.stray_at)
            look = self._reconciler.look(found, found.location, not_before=not_before, patience=_PATIENCE)
            why = "another worker reads the list" if look is None else look.gap
            extra = self._close(found, look.tickets) if look is not None else []
        except SpacebringError as error:
            why, extra = str(error), []
        if why:
            _log.warning("could not look for a second ticket", event_id=event, why=why)
        if extra:
            why = _why(found, extra)
            if self._ledger.doubled(event, extra, why):
                _log.error("second ticket", event_id=event, channel=found.channel, why=why)

    def _close(self, event: Event, tickets: Sequence[Sighting]) -> list[ExtraTicket]:
        own = next((ticket for ticket in tickets if ticket.id == event.ticket_id), None)
        if own is None:
            # Without it nobody can tell which is the second.
            return []
        extra = []
        for ticket in tickets:
            if ticket.id == event.ticket_id:
                continue
            # A person may have quoted the marker in a ticket of their own, which is not ours to close.
            same = own.digest == ticket.digest
            if same and ticket.status != _CLOSED:
                self._client.close_ticket(ticket.id)
            extra.append(ExtraTicket(ticket.id, ticket.number, same or ticket.status == _CLOSED))
        return extra


def _why(event: Event, extra: Sequence[ExtraTicket]) -> str:
    def said(ticket: ExtraTicket) -> str:
        return (
            f"#{ticket.number} ({'closed' if ticket.closed else 'left open: its text differs, please look'})"
        )

    tickets = ", ".join(said(ticket) for ticket in extra)
    return f"beside its ticket #{event.ticket_number} there is {tickets}"


_sweeper: ContextVar[Sweeper] = ContextVar("sweeper")


def install(sweeper: Sweeper) -> None:
    """Set what the jobs of this process sweep with."""
    _sweeper.set(sweeper)


def sweep(event: str) -> None:
    """Run as the RQ job; its only argument is the event's id."""
    _sweeper.get().sweep(event)
