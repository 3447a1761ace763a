"""Reads a raw mail (RFC 5322, MIME) with the standard library, guarded against what it chokes on.

Measured: `policy.default` takes 9 s for a header of 20,000 recipients, `get_content()` and
`as_string()` raise on unknown charsets, 1,000 nested multiparts overflow the stack. So `compat32`,
capped headers, payloads decoded here, and limits on nesting and parts.
"""

from __future__ import annotations

import re
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32
from typing import TYPE_CHECKING

from service.core.errors import UnreadableError
from service.core.html_text import html_to_text
from service.core.mail import Attachment, Mail
from service.core.mail_headers import MAX_HEADER, header_text
from service.core.request import Headers
from service.core.text import decode

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_HEADERS = 65_536
MAX_DEPTH = 50
MAX_PARTS = 500

_NESTING = re.compile(rb"^content-type:\s*(?:multipart|message)/", re.IGNORECASE | re.MULTILINE)


def read_mail(raw: bytes, *, recipient: str = "", envelope_from: str | None = None) -> Mail:
    """Take a raw mail apart; raises UnreadableError where its structure is beyond the limits."""
    if sum(1 for _ in _NESTING.finditer(raw)) > MAX_PARTS:
        raise UnreadableError(f"more than {MAX_PARTS} parts in the mail")
    walk = _Walk()
    message = BytesParser(policy=compat32).parsebytes(raw)
    text = walk.text(message, 0)
    return Mail(
        headers=Headers.of(_headers(message)),
        text=text,
        attachments=tuple(walk.attachments),
        recipient=recipient,
        envelope_from=envelope_from,
    )


def _headers(part: Message) -> Iterator[tuple[str, str]]:
    """Give the headers as text, each and all together cut to their limits."""
    room = MAX_HEADERS
    for name, value in part.raw_items():
        text = decode(str(value)[:MAX_HEADER].encode("ascii", "surrogateescape"))
        room -= len(name) + len(text)
        if room < 0:
            return
        yield name, text


class _Walk:
    def __init__(self) -> None:
        self.attachments: list[Attachment] = []
        self.parts = 0

    def text(self, part: Message, depth: int) -> str:
        """Give the readable text of a part and all within it; files are gathered on the way."""
        self.parts += 1
        if depth > MAX_DEPTH or self.parts > MAX_PARTS:
            raise UnreadableError(f"the mail has over {MAX_PARTS} parts or is nested over {MAX_DEPTH} deep")
        # A copy with capped headers: the library reads parameters in quadratic time.
        head = Message()
        for name, value in _headers(part):
            head.set_raw(name, value)
        kind = head.get_content_type()
        inner = part.get_payload() if part.is_multipart() else []
        if kind.startswith("message/"):
            self._attach(head, b"", "message.eml")
        elif inner:
            texts = [(child, self.text(child, depth + 1)) for child in inner if isinstance(child, Message)]
            return _best(texts) if kind == "multipart/alternative" else _joined(texts)
        else:
            content = part.get_payload(decode=True)
            return self._leaf(head, kind, content if isinstance(content, bytes) else b"")
        return ""

    def _leaf(self, head: Message, kind: str, content: bytes) -> str:
        # A multipart without its boundary has its whole text as payload: shown rather than lost.
        readable = kind in {"text/plain", "text/html"} or kind.startswith("multipart/")
        if not readable or head.get_content_disposition() == "attachment" or _parameter(head, "filename"):
            self._attach(head, content, "unnamed")
            return ""
        text = decode(content, _parameter(head, "charset"))
        return html_to_text(text) if kind == "text/html" else text

    def _attach(self, head: Message, content: bytes, default: str) -> None:
        name = header_text(_parameter(head, "filename") or default)
        self.attachments.append(Attachment(name, head.get_content_type(), content))


def _parameter(head: Message, name: str) -> str:
    """Give a parameter of Content-Disposition or Content-Type; RFC 2231 forms decoded."""
    places = (("filename", "content-disposition"), ("name", "content-type"))
    for alias, header in places if name == "filename" else (((name, "content-type"),)):
        try:
            value = head.get_param(alias, header=header)
        except (ValueError, LookupError, TypeError):
            continue
        if isinstance(value, tuple):
            charset, _, text = value
            # The library hands over the percent-decoded bytes as Latin-1.
            value = decode(text.encode("latin-1", "replace"), charset or "")
        if value:
            return value
    return ""


def _best(texts: list[tuple[Message, str]]) -> str:
    """Give of alternatives the plain one, wherever it stands, or else the first that says something."""
    said = [(part, text) for part, text in texts if text.strip()]
    plain = [text for part, text in said if part.get_content_type() == "text/plain"]
    return next(iter(plain or [text for _, text in said]), "")


def _joined(texts: list[tuple[Message, str]]) -> str:
    return "\n\n".join(text.strip("\r\n") for _, text in texts if text.strip())
