"""The parts of Spacebring's answers that we use; fields we do not know are ignored, they are added often.

https://www.spacebring.com/docs/assets/openapi.json
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from marshmallow import EXCLUDE, Schema, fields, post_load
from marshmallow.validate import Length

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class CreatedTicket:
    """A ticket that was filed; the number counts within its location."""

    id: str
    number: int


@dataclass(frozen=True)
class Ticket:
    """A ticket as it is listed; `status` is `new`, `inProgress`, `solved`, `closed` or what comes next."""

    id: str
    number: int
    description: str
    create_date: datetime
    status: str


@dataclass(frozen=True)
class TicketPage:
    """One page of tickets; `next_page` is the token of the next, None on the last."""

    tickets: Sequence[Ticket]
    next_page: str | None


@dataclass(frozen=True)
class Member:
    """A person known at a location; `user_ref` is what a ticket's `userRefRequester` takes."""

    user_ref: str
    email: str
    name: str


@dataclass(frozen=True)
class MemberPage:
    """One page of members."""

    members: Sequence[Member]
    next_page: str | None


@dataclass(frozen=True)
class Location:
    """A place of the network."""

    id: str
    title: str


def _id() -> fields.String:
    return fields.String(required=True, validate=Length(min=1, max=200))


class _Tolerant(Schema):
    class Meta:
        """Answers get new fields several times a week."""

        unknown = EXCLUDE


class _TicketId(_Tolerant):
    id = _id()
    number = fields.Integer(required=True)


class CreatedSchema(_Tolerant):
    """`{"ticket": {...}}` to CreatedTicket."""

    ticket = fields.Nested(_TicketId, required=True)

    @post_load
    def build(self, data: dict[str, Any], **_: object) -> CreatedTicket:
        """Return the ticket."""
        return CreatedTicket(**data["ticket"])


class _TicketSchema(_TicketId):
    description = fields.String(load_default="", allow_none=True)
    create_date = fields.AwareDateTime(
        required=True, data_key="createDate", format="iso", default_timezone=UTC
    )
    status = fields.String(load_default="", allow_none=True)

    @post_load
    def build(self, data: dict[str, Any], **_: object) -> Ticket:
        """Return the ticket; null text is empty text."""
        return Ticket(
            id=data["id"],
            number=data["number"],
            description=data["description"] or "",
            create_date=data["create_date"],
            status=data["status"] or "",
        )


class _PageSchema(_Tolerant):
    next_page = fields.String(data_key="nextPageToken", load_default=None, allow_none=True)


class TicketPageSchema(_PageSchema):
    """`{"tickets": [...], "nextPageToken"?}` to TicketPage.

    One unreadable ticket makes the page unreadable: a list with a hole must not prove a ticket missing.
    """

    tickets = fields.List(fields.Nested(_TicketSchema), required=True)

    @post_load
    def build(self, data: dict[str, Any], **_: object) -> TicketPage:
        """Return the page; an empty token is none."""
        return TicketPage(data["tickets"], data["next_page"] or None)


class _UserSchema(_Tolerant):
    id = fields.String(load_default="", allow_none=True)
    email = fields.String(load_default="", allow_none=True)
    name = fields.String(load_default="", allow_none=True)
    surname = fields.String(load_default="", allow_none=True)


class _MembershipSchema(_Tolerant):
    user_ref = fields.String(data_key="userRef", load_default="", allow_none=True)
    user = fields.Nested(_UserSchema, load_default=dict, allow_none=True)

    @post_load
    def build(self, data: dict[str, Any], **_: object) -> Member:
        """Return the member; what is hidden from us or missing is empty."""
        user: dict[str, str | None] = data["user"] or {}
        return Member(
            user_ref=data["user_ref"] or user.get("id") or "",
            email=user.get("email") or "",
            name=" ".join(part for part in (user.get("name"), user.get("surname")) if part),
        )


class MemberPageSchema(_PageSchema):
    """`{"memberships": [...], "nextPageToken"?}` to MemberPage."""

    memberships = fields.List(fields.Nested(_MembershipSchema), required=True)

    @post_load
    def build(self, data: dict[str, Any], **_: object) -> MemberPage:
        """Return the page; an empty token is none."""
        return MemberPage(data["memberships"], data["next_page"] or None)


class _LocationSchema(_Tolerant):
    id = _id()
    title = fields.String(load_default="", allow_none=True)

    @post_load
    def build(self, data: dict[str, Any], **_: object) -> Location:
        """Return the location."""
        return Location(data["id"], data["title"] or "")


class LocationsSchema(_Tolerant):
    """`{"locations": [...]}` to a list of Location."""

    locations = fields.List(fields.Nested(_LocationSchema), required=True)

    @post_load
    def build(self, data: dict[str, Any], **_: object) -> list[Location]:
        """Return the locations."""
        found: list[Location] = data["locations"]
        return found
