"""Reads `application/x-www-form-urlencoded` and `multipart/form-data` bodies, as bytes.

Werkzeug's parser answers an empty form, without an error, where one part header holds a non-UTF-8
byte, and refuses long text parts; a mail must not be lost for either. So: bytes in, bytes out, and
a body that cannot be read raises.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from service.core.errors import UnreadableError
from service.core.text import decode

if TYPE_CHECKING:
    from collections.abc import Collection

    from service.core.request import InboundRequest

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
MAX_FIELDS = 5000
MAX_NAME = 1000
# The parser's own limits are 8 header lines a part of 4 KB: a forwarded mail can have more.
MAX_PART_HEADERS = 100
MAX_PART_HEADER = 65_536
# A file's name in pieces (RFC 2231) has some tens; each takes longer than the one before.
MAX_PARAMETERS = 200
# A `%` that encodes nothing: a few are somebody's oversight, and stay as they are.
MAX_LONE = 10_000
_LONE = re.compile(rb"%(?![0-9a-fA-F]{2})")

__all__ = ["MULTIPART", "URLENCODED", "Form", "FormFile", "decode", "read_form"]


@dataclass(frozen=True)
class FormFile:
    """A file part of a multipart body."""

    name: str
    filename: str
    content_type: str
    content: bytes


@dataclass(frozen=True)
class Form:
    """The fields of a form in order, their values as bytes; and its files."""

    fields: tuple[tuple[str, bytes], ...] = ()
    files: tuple[FormFile, ...] = ()

    def all(self, name: str) -> list[bytes]:
        """Give every value of a field."""
        return self._values.get(name, [])

    def raw(self, name: str) -> bytes:
        """Give the last value of a field, or nothing: some vendors repeat a field, and mean the last."""
        values = self.all(name)
        return values[-1] if values else b""

    def text(self, name: str) -> str:
        """Give the last value of a field as text, or nothing."""
        return decode(self.raw(name))

    def __contains__(self, name: object) -> bool:
        return name in self._values

    @cached_property
    def _values(self) -> dict[str, list[bytes]]:
        # A form may have thousands of fields, and is asked for each of them.
        values: dict[str, list[bytes]] = {}
        for name, value in self.fields:
            values.setdefault(name, []).append(value)
        return values


def read_form(request: InboundRequest) -> Form:
    """Parse the body by its content type; raises UnreadableError where it is not a form."""
    if request.content_type == URLENCODED:
        form = _urlencoded(request.body)
    elif request.content_type == MULTIPART:
        form = _multipart(_boundary(request), request.body)
    else:
        raise UnreadableError(f"not a form: {request.content_type or 'no content type'}")
    if any(len(name) > MAX_NAME for name, _ in form.fields):
        raise UnreadableError(f"a field's name is longer than {MAX_NAME} characters")
    return form


def without_fields(request: InboundRequest, names: Collection[str]) -> InboundRequest:
    """Give the request without these fields of its form, every other byte as it came."""
    if request.content_type == URLENCODED:
        pairs = request.body.split(b"&")
        rest = [pair for pair in pairs if decode(_unquoted(pair.partition(b"=")[0])) not in names]
        return replace(request, body=b"&".join(rest))
    if request.content_type == MULTIPART:
        delimiter = b"\r\n--" + _boundary(request)
        # The first delimiter may stand at the very beginning.
        first, *parts = (b"\r\n" + request.body).split(delimiter)
        rest = [part for part in parts if _name_of(part) not in names]
        return replace(request, body=delimiter.join([first, *rest])[2:])
    return request


def _name_of(part: bytes) -> str | None:
    """Give the name of a part with its header, as the parser reads it."""
    for line in part.partition(b"\r\n\r\n")[0][:MAX_PART_HEADER].split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-disposition":
            return _field_name(parse_options_header(value.strip())[1])
    return None


def _field_name(disposition: dict[bytes, bytes]) -> str:
    # A stray quote: SendGrid has sent `name="dkim` without the closing one.
    return decode(disposition.get(b"name", b"").strip(b'"'))


def _boundary(request: InboundRequest) -> bytes:
    _, options = parse_options_header(request.headers.get("Content-Type").encode("latin-1", "replace"))
    return options.get(b"boundary", b"")


def _urlencoded(body: bytes) -> Form:
    if body.count(b"&") >= MAX_FIELDS:
        raise UnreadableError(f"more than {MAX_FIELDS} fields in the form")
    lone = sum(1 for _ in islice(_LONE.finditer(body), MAX_LONE + 1))
    if lone > MAX_LONE:
        raise UnreadableError("the body is not urlencoded")
    if lone:
        body = _LONE.sub(b"%25", body)
    pairs = (pair.partition(b"=") for pair in body.split(b"&") if pair)
    return Form(tuple((decode(_unquoted(name)), _unquoted(value)) for name, _, value in pairs))


def _unquoted(value: bytes) -> bytes:
    """Give the bytes that a name or value stands for.

    Quoted-printable is the same with another sign, and its decoder is C: `urllib.parse` takes 6 seconds
    and 2 GB for 25 MB of escapes, before anybody has proved who they are.
    """
    value = value.replace(b"+", b" ")
    if b"%" not in value:
        return value
    return binascii.a2b_qp(value.replace(b"=", b"%3D").replace(b"%", b"="))


@dataclass
class _Part:
    headers: dict[str, bytes] = field(default_factory=dict)
    content: bytearray = field(default_factory=bytearray)


class _Collector:
    """Receives the parser's callbacks and gathers whole parts."""

    def __init__(self) -> None:
        self.parts: list[_Part] = []
        self.finished = False
        self._name = bytearray()
        self._value = bytearray()

    def on_part_begin(self) -> None:
        if len(self.parts) >= MAX_FIELDS:
            raise UnreadableError(f"more than {MAX_FIELDS} parts in the form")
        self.parts.append(_Part())

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1].content += data[start:end]

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        self.parts[-1].headers[self._name.decode("latin-1").lower()] = bytes(self._value)
        self._name.clear()
        self._value.clear()

    def on_end(self) -> None:
        self.finished = True


def _multipart(boundary: bytes, body: bytes) -> Form:
    if not boundary:
        raise UnreadableError("the multipart body has no boundary")
    collector = _Collector()
    names = ("part_begin", "part_data", "header_field", "header_value", "header_end", "end")
    try:
        parser = MultipartParser(
            boundary,
            {f"on_{name}": getattr(collector, f"on_{name}") for name in names},  # type: ignore[arg-type]
            max_header_count=MAX_PART_HEADERS,
            max_header_size=MAX_PART_HEADER,
        )
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise UnreadableError("the multipart body is broken") from error
    if not collector.finished:
        raise UnreadableError("the multipart body is cut off")
    fields: list[tuple[str, bytes]] = []
    files: list[FormFile] = []
    for part in collector.parts:
        told = part.headers.get("content-disposition", b"")
        if told.count(b";") > MAX_PARAMETERS:
            raise UnreadableError(f"a part of the form has more than {MAX_PARAMETERS} parameters")
        _, disposition = parse_options_header(told)
        name = _field_name(disposition)
        if b"filename" in disposition:
            kind = decode(part.headers.get("content-type", b"application/octet-stream"))
            files.append(FormFile(name, decode(disposition[b"filename"]), kind, bytes(part.content)))
        else:
            fields.append((name, bytes(part.content)))
    return Form(tuple(fields), tuple(files))
