"""Ids of events and the markers that stand in their tickets."""

from __future__ import annotations

import re
import secrets
import time

# Crockford's base 32: no i, l, o, u, so that a marker survives being read aloud.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_TIME_DIGITS = 10
_RANDOM_DIGITS = 16
_MARKER_DIGITS = 10
_MARKER = re.compile(rf"(?<![0-9a-z])sb-[{_ALPHABET}]{{{_MARKER_DIGITS}}}(?![0-9a-z])", re.IGNORECASE)


def new_event_id() -> str:
    """Give an id that sorts by time: 10 digits of milliseconds, then 80 random bits."""
    return _encode(time.time_ns() // 1_000_000, _TIME_DIGITS) + _encode(secrets.randbits(80), _RANDOM_DIGITS)


def marker_of(event: str) -> str:
    """Give the marker of an event, `sb-` and 50 unguessable bits of its id."""
    return f"sb-{event[-_MARKER_DIGITS:]}"


def marker_in(text: str) -> str | None:
    """Give the marker that a ticket's text bears, whatever became of the text around it, or None.

    It is the last one: those of tickets that a sender quotes stand before it.
    """
    found = _MARKER.findall(text)
    return found[-1].lower() if found else None


def _encode(value: int, digits: int) -> str:
    text = ""
    for _ in range(digits):
        value, digit = divmod(value, len(_ALPHABET))
        text = _ALPHABET[digit] + text
    return text
