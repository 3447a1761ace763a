"""An event as plain data: what the API answers and the CLI prints as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.core.ledger import Attempt, Event


def event_data(event: Event, attempts: Sequence[Attempt]) -> dict[str, Any]:
    """Give an event with its attempts; times are left as `datetime`."""
    draft = None if event.draft is None else {"userRefRequester": None, **event.draft}
    ticket = {"id": event.ticket_id, "number": event.ticket_number} if event.ticket_id else None
    return {
        "id": event.id,
        "marker": event.marker,
        "channel": event.channel,
        "source": event.source,
        "status": event.state.value,
        "received_at": event.received,
        "updated_at": event.updated,
        "due_at": event.due,
        "dedupe_key": event.dedupe,
        "repeats": event.repeats,
        "sender": {"name": event.name, "email": event.email},
        "subject": event.subject,
        "draft": draft,
        "ticket": ticket,
        "extra_tickets": [vars(extra) for extra in event.extra_tickets],
        "attempts": [{**vars(attempt), "error": attempt.error or None} for attempt in attempts],
        "code": event.code or None,
        "reason": event.reason or None,
    }
