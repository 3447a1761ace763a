"""What a browser, or a program like one, means by its request: which answer it likes, where it may go."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from config.values import origin_of

if TYPE_CHECKING:
    from collections.abc import Container

# A weight is 0 to 1 with three decimals at most: https://www.rfc-editor.org/rfc/rfc9110#quality.values
_WEIGHT = re.compile(r"\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)\s*", re.IGNORECASE)
_MAX_RANGES = 100


def preferred(accept: str) -> Literal["json", "page", ""]:
    """Say what a header `Accept` asks for; empty where it does not say, as `*/*` and none.

    Where it likes both as much, whoever names JSON is a program.
    """
    json = max(_liking(accept, "application/json"), _liking(accept, "application/problem+json"))
    page = _liking(accept, "text/html")
    if _is_named(json) and json >= page:
        return "json"
    return "page" if _is_named(page) and page > json else ""


def leads_to(target: str, origins: Container[str]) -> bool:
    """Say whether a link leads to one of these sites, as a browser reads it, and to no other."""
    # A browser takes a backslash for a slash, and drops what cannot be printed.
    if not target.isascii() or not target.isprintable() or "\\" in target or " " in target:
        return False
    return origin_of(target) in origins


def _is_named(liking: tuple[float, int]) -> bool:
    return all(liking)


def _liking(accept: str, media_type: str) -> tuple[float, int]:
    """Give the weight of a type and how exactly it is named: the most exact range decides."""
    ranges = ("*/*", f"{media_type.partition('/')[0]}/*", media_type)
    found = (0, 0.0)
    for each in accept.split(",", _MAX_RANGES)[:_MAX_RANGES]:
        name, *parameters = each.split(";")
        name = name.strip().lower()
        if name in ranges:
            weights = (match[1] for match in map(_WEIGHT.fullmatch, parameters) if match)
            found = max(found, (ranges.index(name), float(next(weights, "1"))))
    return found[1], found[0]
