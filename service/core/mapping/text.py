"""Writes the text of a ticket: what was said, and below it who said it, through where, and the marker."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from service.core.errors import UnmappableError
from service.core.text import clean, first_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from service.core.events import Answer, File, InboundEvent, Sender

# With this much, whatever a sender puts into name, address or subject, there is room for what was said.
MIN_LIMIT = 2000

_MIN_ROOM = 200
_RULE = "---"
_INDENT = "    "
_ELLIPSIS = "…"
_NEAR = 80
_LONGEST = {"From": 370, "Reply to": 200, "To": 150, "Origin": 150, "Through": 120, "Note": 320}

# Embeddings, overrides and isolates: they can make the lines below read as something else.
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
_BLANK_LINES = re.compile(r"\n{3,}")
# A line that passes for a marker, whatever signs or invisible characters stand between its letters.
# One line at a time: a pattern that told a line feed from other signs took 130 bytes a character.
_MARKER_LIKE = re.compile(r"[\W_]*".join(("", *"refsb")) + r"[\W_]", re.IGNORECASE)


def render(
    event: InboundEvent,
    *,
    marker: str,
    channel_name: str,
    source_label: str,
    limit: int,
    notes: Sequence[str] = (),
) -> str:
    """Give the text, of at most `limit` characters; its last line is `Ref: <marker>` and no other is.

    Where it is too long, what was said is cut, with a note of how much; what stands below the rule
    is whole. Raises UnmappableError where the event says nothing, or `limit` (at least MIN_LIMIT)
    leaves no room.
    """
    said = "\n\n".join(_said(event))
    more = "\n\n".join(_more(event))
    if not said and not more:
        raise UnmappableError("The event is empty: no subject, no text, no answers and no files")
    footer = "\n".join(_footer(event, marker, f"{channel_name} ({source_label})", notes))
    room = limit - len(footer) - 2
    if room < _MIN_ROOM:
        raise UnmappableError(
            f"The text limit of {limit} characters leaves no room for what was said: "
            f"set text_limit in [spacebring] to at least {MIN_LIMIT}"
        )
    return f"{_fit(_disarm(said), _disarm(more), room)}\n\n{footer}"


def _tidy(text: str) -> str:
    """Give the text in NFC without control characters but line feeds, and without runs of blank lines."""
    text = clean(_BIDI.sub("", text)).expandtabs(4)
    text = "\n".join(line.rstrip() for line in text.split("\n"))
    return _BLANK_LINES.sub("\n\n", text).strip()


def _line(text: str) -> str:
    return " ".join(_tidy(text).split())


def _disarm(text: str) -> str:
    return "\n".join(f"> {line}" if _MARKER_LIKE.match(line) else line for line in text.split("\n"))


def _said(event: InboundEvent) -> Iterator[str]:
    subject, body = _line(event.subject), _tidy(event.body)
    # Where a form has no subject its source takes the first line: once is enough.
    if subject and subject != first_line(body):
        yield subject
    if body:
        asked = _line(event.asked)
        yield f"{asked}\n{body}" if asked else body


def _more(event: InboundEvent) -> Iterator[str]:
    answers = "\n".join(filter(None, map(_answer, event.answers)))
    if answers:
        yield answers
    hidden = "\n".join(filter(None, map(_answer, event.hidden)))
    if hidden:
        yield f"Hidden fields:\n{_indented(hidden)}"
    if event.files:
        files = "\n".join(map(_file, event.files))
        yield f"Files, not attached to this ticket:\n{_indented(files)}"


def _answer(answer: Answer) -> str:
    label = _line(answer.label) or _line(answer.key)
    value = _tidy(answer.value)
    if not label or not value:
        return value
    asked = label if label.endswith(("?", ":", ".", "!")) else f"{label}:"
    return f"{asked}\n{_indented(value)}" if "\n" in value else f"{asked} {value}"


def _indented(text: str) -> str:
    return "\n".join(_INDENT + line if line else line for line in text.split("\n"))


def _file(file: File) -> str:
    known = [_line(file.content_type), "" if file.size is None else _size(file.size)]
    about = ", ".join(filter(None, known))
    name = _line(file.name) or "without a name"
    url = _line(file.url)
    return (f"{name} ({about})" if about else name) + (f"\n{_INDENT}{url}" if url else "")


def _size(count: int) -> str:
    for factor, unit in ((1_000_000, "MB"), (1000, "kB")):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} bytes"


def _footer(event: InboundEvent, marker: str, through: str, notes: Sequence[str]) -> Iterator[str]:
    yield _RULE
    facts = [
        ("From", person(event)),
        ("Reply to", _who(event.reply_to)),
        ("To", event.recipient),
        ("Origin", event.origin),
        ("Through", through),
        ("Note", "; ".join(event.notes)),
        *(("Note", note) for note in notes),
    ]
    for name, value in facts:
        fact = _line(value)
        if fact:
            yield f"{name}: {_short(fact, _LONGEST[name])}"
    yield f"Ref: {marker}"


def person(event: InboundEvent) -> str:
    """Give who wrote in one line, `Ada Lovelace (ada@example.com)`, or nothing."""
    return _who(event.sender)


def _who(sender: Sender) -> str:
    name, email = _short(_line(sender.name), 100), _short(_line(sender.email), 254)
    return f"{name} ({email})" if name and email else name or email


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1].rstrip() + _ELLIPSIS


def _fit(said: str, more: str, room: int) -> str:
    """Join the two; where they are too long, half the room is each one's own, and the rest whose it is."""
    if not said or not more:
        return _cut(said or more, room)
    room -= 2
    share = min(len(more), max(room // 2, room - len(said)))
    return f"{_cut(said, room - share)}\n\n{_cut(more, share)}"


def _cut(text: str, room: int) -> str:
    if len(text) <= room:
        return text
    kept = text[: room - len(_left_out(len(text))) - 1]
    space = max(kept.rfind(" "), kept.rfind("\n"))
    if space > max(0, len(kept) - _NEAR):
        kept = kept[:space]
    kept = kept.rstrip()
    return f"{kept}\n{_left_out(len(text) - len(kept))}"


def _left_out(count: int) -> str:
    return f"[{_ELLIPSIS} {count:,} characters left out]"
