"""Outlook's `winmail.dat` (TNEF): the text in it, and the names of the files in it.

https://learn.microsoft.com/en-us/openspecs/exchange_server_protocols/ms-oxtnef/: after the signature come
attributes, each with level, id, length, data and checksum, numbers with their lowest byte first.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from service.core.text import clean, decode, line

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIGNATURE = 0x223E9F78
_HEAD = struct.Struct("<BII")
_CHECKSUM = 2
_MAX_ATTRIBUTES = 2000
_BODY, _TITLE, _CODE_PAGE = 0x0002800C, 0x00018010, 0x00069007


def packet_text(content: bytes) -> str:
    """Give the packet's text and the names of its files; nothing where it is none."""
    if len(content) < _CHECKSUM * 3 or int.from_bytes(content[:4], "little") != _SIGNATURE:
        return ""
    page, body, names = "", b"", []
    for kind, data in _attributes(content):
        if kind == _CODE_PAGE:
            page = f"cp{int.from_bytes(data[:4], 'little')}"
        elif kind == _BODY:
            body = data
        elif kind == _TITLE:
            names.append(line(decode(data.rstrip(b"\0"), page)))
    text = clean(decode(body.rstrip(b"\0"), page))
    files = ", ".join(filter(None, names))
    return "\n\n".join(filter(None, (text, f"Files in Outlook's packet: {files}" if files else "")))


def _attributes(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Give each attribute's id and data, as far as they are whole."""
    at = 6
    for _ in range(_MAX_ATTRIBUTES):
        if at + _HEAD.size > len(content):
            return
        _, kind, length = _HEAD.unpack_from(content, at)
        at += _HEAD.size
        if at + length > len(content):
            return
        yield kind, content[at : at + length]
        at += length + _CHECKSUM
