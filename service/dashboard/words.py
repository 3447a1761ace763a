"""How the pages say things: times, sizes, numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))
_KIB = 1024


def span(seconds: float) -> str:
    """Say how long: `45 s`, `3 min`, `2 h 5 min`, `4 d 1 h`."""
    rest = int(seconds)
    said = []
    for length, unit in _UNITS:
        count, rest = divmod(rest, length)
        if count:
            said.append(f"{count} {unit}")
    if not said:
        return f"{rest} s"
    return " ".join(said[:2])


def ago(time: datetime, now: datetime) -> str:
    """Say how far a time lies from now: `3 min ago`, `in 20 s`, `just now`."""
    seconds = (now - time).total_seconds()
    if abs(seconds) < 1:
        return "just now"
    return f"{span(seconds)} ago" if seconds > 0 else f"in {span(-seconds)}"


def utc(time: datetime) -> str:
    """Give a time in full, in UTC."""
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


def size(count: int) -> str:
    """Say how many bytes: `512 bytes`, `12.3 KB`, `4.0 MB`."""
    if count < _KIB:
        return f"{count} byte{'' if count == 1 else 's'}"
    if count < _KIB * _KIB:
        return f"{count / _KIB:.1f} KB"
    return f"{count / _KIB / _KIB:.1f} MB"


def number(count: int) -> str:
    """Give a number with its thousands apart."""
    return f"{count:,}"


FILTERS: Mapping[str, Callable[..., str]] = {
    "span": span,
    "ago": ago,
    "utc": utc,
    "size": size,
    "number": number,
}
