"""The canonical form of what came in: `InboundEvent`, whoever sent it.

Whatever a source hands over, the texts of an event are clean: no control characters, no lone
surrogates, plain line feeds, and on one line where more would be an injection.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from marshmallow import EXCLUDE, Schema, fields, post_dump, post_load

from service.core.text import clean, line

Kind = Literal["email", "form", "message"]


class _Clean:
    """Cleans the texts of a frozen record when it is made; `_lines` are those of one line."""

    _texts: ClassVar[tuple[str, ...]] = ()
    _lines: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for names, make in ((self._texts, clean), (self._lines, line)):
            for name in names:
                object.__setattr__(self, name, make(getattr(self, name)))


@dataclass(frozen=True)
class Sender(_Clean):
    """Who wrote: either part may be empty."""

    _lines = ("name", "email")

    name: str = ""
    email: str = ""


@dataclass(frozen=True)
class Answer(_Clean):
    """One question of a form with its answer as text.

    `key` is the vendor's own name of the field, `label` what the person saw.
    """

    _texts = ("value",)
    _lines = ("label", "key", "kind")

    label: str
    value: str
    key: str = ""
    kind: str = ""


@dataclass(frozen=True)
class File(_Clean):
    """A file that came along: its name, and where it can be fetched if the vendor says so."""

    _lines = ("name", "content_type", "url")

    name: str
    content_type: str = ""
    size: int | None = None
    url: str = ""


@dataclass(frozen=True)
class InboundEvent(_Clean):
    """One verified inbound delivery.

    `reply_to` is where answers are wanted, if not at the sender's. `notes` are what whoever handles the
    ticket should know of how it came: our words, never the sender's. `late_keys` are dedupe keys known
    only after parsing (an RFC 5322 Message-ID). `ignore` says why this makes no ticket (an auto-reply,
    a bot) and is empty where it makes one. `placed` are the answers that stand elsewhere, as sender,
    subject or body: rules may ask for them, nothing tells them again. `type` and `location` (a name in
    [locations]) are what the sender chose where it was asked: they go before the channel's rules.
    `asked` is the question that `body` answers, where it says more than that it asks for a message:
    whoever reads the ticket sees it, rules do not.
    """

    _texts = ("body",)
    _lines = ("subject", "recipient", "origin", "ignore", "type", "location", "asked")

    kind: Kind
    sender: Sender = field(default_factory=Sender)
    reply_to: Sender = field(default_factory=Sender)
    notes: tuple[str, ...] = ()
    subject: str = ""
    body: str = ""
    answers: tuple[Answer, ...] = ()
    hidden: tuple[Answer, ...] = ()
    files: tuple[File, ...] = ()
    recipient: str = ""
    origin: str = ""
    late_keys: tuple[str, ...] = ()
    ignore: str = ""
    placed: tuple[Answer, ...] = ()
    type: str = ""
    location: str = ""
    asked: str = ""


class _Record(Schema):
    class Meta:
        unknown = EXCLUDE


class SenderSchema(_Record):
    """`Sender` as plain data."""

    name = fields.String(load_default="")
    email = fields.String(load_default="")

    @post_load
    def _make(self, data: dict[str, Any], **_: object) -> Sender:
        return Sender(**data)


class AnswerSchema(_Record):
    """`Answer` as plain data."""

    label = fields.String(required=True)
    value = fields.String(required=True)
    key = fields.String(load_default="")
    kind = fields.String(load_default="")

    @post_load
    def _make(self, data: dict[str, Any], **_: object) -> Answer:
        return Answer(**data)


class FileSchema(_Record):
    """`File` as plain data."""

    name = fields.String(required=True)
    content_type = fields.String(load_default="")
    size = fields.Integer(load_default=None, allow_none=True)
    url = fields.String(load_default="")

    @post_load
    def _make(self, data: dict[str, Any], **_: object) -> File:
        return File(**data)


class InboundEventSchema(_Record):
    """`InboundEvent` as plain data: what the golden files of the contract test hold.

    What hardly any event has, `reply_to` and `notes`, is there only where it says something.
    """

    kind = fields.String(required=True)
    sender = fields.Nested(SenderSchema, load_default=Sender)
    reply_to = fields.Nested(SenderSchema, load_default=Sender)
    notes = fields.List(fields.String(), load_default=[])
    subject = fields.String(load_default="")
    body = fields.String(load_default="")
    answers = fields.List(fields.Nested(AnswerSchema), load_default=[])
    hidden = fields.List(fields.Nested(AnswerSchema), load_default=[])
    files = fields.List(fields.Nested(FileSchema), load_default=[])
    recipient = fields.String(load_default="")
    origin = fields.String(load_default="")
    late_keys = fields.List(fields.String(), load_default=[])
    ignore = fields.String(load_default="")
    type = fields.String(load_default="")
    location = fields.String(load_default="")
    asked = fields.String(load_default="")

    @post_dump
    def _without_blank_choices(self, data: dict[str, Any], **_: object) -> dict[str, Any]:
        # Hardly any source lets its senders choose, and most questions for a message say no more.
        rare = {"type", "location", "asked"}
        return {name: value for name, value in data.items() if value or name not in rare}

    @post_load
    def _make(self, data: dict[str, Any], **_: object) -> InboundEvent:
        for name in ("notes", "answers", "hidden", "files", "late_keys"):
            data[name] = tuple(data[name])
        return InboundEvent(**data)

    @post_dump
    def _without_blanks(self, data: dict[str, Any], **_: object) -> dict[str, Any]:
        blank = {"reply_to": SenderSchema().dump(Sender()), "notes": []}
        return {name: value for name, value in data.items() if name not in blank or value != blank[name]}
