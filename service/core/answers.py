"""What the sources of forms share: values as text, files, and the event that answers make."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from service.core.errors import UnreadableError
from service.core.events import Answer, File, InboundEvent, Sender
from service.core.finder import Finder, label_of, steers, without
from service.core.json_body import flatten, scalar_text
from service.core.text import first_line

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

MAX_ANSWERS = 2000
MAX_FILES = 200

_URLS = ("url", "File", "file_url", "fileUrl")
_NAMES = ("filename", "file_name", "name", "Name", "fileName")
_TYPES = ("mimeType", "ContentType", "content_type", "type")
_SIZES = ("size", "Size")


def text_of(value: object) -> str:
    """Give any JSON value as a person reads it: lists with commas, objects as `name: value`."""
    if isinstance(value, list):
        gap = "; " if any(isinstance(each, dict) for each in value) else ", "
        return gap.join(filter(None, map(text_of, value)))
    if isinstance(value, dict):
        pairs = (pair for name, inner in value.items() for pair in flatten(name, inner))
        return ", ".join(f"{name}: {text}" for name, text in pairs if text and not steers(name))
    return scalar_text(value)


def is_link(value: object) -> bool:
    """Say whether this is an address in the web and nothing else."""
    return (
        isinstance(value, str) and value.startswith(("https://", "http://")) and not set(value) & set(" \n\t")
    )


def file_at(url: str, name: str = "") -> File:
    """Give the file behind a link, by the link's own name where it has no other."""
    path = url.partition("?")[0].partition("#")[0]
    return File(name or unquote(path.rpartition("/")[2]) or "file", url=url)


def files_of(value: object) -> tuple[File, ...]:
    """Give the files in an answer: objects that have a link, alone or in a list; empty if there is none."""
    return tuple(_files(value if isinstance(value, list) else [value]))


def _files(values: list[object]) -> Iterator[File]:
    for each in values:
        if isinstance(each, dict):
            url = _first(each, _URLS)
            size = next((each[name] for name in _SIZES if type(each.get(name)) is int), None)
            if is_link(url):
                plain = file_at(url, _first(each, _NAMES))
                yield File(plain.name, _first(each, _TYPES), size, url)


def names_of(files: Iterable[File]) -> str:
    """Give the names of files as the text of an answer."""
    return ", ".join(file.name for file in files)


def told(body: Mapping[str, object], known: Collection[str] = ()) -> tuple[Answer, ...]:
    """Give what a flat object says under its keys, but what is known and what steers the form."""
    return tuple(
        Answer(label_of(path), text, path)
        for key, value in body.items()
        if key not in known and not steers(key)
        for path, text in flatten(key, value)
        if text.strip()
    )


def told_id(body: Mapping[str, object]) -> str:
    """Give the id of the submission where a body that somebody composed names one."""
    return _first(body, ("submission_id", "submissionId", "conversion_id", "conversion-id"))


def form_event(
    answers: Sequence[Answer],
    mapping: Mapping[str, str],
    *,
    hidden: Iterable[Answer] = (),
    files: Sequence[File] = (),
    origin: str = "",
    sender: Sender | None = None,
) -> InboundEvent:
    """Make the event of a form: sender, subject and message found, the other answers as they stand.

    `sender` fills in what no answer tells. Raises UnreadableError where there is nothing at all, or
    more than any form has.
    """
    kept = tuple(answer for answer in answers if answer.value.strip())
    aside = tuple(answer for answer in hidden if answer.value.strip() and not steers(answer.key))
    if not (kept or files):
        raise UnreadableError("nothing was filled in, or this is not what the vendor sends")
    if len(kept) + len(aside) > MAX_ANSWERS or len(files) > MAX_FILES:
        raise UnreadableError(f"more than {MAX_ANSWERS} answers or {MAX_FILES} files")
    finder = Finder(kept, mapping)
    found, other = finder.sender(), sender or Sender()
    email_at, subject_at, body_at = finder.email_at(), finder.subject_at(), finder.body_at()
    if email_at is not None and kept[email_at].value.strip() != found.email:
        email_at = None
    body = "" if body_at is None else kept[body_at].value
    return InboundEvent(
        kind="form",
        sender=Sender(found.name or other.name, found.email or other.email),
        # The longest text may be an address, so the message is asked first.
        subject=(first_line(body) if subject_at is None else "") or finder.subject() or origin,
        body=body,
        answers=without(kept, [*finder.name_at(), email_at, subject_at, body_at]),
        hidden=aside,
        files=tuple(files),
        origin=origin,
    )


def _first(body: Mapping[str, object], names: Iterable[str]) -> str:
    return next(filter(None, (scalar_text(body.get(name)) for name in names)), "")
