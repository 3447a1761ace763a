"""Reads a raw mail (RFC 5322, MIME) with the standard library, guarded against what it chokes on.

Measured: `policy.default` takes 9 s for a header of 20,000 recipients, `get_content()` and
`as_string()` raise on unknown charsets, 1,000 nested multiparts overflow the stack. So `compat32`,
capped headers, payloads decoded here, and limits on nesting, parts and lines. It also reads line by line,
0.4 µs each, of which a file of 40 MB has half a million: so it does not see the bulk of a part.
"""

from __future__ import annotations

import re
import secrets
from email.message import Message
from email.parser import BytesParser
from typing import TYPE_CHECKING, Any

from service.core.errors import UnreadableError
from service.core.html_text import html_to_text
from service.core.mail_headers import MAX_HEADER, header_text, told_by
from service.core.mail_parts import Attachment, Mail
from service.core.request import Headers
from service.core.text import decode

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_HEADERS = 65_536
MAX_DEPTH = 50
MAX_PARTS = 500
MAX_LINES = 2_000_000
# So much of a part the library reads itself.
_SHOWN = 65_536

# The library ends a line at a bare carriage return, too.
_NESTING = re.compile(rb"(?:^|[\r\n])content-type:\s*(?:multipart|message)/", re.IGNORECASE)
# What holds a mail has another header below its own; in a digest no part says that it does.
_MESSAGE = re.compile(rb"(?:^|[\r\n])content-type:\s*message/", re.IGNORECASE)
_DIGEST = re.compile(rb"multipart/digest", re.IGNORECASE)
_BLANK = re.compile(rb"\n\r?\n")


def read_mail(raw: bytes, *, recipient: str = "", envelope_from: str | None = None) -> Mail:
    """Take a raw mail apart; raises UnreadableError, with what its header says, beyond the limits."""
    try:
        return _read(raw, recipient, envelope_from)
    except UnreadableError as error:
        head = BytesParser(_Part).parsebytes(raw[:MAX_HEADERS], headersonly=True)
        raise UnreadableError(str(error), told_by(Headers.of(_headers(head)), recipient)) from error


def _read(raw: bytes, recipient: str, envelope_from: str | None) -> Mail:
    bulk = _Bulk()
    outline = bulk.taken_from(raw)
    if sum(1 for _ in _NESTING.finditer(outline)) > MAX_PARTS:
        raise UnreadableError(f"more than {MAX_PARTS} parts in the mail")
    if outline.count(b"\n") + outline.count(b"\r") > 2 * MAX_LINES:
        raise UnreadableError(f"more than {MAX_LINES} lines in the mail")
    walk = _Walk(bulk)
    # By default `compat32`, which the types know only so.
    message = BytesParser(_Part).parsebytes(outline)
    text = walk.text(message, 0)
    return Mail(
        headers=Headers.of(_headers(message)),
        text=text if text.strip() else walk.spare,
        attachments=tuple(walk.attachments),
        recipient=recipient,
        envelope_from=envelope_from,
        automatic=walk.automatic,
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


class _Bulk:
    """Lines in which no part begins or ends, taken out of a mail while its structure is read.

    Only a line that begins with `--` can bound a part, and only what stands above a blank line can be a
    header: where none of both is, the library has nothing to find.
    """

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        # Nobody who writes a mail can know it.
        self._mark = secrets.token_hex(16)
        self._marks = re.compile(self._mark + r"([0-9]+)(\n|\Z)")

    def taken_from(self, raw: bytes) -> bytes:
        """Give the mail with a mark in the place of each bulk."""
        if len(raw) <= _SHOWN or _DIGEST.search(raw):
            return raw
        return b"\n--".join(map(self._shortened, raw.split(b"\n--")))

    def _shortened(self, between: bytes) -> bytes:
        header = _BLANK.search(between)
        # The library also takes a carriage return alone for the end of a line.
        if len(between) <= _SHOWN or header is None or b"\r--" in between:
            return between
        if _MESSAGE.search(between, 0, header.end()):
            return between
        start = between.find(b"\n", max(header.end(), _SHOWN) - 1) + 1
        end = between.rfind(b"\n") + 1
        if not 0 < start < end:
            return between
        self._lines.append(between[start:end])
        return b"%b%b%d\n%b" % (between[:start], self._mark.encode(), len(self._lines) - 1, between[end:])

    def put_back(self, text: str) -> str:
        """Give the text with each mark replaced by its bulk, as the library itself holds bytes in texts."""
        return self._marks.sub(self._behind, text) if self._lines else text

    def _behind(self, mark: re.Match[str]) -> str:
        lines = self._lines[int(mark[1])].decode("ascii", "surrogateescape")
        # Of a part's last line the library takes the end away.
        return lines if mark[2] else lines.removesuffix("\n").removesuffix("\r")


class _Part(Message):
    _payload: object

    def content(self, bulk: _Bulk) -> bytes:
        """Give the decoded content of a part that has no others within."""
        # What `get_payload()` gives has lost its bytes where they are not ASCII.
        payload = self._payload
        self._payload = bulk.put_back(payload) if isinstance(payload, str) else payload
        content = self.get_payload(decode=True)
        return content if isinstance(content, bytes) else b""


def forwarded(headers: Headers, text: str) -> str:
    """Give a mail within a mail as a person reads it: who wrote when about what, and the text."""
    names = ("From", "Date", "Subject")
    told = [f"{name}: {header_text(headers.get(name))}" for name in names if headers.get(name)]
    return "\n".join(["Forwarded message", *told, "", text.strip("\r\n")]).strip("\n")


class _Walk:
    def __init__(self, bulk: _Bulk) -> None:
        self.bulk = bulk
        self.attachments: list[Attachment] = []
        self.parts = 0
        # The first text that came as a file: all there is to read, where nothing else is.
        self.spare = ""
        self.automatic = ""

    def text(self, part: _Part, depth: int) -> str:
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
        if kind == "message/delivery-status":
            self.automatic = "bounce: a delivery report"
        if kind.startswith("message/"):
            self._attach(head, b"", "message.eml")
            # Of what a server reports only the name is told.
            return self._forwarded(inner, depth) if kind == "message/rfc822" else ""
        if inner:
            texts = [(child, self.text(child, depth + 1)) for child in inner if isinstance(child, _Part)]
            return _best(texts) if kind == "multipart/alternative" else _joined(texts)
        return self._leaf(head, kind, part.content(self.bulk))

    def _forwarded(self, inner: Any, depth: int) -> str:  # noqa: ANN401 - the library's payload
        # Somebody sent it on: that no person wrote what is in it says nothing of who did.
        automatic = self.automatic
        mails = [each for each in inner if isinstance(each, _Part)]
        said = [forwarded(Headers.of(_headers(each)), self.text(each, depth + 1)) for each in mails]
        self.automatic = automatic
        return "\n\n".join(said)

    def _leaf(self, head: Message, kind: str, content: bytes) -> str:
        # A multipart without its boundary has its whole text as payload: shown rather than lost.
        readable = kind in {"text/plain", "text/html"} or kind.startswith("multipart/")
        if kind == "text/calendar" and _parameter(head, "method").upper() == "REPLY":
            self.automatic = "auto-reply: an answer to an invitation"
        file = head.get_content_disposition() == "attachment" or bool(_parameter(head, "filename"))
        if readable:
            text = decode(content, _parameter(head, "charset"))
            text = html_to_text(text) if kind == "text/html" else text
            if not file:
                return text
            self.spare = self.spare or text
        self._attach(head, content, "invitation.ics" if kind == "text/calendar" else "unnamed")
        return ""

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


def _best(texts: list[tuple[_Part, str]]) -> str:
    """Give of alternatives the plain one, wherever it stands, or else the first that says something."""
    said = [(part, text) for part, text in texts if text.strip()]
    plain = [text for part, text in said if part.get_content_type() == "text/plain"]
    return next(iter(plain or [text for _, text in said]), "")


def _joined(texts: list[tuple[_Part, str]]) -> str:
    return "\n\n".join(text.strip("\r\n") for _, text in texts if text.strip())
