"""Reads what may stand in Slack's JSON, or something else in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def text(value: object) -> str:
    """Give a text, or nothing for what is none."""
    return value if isinstance(value, str) else ""


def string(holder: Mapping[str, Any], name: str) -> str:
    """Give the text of that name, or nothing."""
    return text(holder.get(name))


def table(holder: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Give the object of that name, or an empty one."""
    value = holder.get(name)
    return value if isinstance(value, dict) else {}


def tables(value: object) -> Iterator[dict[str, Any]]:
    """Give the objects in a list; none where it is no list."""
    return (one for one in (value if isinstance(value, list) else []) if isinstance(one, dict))
