"""What vendors' JSON says of a mail, and their ways of saying it: headers, mailboxes, files, the raw mail."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from service.core.errors import SeveralEventsError, UnreadableError
from service.core.json_body import load, scalar_text
from service.core.mail import Mail
from service.core.mime import read_mail
from service.core.text import line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from marshmallow import Schema

    from service.core.source import Part

MAX_HEADER_LINES = 2000
MAX_BATCH = 1000


def header_pairs(value: object) -> list[tuple[str, str]]:
    """Give the headers of an object with texts or lists of texts, or of a list of such objects."""
    pairs = list(_pairs(value))
    if len(pairs) > MAX_HEADER_LINES:
        raise UnreadableError(f"more than {MAX_HEADER_LINES} headers")
    return pairs


def _pairs(value: object) -> Iterator[tuple[str, str]]:
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, dict):
            for name, told in each.items():
                for text in told if isinstance(told, list) else [told]:
                    yield name, scalar_text(text)


def mailbox(name: str, address: str) -> str:
    """Write a mailbox as a header has it; whatever the name holds."""
    plain = line(name).replace("\\", "").replace('"', "'")
    return f'"{plain}" <{address}>' if address else plain


def base64_bytes(text: str) -> bytes:
    """Give what the text holds, or nothing where it is not base64."""
    try:
        return base64.b64decode(text)
    except (binascii.Error, ValueError):
        return b""


def told_pairs(**values: str) -> list[tuple[str, str]]:
    """Give the headers that a vendor tells beside its list, those without a value left out."""
    return [(name.replace("_", "-"), value) for name, value in values.items() if value]


def best_mail(raw: str, parsed: Mail, *, told: bool) -> Mail:
    """Give the mail of its raw text where that is whole, else what the vendor made of it.

    In a JSON string what was not ASCII has lost its bytes: then only the headers are taken of it, and
    the vendor's texts and files, if it `told` any.
    """
    if not raw.strip():
        return parsed
    mail = read_mail(raw.encode(), recipient=parsed.recipient, envelope_from=parsed.envelope_from)
    if raw.isascii() or not told:
        return mail
    return Mail(
        headers=mail.headers,
        text=parsed.text,
        html=parsed.html,
        attachments=parsed.attachments or mail.attachments,
        recipient=parsed.recipient,
        envelope_from=parsed.envelope_from,
        automatic=mail.automatic,
    )


def batch(value: object, what: str) -> list[Any]:
    """Give the items of a list, or the one thing that is none; raises UnreadableError over the limit."""
    items = value if isinstance(value, list) else [value]
    if len(items) > MAX_BATCH:
        raise UnreadableError(f"more than {MAX_BATCH} {what}")
    return items


def load_item(schema: Schema, items: list[Any], part: Part, what: str) -> dict[str, Any]:
    """Give what the schema makes of the item that a part names; raises UnreadableError, naming the item."""
    place = f"{what} {int(part.slice or 0) + 1} of {len(items)}" if len(items) > 1 else f"the {what}"
    return load(schema, item_of(items, part), place)


def item_of(items: list[Any], part: Part) -> Any:  # noqa: ANN401 - JSON is any
    """Give the item that a part names; one that names none stands for the whole.

    Raises SeveralEventsError where that has more than one.
    """
    if not part.slice and len(items) > 1:
        raise SeveralEventsError(f"{len(items)} events in one request")
    place = int(part.slice or 0)
    if place >= len(items):
        raise UnreadableError("the batch is empty")
    return items[place]
