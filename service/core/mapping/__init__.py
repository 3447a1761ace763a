"""From an `InboundEvent` to a `TicketDraft`: rules, the ticket's text, and who asks."""

from service.core.mapping.draft import TicketDraft, TicketDraftSchema, as_payload, load_draft
from service.core.mapping.mapper import FindRequester, Mapped, map_event
from service.core.mapping.requesters import RequesterCache
from service.core.mapping.rules import Choice, choose
from service.core.mapping.text import MIN_LIMIT, render

__all__ = [
    "MIN_LIMIT",
    "Choice",
    "FindRequester",
    "Mapped",
    "RequesterCache",
    "TicketDraft",
    "TicketDraftSchema",
    "as_payload",
    "choose",
    "load_draft",
    "map_event",
    "render",
]
