"""The ticket that is to be filed, as Spacebring's API wants it.

https://www.spacebring.com/docs/assets/openapi.json (`createSupportTicket`): a location, a text, one
of 14 types, and the user who asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_dump, post_load, validate

from config.channels import TICKET_TYPES
from service.core.errors import UnmappableError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class TicketDraft:
    """One ticket before it is filed. Without a requester Spacebring takes the user of the token."""

    location_ref: str
    text: str
    type: str
    user_ref_requester: str | None = None


class TicketDraftSchema(Schema):
    """`TicketDraft` under the API's own names; `dump` leaves out what is not set."""

    class Meta:
        """What a later version may have frozen as well is left alone."""

        unknown = EXCLUDE

    location_ref = fields.UUID(required=True, data_key="locationRef")
    text = fields.String(required=True, validate=validate.Length(min=1))
    type = fields.String(required=True, validate=validate.OneOf(TICKET_TYPES))
    user_ref_requester = fields.UUID(load_default=None, allow_none=True, data_key="userRefRequester")

    @post_load
    def _make(self, data: dict[str, Any], **_: object) -> TicketDraft:
        requester = data["user_ref_requester"]
        return TicketDraft(
            location_ref=str(data["location_ref"]),
            text=data["text"],
            type=data["type"],
            user_ref_requester=None if requester is None else str(requester),
        )

    @post_dump
    def _without_blanks(self, data: dict[str, Any], **_: object) -> dict[str, Any]:
        return {key: value for key, value in data.items() if value is not None}


def as_payload(draft: TicketDraft) -> dict[str, str]:
    """Give what goes to the API under `ticket`, and what the ledger freezes before an attempt."""
    payload: dict[str, str] = TicketDraftSchema().dump(draft)
    return payload


def load_draft(payload: Mapping[str, object]) -> TicketDraft:
    """Read a payload back, frozen or new; raises UnmappableError naming what the API would refuse."""
    try:
        draft: TicketDraft = TicketDraftSchema().load(payload)
    except ValidationError as error:
        wrong = "; ".join(f"{key}: {' '.join(said)}" for key, said in error.messages_dict.items())
        raise UnmappableError(f"Spacebring would refuse this ticket: {wrong}") from error
    return draft
