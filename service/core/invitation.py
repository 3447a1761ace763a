"""The text of a calendar file (iCalendar, RFC 5545): what is when and where, and who says so."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from service.core.text import clean, decode, line

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_CHARS = 200_000
_MAX_EVENTS = 5
_MAX_DESCRIPTION = 2000
_FOLD = re.compile(r"\r?\n[ \t]")
_PROPERTY = re.compile(r'([A-Za-z0-9-]+)((?:;[^":;]*(?:"[^"]*")?)*):(.*)')
_PARAMETER = re.compile(r';([A-Za-z-]+)=(?:"([^"]*)"|([^";:]*))')
_MOMENT = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)\d\d(Z?))?")
_ESCAPE = re.compile(r"\\([\\;,nN])")
_CALLED = {"REQUEST": "Invitation", "CANCEL": "Cancelled", "REPLY": "Answer to an invitation"}
_TOLD = frozenset({"SUMMARY", "DTSTART", "DTEND", "LOCATION", "ORGANIZER", "DESCRIPTION", "RRULE"})


def invitation(content: bytes) -> str:
    """Give the first events in the file, each a paragraph; nothing where there is none."""
    events: list[dict[str, str]] = []
    within: list[str] = []
    method = ""
    for name, parameters, value in _properties(decode(content)[:_MAX_CHARS]):
        if name == "BEGIN":
            within.append(value.upper())
            if within[-1] == "VEVENT":
                events.append({})
        elif name == "END":
            del within[-1:]
        elif name == "METHOD":
            method = value.upper()
        elif within[-1:] == ["VEVENT"] and name in _TOLD:
            events[-1].setdefault(name, _value(name, parameters, value))
    told = (_event(event, _CALLED.get(method, "Calendar entry")) for event in events[:_MAX_EVENTS])
    return "\n\n".join(filter(None, told))


def _properties(text: str) -> Iterator[tuple[str, dict[str, str], str]]:
    for row in _FOLD.sub("", text).splitlines():
        found = _PROPERTY.fullmatch(row)
        if found is not None:
            parameters = {
                name.upper(): quoted or plain for name, quoted, plain in _PARAMETER.findall(found[2])
            }
            yield found[1].upper(), parameters, found[3].strip()


def _value(name: str, parameters: dict[str, str], value: str) -> str:
    if name in {"DTSTART", "DTEND"}:
        return _moment(value, parameters.get("TZID", ""))
    if name == "ORGANIZER":
        address = value.removeprefix("mailto:").removeprefix("MAILTO:")
        called = parameters.get("CN", "")
        return f"{called} ({address})" if called and called != address else address
    return _ESCAPE.sub(lambda found: "\n" if found[1] in "nN" else found[1], value)


def _moment(value: str, zone: str) -> str:
    found = _MOMENT.fullmatch(value)
    if found is None:
        return value
    year, month, day, hour, minute, utc = found.groups()
    date = f"{year}-{month}-{day}"
    if hour is None:
        return date
    where = " UTC" if utc else f" ({zone})" if zone else ""
    return f"{date} {hour}:{minute}{where}"


def _event(told: dict[str, str], called: str) -> str:
    summary = line(told.get("SUMMARY", ""))
    when = " to ".join(filter(None, (told.get("DTSTART"), told.get("DTEND"))))
    rows = {
        called: summary or ("without a title" if told else ""),
        "When": when + (", repeatedly" if when and "RRULE" in told else ""),
        "Where": line(told.get("LOCATION", "")),
        "By": line(told.get("ORGANIZER", "")),
    }
    text = "\n".join(f"{name}: {value}" for name, value in rows.items() if value)
    more = clean(told.get("DESCRIPTION", ""))[:_MAX_DESCRIPTION]
    return "\n\n".join(filter(None, (text, more)))
