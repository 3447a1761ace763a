"""What the API takes: bodies and queries as marshmallow schemas, answering in the words of zod.

Messages are written `code|message`; `sandbox.problems.issues` takes them apart. Keys that are not
known are left out: the specification does not forbid them.
"""

import base64
import json
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

from sandbox.problems import invalid, issues
from sandbox.store import ORDERS, Position

# https://www.spacebring.com/docs/assets/openapi.json, requestBodies.createSupportTicket
TICKET_TYPES = (
    "access",
    "accountAndBilling",
    "bookings",
    "cleaning",
    "discriminationAndHarassment",
    "internet",
    "mailAndPackages",
    "noiseAndAcoustics",
    "offensiveOrObjectionableContent",
    "other",
    "printing",
    "repairAndMaintenance",
    "temperatureAndVentilation",
    "websiteAndApp",
)
TICKET_STATUSES = ("new", "inProgress", "solved", "closed")

_Messages = dict[str, str | list[Any] | dict[Any, Any]]

_NO_SUCH_PAGE = "custom|Invalid page token"
_SQLITE_MAXIMUM = 2**63
_UUID = r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\Z"
_STRING: _Messages = {
    "required": "invalid_type|Required",
    "null": "invalid_type|Expected string, received null",
    "invalid": "invalid_type|Expected string",
}
_OBJECT: _Messages = {
    "required": "invalid_type|Required",
    "null": "invalid_type|Expected object, received null",
}


def _enum(values: tuple[str, ...]) -> validate.OneOf:
    expected = " | ".join(f"'{value}'" for value in values)
    return validate.OneOf(values, error=f"invalid_enum_value|Invalid enum value. Expected {expected}")


def _well_formed(text: str) -> None:
    # JSON can spell half of a surrogate pair, which no store and no wire can hold.
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValidationError("invalid_string|Invalid unicode") from error


class _Base(Schema):
    class Meta:
        unknown = EXCLUDE

    error_messages: dict[str, str] = {  # noqa: RUF012 - marshmallow declares it for instances
        "type": "invalid_type|Expected object"
    }


def _uuid(data_key: str, *, required: bool = False) -> fields.String:
    """Make the field for a uuid in the usual spelling; in lower case once loaded."""
    return fields.String(
        data_key=data_key,
        required=required,
        error_messages=_STRING,
        validate=validate.Regexp(_UUID, error="invalid_string|Invalid uuid"),
        post_load=str.lower,
    )


class _NewTicket(_Base):
    location = _uuid("locationRef", required=True)
    kind = fields.String(data_key="type", required=True, error_messages=_STRING, validate=_enum(TICKET_TYPES))
    text = fields.String(
        required=True,
        error_messages=_STRING,
        validate=[
            validate.Length(min=1, error="too_small|String must contain at least 1 character(s)"),
            _well_formed,
        ],
    )
    requester = _uuid("userRefRequester")


class NewTicket(_Base):
    """The body that files a ticket; `ticket` loads to `location`, `kind`, `text` and perhaps `requester`."""

    ticket = fields.Nested(_NewTicket, required=True, error_messages=_OBJECT)


class _NewStatus(_Base):
    status = fields.String(required=True, error_messages=_STRING, validate=_enum(TICKET_STATUSES))


class NewStatus(_Base):
    """The body that sets a ticket's status; `ticket` loads to `status`."""

    ticket = fields.Nested(_NewStatus, required=True, error_messages=_OBJECT)


def _position(token: str) -> Position:
    try:
        sort_value, seq = json.loads(base64.b64decode(token, altchars=b"-_", validate=True))
    except (ValueError, TypeError, RecursionError) as error:
        raise ValidationError(_NO_SUCH_PAGE) from error
    if not (isinstance(sort_value, str) and isinstance(seq, int) and abs(seq) < _SQLITE_MAXIMUM):
        raise ValidationError(_NO_SUCH_PAGE)
    _well_formed(sort_value)
    return Position(sort_value, seq)


def page_token(position: Position) -> str:
    """Write where a page ended as the opaque token of the next one."""
    return base64.urlsafe_b64encode(json.dumps([position.value, position.seq]).encode()).decode()


class TicketQuery(_Base):
    """The query of the list of tickets."""

    location = _uuid("locationRef", required=True)
    limit = fields.Integer(
        load_default=25,
        error_messages={"invalid": "invalid_type|Expected number"},
        validate=validate.Range(1, 100, error="out_of_range|Number must be from 1 to 100"),
    )
    order = fields.String(load_default="createDate:desc", validate=_enum(ORDERS))
    after = fields.String(data_key="nextPageToken", load_default=None, post_load=_position)
    memberships = fields.String(data_key="membershipRefRequester", load_default=None)


class MembershipQuery(_Base):
    """The query of the list of memberships."""

    location = _uuid("locationRef", required=True)
    email = fields.String(data_key="userEmail", load_default=None)


class TicketId(_Base):
    """The id of a ticket in a path."""

    id = _uuid("id", required=True)


def load(schema: type[Schema], document: object) -> dict[str, Any]:
    """Load a body or query; raise the ApiError for a 400 that lists every problem."""
    try:
        loaded: dict[str, Any] = schema().load(document)  # type: ignore[arg-type]
    except ValidationError as error:
        raise invalid(*issues(error.messages)) from error
    return loaded
