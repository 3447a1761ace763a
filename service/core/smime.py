"""The mail within an S/MIME file (`smime.p7m`) that is signed and not encrypted.

CMS, RFC 5652, in BER: ContentInfo, in it SignedData, in it the content as an octet string, whole or in
pieces. Nothing is verified: what is shown is what was written, not who wrote it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# 1.2.840.113549.1.7.2
_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
_OID, _OCTETS, _OCTET_PIECES = 0x06, 0x04, 0x24
_INDEFINITE = 0x80
_MAX_DEPTH = 12
_MAX_NODES = 50_000
_MANY_TAGS = 0x1F
# Version, digest algorithms, and then the content.
_CONTENT_AT = 2


class _NotBer(ValueError):  # noqa: N818 - it is what the bytes are not
    pass


@dataclass(frozen=True)
class _Node:
    tag: int
    data: bytes
    # Where the next one begins.
    end: int


def signed_content(content: bytes) -> bytes | None:
    """Give the mail that was signed; None where the file holds none, being encrypted as a rule."""
    ber = _Ber()
    try:
        info = ber.within(ber.node(content, 0, 0))
        if info[0].tag != _OID or info[0].data != _SIGNED_DATA:
            return None
        signed = ber.within(ber.within(info[1])[0])
        inner = ber.within(signed[_CONTENT_AT])
        return b"".join(ber.octets(ber.within(inner[1])[0], 0))
    except (_NotBer, IndexError):
        return None


class _Ber:
    """Reads values in BER; raises _NotBer where there is none, too many, or one is nested too deep."""

    def __init__(self) -> None:
        self._left = _MAX_NODES

    def node(self, data: bytes, at: int, depth: int) -> _Node:
        self._left -= 1
        room = self._left >= 0 and depth <= _MAX_DEPTH and at + 2 <= len(data)
        if not room or data[at] & _MANY_TAGS == _MANY_TAGS:
            raise _NotBer
        tag, length, start = data[at], data[at + 1], at + 2
        if length == _INDEFINITE:
            return self._until_its_end(data, tag, start, depth)
        if length > _INDEFINITE:
            count = length - _INDEFINITE
            length, start = int.from_bytes(data[start : start + count]), start + count
        if start + length > len(data):
            raise _NotBer
        return _Node(tag, data[start : start + length], start + length)

    def within(self, node: _Node) -> list[_Node]:
        """Give the values in a value."""
        found, at = [], 0
        while at < len(node.data):
            found.append(self.node(node.data, at, 0))
            at = found[-1].end
        return found

    def octets(self, node: _Node, depth: int) -> Iterator[bytes]:
        """Give the octet string, which may be in pieces."""
        if node.tag == _OCTETS:
            yield node.data
        elif node.tag == _OCTET_PIECES and depth < _MAX_DEPTH:
            for piece in self.within(node):
                yield from self.octets(piece, depth + 1)

    def _until_its_end(self, data: bytes, tag: int, start: int, depth: int) -> _Node:
        at = start
        while data[at : at + 2] != b"\0\0":
            at = self.node(data, at, depth + 1).end
        return _Node(tag, data[start:at], at + 2)
