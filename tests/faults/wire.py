"""Reads what passes between a worker and Valkey, or between a worker and Spacebring, just well enough.

Two readers with one shape: bytes of one direction go in, whole messages come out, each with what it does
(`claim`, `begin`, `record`, `post` ...) and the marker of the event that it is about, where it names one.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from service.core.ledger.ids import marker_of
from service.core.ledger.scripts import NAMES, source
from service.core.queue import TICKETS

_SCRIPTS = {hashlib.sha1(source(name).encode()).hexdigest().encode(): name for name in NAMES}
_ABOUT_ONE_EVENT = ("claim", "begin", "renew", "know", "record")
_QUEUE = f"rq:queue:{TICKETS}".encode()
_MARKER = re.compile(rb"sb-[0-9a-z]{10}")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_VERBS = {b"POST": "post", b"GET": "list", b"PUT": "close"}


@dataclass(frozen=True)
class Message:
    """One message as it was sent. `name` and `subject` are empty where they mean nothing to the suite."""

    raw: bytes
    name: str = ""
    subject: str = ""


class Commands:
    """Reads commands to Valkey (RESP arrays of bulk strings)."""

    def __init__(self) -> None:
        self._rest = b""
        self._queues = False

    def feed(self, data: bytes) -> list[Message]:
        """Take the next bytes; give the commands that they complete."""
        self._rest += data
        found = []
        while (command := self._first()) is not None:
            words, end = command
            raw, self._rest = self._rest[:end], self._rest[end:]
            name, subject = self._name(words)
            found.append(Message(raw, name, subject))
        return found

    def _first(self) -> tuple[list[bytes], int] | None:
        """Give the words of the first command and where it ends; None while it is not whole."""
        line = self._rest.find(b"\r\n")
        if line < 0:
            return None
        position, words = line + 2, []
        for _ in range(int(self._rest[1:line])):
            line = self._rest.find(b"\r\n", position)
            if line < 0:
                return None
            start = line + 2
            position = start + int(self._rest[position + 1 : line]) + 2
            if position > len(self._rest):
                return None
            words.append(self._rest[start : position - 2])
        return words, position

    def _name(self, words: list[bytes]) -> tuple[str, str]:
        verb = words[0].upper()
        if verb == b"EVALSHA" and words[1] in _SCRIPTS:
            name = _SCRIPTS[words[1]]
            return name, marker_of(words[4].decode()) if name in _ABOUT_ONE_EVENT else ""
        # RQ pushes a job within a transaction: it is the EXEC that does it.
        self._queues = self._queues or (verb == b"RPUSH" and words[1] == _QUEUE)
        if verb == b"EXEC" and self._queues:
            self._queues = False
            return "enqueue", ""
        return "", ""


class Requests:
    """Reads HTTP/1.1 requests with a Content-Length, or without a body."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Message]:
        """Take the next bytes; give the requests that they complete."""
        self._rest += data
        found = []
        while (head := self._rest.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._rest, 0, head)
            end = head + 4 + (int(length[1]) if length else 0)
            if end > len(self._rest):
                break
            raw, self._rest = self._rest[:end], self._rest[end:]
            verb, path, _ = raw.split(b" ", 2)
            name = _VERBS.get(verb, "") if path.startswith(b"/support/tickets/v1") else ""
            marker = _MARKER.search(raw, head)
            found.append(Message(raw, name, marker[0].decode() if marker else ""))
        return found
