"""Fields as PHP names them, `fields[email][value]`: what WordPress and its like send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from service.core.errors import UnreadableError
from service.core.forms import URLENCODED, read_form
from service.core.json_body import read_object
from service.core.text import decode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from service.core.request import InboundRequest

_MAX_DEPTH = 6


def read_fields(request: InboundRequest) -> dict[str, Any]:
    """Give the object that the body holds, JSON or urlencoded as PHP does; raises UnreadableError."""
    if request.content_type != URLENCODED:
        return read_object(request.body)
    form = read_form(request)
    if not form.fields:
        raise UnreadableError("the form is empty")
    return nested((key, decode(value)) for key, value in form.fields)


def nested(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Give PHP's array of a form: `fields[email][value]` stands in the object `email` of `fields`.

    A name that is nested too deep, or is both a value and an array, stays as it is written. A list
    (`topic[]`) comes out as a list.
    """
    root: dict[str, Any] = {}
    for name, value in pairs:
        node: Any = root
        *way, last = _way(name)
        for step in way:
            node = node.setdefault(step, {}) if isinstance(node, dict) else None
        if isinstance(node, dict) and not isinstance(node.get(last), dict):
            node[str(len(node)) if way and not last else last] = value
        else:
            root[name] = value
    return {name: _listed(value) for name, value in root.items()}


def pairs_of(value: object) -> list[tuple[str, dict[str, Any]]]:
    """Give the objects in a list or object, with their names or places."""
    listed = enumerate(value) if isinstance(value, list) else ()
    pairs = value.items() if isinstance(value, dict) else listed
    return [(str(name), each) for name, each in pairs if isinstance(each, dict)]


def _way(name: str) -> list[str]:
    head, opened, rest = name.partition("[")
    steps = rest.removesuffix("]").split("][")
    return [head, *steps] if head and opened and name.endswith("]") and len(steps) < _MAX_DEPTH else [name]


def _listed(value: object) -> object:
    if not isinstance(value, dict):
        return value
    inner = {name: _listed(each) for name, each in value.items()}
    places = map(str, range(len(inner)))
    return list(inner.values()) if all(a == b for a, b in zip(inner, places, strict=True)) else inner
