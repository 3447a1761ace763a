"""The API's shapes, in marshmallow: what is checked on the way in, and the OpenAPI document's source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marshmallow import Schema, fields, pre_load, validate
from webargs.fields import DelimitedList

from service.core.ledger.reader import MAX_PAGE
from service.core.ledger.states import State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.core.overview import Overview

STATES = tuple(state.value for state in State)
MAX_IDS = 10_000


def _about(text: str) -> dict[str, str]:
    return {"description": text}


class EventsQuery(Schema):
    """Which events to list."""

    status = DelimitedList(
        fields.String(validate=validate.OneOf(STATES, error="{input} is no status; give one of {choices}")),
        load_default=[],
        metadata=_about("One or several states, separated by commas."),
    )
    channel = fields.String(load_default="", metadata=_about("Only events of this channel."))
    q = fields.String(
        load_default="",
        validate=validate.Length(max=200),
        metadata=_about(
            "Looked for, without case, in id, marker, sender, subject, reason and ticket number (`#12`). "
            "A page of a search may be short, or empty, and still have a cursor."
        ),
    )
    limit = fields.Integer(load_default=50, validate=validate.Range(1, MAX_PAGE))
    cursor = fields.String(
        load_default=None, validate=validate.Length(max=64), metadata=_about("The last answer's `cursor`.")
    )

    @pre_load
    def _without_blanks(self, data: Mapping[str, str], **_: object) -> dict[str, str]:
        # `?status=&q=` asks for everything, as if nothing were given.
        return {name: value for name, value in data.items() if value}


class ReplayBody(Schema):
    """How to replay one event."""

    confirm = fields.Boolean(
        load_default=False,
        metadata=_about(
            "A person has looked: an attempt that may have made a ticket made none. Without it, the bridge "
            "looks itself before it sends anything."
        ),
    )


class BulkBody(Schema):
    """Which dead letters; all filters must fit, and none at all means every dead letter."""

    channel = fields.String(load_default="", metadata=_about("Only those of this channel."))
    reason = fields.String(
        load_default="", metadata=_about("Only those with this in their reason, or with this code.")
    )
    ids = fields.List(
        fields.String(),
        load_default=None,
        validate=validate.Length(max=MAX_IDS),
        metadata=_about("Only these events; an empty list means none."),
    )


class BulkReplayBody(BulkBody):
    """Which dead letters to replay."""

    confirm = fields.Boolean(
        load_default=False,
        metadata=_about(
            "A person has looked: those that may have made a ticket made none. Without it, the bridge looks "
            "itself before it sends anything."
        ),
    )


class Replayed(Schema):
    """How many dead letters were replayed."""

    replayed = fields.Integer(required=True)


class Discarded(Schema):
    """How many dead letters were discarded."""

    discarded = fields.Integer(required=True)


class SenderView(Schema):
    """Who wrote; empty where it is not known (yet)."""

    name = fields.String(required=True)
    email = fields.String(required=True)


class DraftView(Schema):
    """The ticket as it was, or is being, sent."""

    locationRef = fields.String(required=True)  # noqa: N815 - Spacebring's own name
    text = fields.String(required=True)
    type = fields.String(required=True)
    userRefRequester = fields.String(required=True, allow_none=True)  # noqa: N815 - Spacebring's own name


class TicketView(Schema):
    """The ticket in Spacebring."""

    id = fields.String(required=True)
    number = fields.Integer(required=True, allow_none=True)


class ExtraTicketView(Schema):
    """A ticket that the event made beside its own, found afterwards."""

    id = fields.String(required=True)
    number = fields.Integer(required=True)
    closed = fields.Boolean(
        required=True, metadata=_about("False where its text differs: a person has to look at it.")
    )


class AttemptView(Schema):
    """One try at filing the ticket."""

    at = fields.AwareDateTime(required=True)
    outcome = fields.String(required=True, metadata=_about("`sending` until it has been recorded."))
    status = fields.Integer(required=True, allow_none=True, metadata=_about("The HTTP status."))
    error = fields.String(required=True, allow_none=True, metadata=_about("Spacebring's own message."))
    duration_ms = fields.Integer(required=True, allow_none=True)


class EventView(Schema):
    """One event."""

    id = fields.String(required=True)
    marker = fields.String(required=True, metadata=_about("Stands in the ticket's text."))
    channel = fields.String(required=True)
    source = fields.String(required=True)
    status = fields.String(required=True, validate=validate.OneOf(STATES))
    received_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)
    due_at = fields.AwareDateTime(
        required=True, allow_none=True, metadata=_about("When an active event next needs attention.")
    )
    dedupe_key = fields.String(required=True)
    repeats = fields.Integer(required=True, metadata=_about("How often it was sent again."))
    sender = fields.Nested(SenderView, required=True)
    subject = fields.String(required=True)
    draft = fields.Nested(
        DraftView, required=True, allow_none=True, metadata=_about("Null before the first attempt.")
    )
    ticket = fields.Nested(TicketView, required=True, allow_none=True)
    extra_tickets = fields.List(
        fields.Nested(ExtraTicketView), required=True, metadata=_about("Empty but for a rare accident.")
    )
    attempts = fields.List(fields.Nested(AttemptView), required=True)
    code = fields.String(required=True, allow_none=True, metadata=_about("A short word for the reason."))
    reason = fields.String(required=True, allow_none=True)


class EventList(Schema):
    """A page of events, newest first."""

    events = fields.List(fields.Nested(EventView), required=True)
    cursor = fields.String(required=True, allow_none=True, metadata=_about("Asks for the next page."))


class OldestView(Schema):
    """The unfinished event that has waited for longest."""

    at = fields.AwareDateTime(required=True)
    seconds = fields.Float(required=True)


class DeliveryView(Schema):
    """Whether tickets are being filed."""

    healthy = fields.Boolean(required=True)
    why = fields.String(required=True, allow_none=True)


class TurnedAwayView(Schema):
    """A channel that turns away what comes in."""

    channel = fields.String(required=True)
    reason = fields.String(required=True)
    count = fields.Integer(required=True, metadata=_about("For this reason, ever."))
    last = fields.AwareDateTime(required=True)
    why = fields.String(required=True)


class StatsView(Schema):
    """The bridge in figures."""

    at = fields.AwareDateTime(required=True)
    states = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    queues = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    due = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    oldest_waiting = fields.Nested(OldestView, required=True, allow_none=True)
    workers = fields.Integer(required=True, metadata=_about("Workers alive."))
    uncertain = fields.Integer(
        required=True, metadata=_about("Events that may have made a ticket and are being looked for.")
    )
    alarms = fields.Integer(required=True, metadata=_about("Events that made a second ticket."))
    delivery = fields.Nested(DeliveryView, required=True)
    turned_away = fields.List(
        fields.Nested(TurnedAwayView),
        required=True,
        metadata=_about("Channels that turned a request away within a day and have taken none since."),
    )


class Document(Schema):
    """An OpenAPI document."""

    openapi = fields.String(required=True)
    info = fields.Dict(required=True)
    paths = fields.Dict(required=True)
    components = fields.Dict()


class ErrorView(Schema):
    """Why a call was refused."""

    code = fields.Integer(required=True, metadata=_about("The HTTP status."))
    status = fields.String(required=True, metadata=_about("Its name."))
    message = fields.String(required=True)
    errors = fields.Dict(metadata=_about("With 422: what is wrong, by place and field."))


def stats_data(view: Overview) -> dict[str, Any]:
    """Give an overview as `StatsView` has it."""
    oldest = view.stats.oldest_waiting
    return {
        "at": view.at,
        "states": view.stats.states,
        "queues": view.queues,
        "due": view.stats.due,
        "oldest_waiting": None if oldest is None else {"at": oldest, "seconds": view.waited},
        "workers": view.workers,
        "uncertain": view.stats.uncertain,
        "alarms": view.stats.alarms,
        "delivery": {"healthy": view.delivery.healthy, "why": view.delivery.why or None},
        "turned_away": view.turned_away,
    }
