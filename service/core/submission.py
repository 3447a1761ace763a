"""What the sources of forms share: values as text, files by their links, PHP's bracket names, the event."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from service.core.errors import UnreadableError
from service.core.events import Answer, File, InboundEvent, Sender
from service.core.finder import Finder, label_of
from service.core.forms import URLENCODED, read_form
from service.core.json_body import flatten, read_object
from service.core.text import decode, first_line, is_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from service.core.request import InboundRequest

MAX_ANSWERS = 1000
MAX_FILES = 200
_MAX_DEPTH = 6
_LINK = re.compile(r"https?://[^\s,]+")


def submission(
    answers: Iterable[Answer],
    mapping: Mapping[str, str],
    *,
    hidden: Iterable[Answer] = (),
    files: Iterable[File] = (),
    title: str = "",
    email: str = "",
) -> InboundEvent:
    """Make the event of a submitted form: every answer under its question, blank ones left out.

    `mapping` is the channel's `fields`, `email` the address that the vendor itself vouches for: it is
    the sender's unless the channel names a field for that.
    """
    told = _told(answers)
    finder = Finder(told, mapping)
    sender = finder.sender()
    vouched = is_address(email) and not mapping.get("email")
    return InboundEvent(
        kind="form",
        sender=Sender(sender.name, email if vouched else sender.email),
        subject=_subject(finder) or title,
        answers=told,
        hidden=_told(hidden),
        files=tuple(files)[:MAX_FILES],
        origin=title,
    )


def text_of(value: object) -> str:
    """Give any JSON value as a person writes it: `A, B`, or `city: Rome, zip: 00100`."""
    pairs = ((path.lstrip("."), text) for path, text in flatten("", value) if text)
    return ", ".join(f"{path}: {text}" if path else text for path, text in pairs)


def links(value: object) -> list[str]:
    """Give the web addresses that a value consists of, or nothing where it says anything else too."""
    given = value if isinstance(value, list) else [value]
    found = [part.strip() for each in given if isinstance(each, str) for part in each.split(",")]
    whole = len(found) >= len(given) and all(_LINK.fullmatch(part) for part in found)
    return found if whole else []


def uploads(value: object) -> list[str]:
    """Give the addresses of uploaded files that a value consists of, as WordPress keeps them."""
    found = links(value)
    return found if all("/uploads/" in link or "gf-download=" in link for link in found) else []


def link_name(link: str) -> str:
    """Give the name of the file that a web address leads to."""
    # Gravity Forms hides where a file is: index.php?gf-download=2026%2F05%2Fs.png
    inner = link.partition("gf-download=")[2].partition("&")[0]
    path = unquote(inner or link.partition("?")[0].partition("#")[0])
    return path.rpartition("/")[2] or "file"


def linked(found: Iterable[str]) -> list[File]:
    """Give the files at these addresses."""
    return [File(link_name(link), url=link) for link in found]


def named(files: Sequence[File]) -> str:
    """Give the names of files, as the answer to the question that asked for them."""
    return ", ".join(file.name for file in files)


def called(key: str) -> str:
    """Give the label of a field by its name: `your-name` is one, `E-mail` is a label already."""
    return label_of(key) if key[:1].islower() else key


def flat(body: Mapping[str, Any]) -> tuple[list[Answer], list[File]]:
    """Give what a form says whose fields have names but no labels, and the files uploaded with it."""
    answers, files = [], []
    for key, value in body.items():
        found = linked(uploads(value))
        files += found
        answers.append(Answer(called(key), named(found) or text_of(value), key))
    return answers, files


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


def _subject(finder: Finder) -> str:
    """Give the subject: of its field, of the message, or else of the longest text."""
    place = finder.body_at()
    if finder.subject_at() is not None or place is None:
        return finder.subject()
    return first_line(finder.answers[place].value)


def _told(answers: Iterable[Answer]) -> tuple[Answer, ...]:
    return tuple(answer for answer in answers if answer.value)[:MAX_ANSWERS]


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
