"""What the sources of forms share: values as text, files by their links, and the event that answers make."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from service.core.errors import UnreadableError
from service.core.events import Answer, File, InboundEvent, Sender
from service.core.finder import Finder, label_of, parted, steers
from service.core.json_body import check_path, first_text, flatten, scalar_text
from service.core.text import is_address, line
from service.core.wording import is_message

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

# The label of an answer whose question the vendor does not tell. The finder looks for nothing of that name.
UNASKED = "Answer"
MAX_ANSWERS = 2000
MAX_FILES = 200
_TOO_MUCH = f"more than {MAX_ANSWERS} answers or {MAX_FILES} files"

_URLS = ("url", "File", "file_url", "fileUrl", "link")
_NAMES = ("filename", "file_name", "name", "Name", "fileName")
_TYPES = ("mimeType", "ContentType", "content_type", "type")
_SIZES = ("size", "Size")
_MAX_DIGITS = 15
_LINK = re.compile(r"https?://\S+")
_BETWEEN = re.compile(r",\s*(?=https?://)")
# Where WordPress keeps what visitors upload; Gravity Forms hides it: index.php?gf-download=2026%2F05%2Fs.png
_HIDDEN_PATH = "gf-download="
UPLOADS = ("/uploads/", _HIDDEN_PATH)
# For `uploads` where the vendor itself says that the answer is files.
ANYWHERE = ("",)
_NAME_PARTS = ("prefix", "first", "firstname", "middle", "middlename", "last", "lastname", "suffix")
_KINDS = {list: "list", dict: "object", bool: "boolean", int: "number", float: "number"}


def text_of(value: object) -> str:
    """Give any JSON value as a person reads it: lists with commas, objects as `name: value`."""
    if isinstance(value, list):
        gap = "; " if any(isinstance(each, dict) for each in value) else ", "
        return gap.join(filter(None, map(text_of, value)))
    parts = _name_parts(value)
    if parts:
        return " ".join(filter(None, map(parts.get, _NAME_PARTS)))
    if isinstance(value, dict):
        pairs = (pair for name, inner in value.items() for pair in flatten(name, inner))
        return ", ".join(f"{name}: {text}" for name, text in pairs if text and not steers(name))
    return scalar_text(value)


def _name_parts(value: object) -> dict[str, str]:
    """Give the parts of a person's name, or nothing where the value is anything else."""
    pairs = value.items() if isinstance(value, dict) else ()
    parts = {"".join(filter(str.isalpha, name.lower())): inner for name, inner in pairs}
    is_name = set(_NAME_PARTS) >= parts.keys() and any(name.startswith(("first", "last")) for name in parts)
    texts = {name: scalar_text(inner).strip() for name, inner in parts.items()}
    return texts if is_name and any(texts.values()) else {}


def answered(
    label: str,
    value: object,
    key: str = "",
    kind: str = "",
    folders: Sequence[str] = (),
) -> tuple[Answer, list[File]]:
    """Give the answer that a JSON value makes, and the files in it.

    `kind` is the vendor's type, `folders` are as for `uploads`. Where the vendor tells no type, what
    is no text tells its own: the finder must not take it for words that somebody wrote.
    """
    found = files_of(value) or uploads(value, folders)
    own = "file" if found else _KINDS.get(type(value), "")
    kind = "name" if _name_parts(value) else kind or own
    return Answer(label, names_of(found) or text_of(value), key, kind), found


def is_link(value: object) -> bool:
    """Say whether this is an address in the web and nothing else."""
    return isinstance(value, str) and _LINK.fullmatch(value) is not None


def links(value: object) -> list[str]:
    """Give the web addresses that a value consists of, or nothing where it says anything else too."""
    given = value if isinstance(value, list) else [value]
    found = [part.strip() for each in given if isinstance(each, str) for part in _BETWEEN.split(each)]
    return found if len(found) >= len(given) and all(map(is_link, found)) else []


def file_at(url: str, name: str = "") -> File:
    """Give the file behind a link, by the link's own name where it has no other."""
    hidden = url.partition(_HIDDEN_PATH)[2].partition("&")[0]
    path = unquote(hidden or url.partition("?")[0].partition("#")[0])
    return File(line(name) or line(path.rpartition("/")[2]) or "file", url=url)


def uploads(value: object, folders: Sequence[str] = UPLOADS) -> list[File]:
    """Give the files that a value consists of: links into folders for uploads, by a part of their address.

    A person may also have typed an address: that is none.
    """
    found = links(value)
    kept = all(any(folder in link for folder in folders) for link in found)
    return [file_at(link) for link in found] if kept else []


def files_of(value: object) -> list[File]:
    """Give the files in an answer: objects that have a link, alone or in a list; empty if there is none."""
    return list(_files(value if isinstance(value, list) else [value]))


def _files(values: list[object]) -> Iterator[File]:
    for each in values:
        if isinstance(each, dict):
            url = first_text(each, _URLS)
            size = first_text(each, _SIZES)
            if is_link(url):
                count = int(size) if size.isascii() and size.isdigit() and len(size) <= _MAX_DIGITS else None
                yield File(file_at(url, first_text(each, _NAMES)).name, first_text(each, _TYPES), count, url)


def names_of(files: Iterable[File]) -> str:
    """Give the names of files, as the answer to the question that asked for them."""
    return ", ".join(file.name for file in files)


def called(key: str) -> str:
    """Give the label of a field by its name: `your-name` is one, `E-mail` is a label already."""
    return label_of(key) if key[:1].islower() else key


def told(
    body: Mapping[str, object],
    known: Collection[str] = (),
    mapped: Collection[str] = (),
    uploaded: Collection[str] = (),
) -> tuple[list[Answer], list[File]]:
    """Give what an object says under its keys, and the files in it.

    What is `known` and what steers the form is left out, but not what the channel has `mapped`. An
    object in the object is told key by key: `customer.email`. Links under the keys `uploaded` are files.
    Raises UnreadableError where there is more than any form has, before all of it is told.
    """
    answers: list[Answer] = []
    files: list[File] = []
    kept = ((key, value) for key, value in body.items() if key in mapped or key not in known)
    for path, value in _leaves(kept, mapped):
        label = " / ".join(map(called, path.split(".")))
        folders = ANYWHERE if path in uploaded else UPLOADS
        answer, found = answered(label, value, path, folders=folders)
        # The city of an address is no text by itself; a message is one wherever it stands.
        is_part = path not in body and not answer.kind and not is_message(answer)
        answers.append(replace(answer, kind="part") if is_part else answer)
        files += found
        if len(answers) > MAX_ANSWERS:
            raise UnreadableError(_TOO_MUCH)
    return answers, files


def _leaves(pairs: Iterable[tuple[str, object]], mapped: Collection[str]) -> Iterator[tuple[str, object]]:
    for path, value in pairs:
        check_path(path)
        if path in mapped or not steers(path.rpartition(".")[2]):
            if isinstance(value, dict) and not (files_of(value) or _name_parts(value)):
                yield from _leaves(((f"{path}.{name}", inner) for name, inner in value.items()), mapped)
            else:
                yield path, value


def told_id(body: Mapping[str, object]) -> str:
    """Give the id of the submission where a body that somebody composed names one."""
    return first_text(body, ("submission_id", "submissionId", "conversion_id", "conversion-id"))


def form_event(
    answers: Iterable[Answer],
    mapping: Mapping[str, str],
    *,
    hidden: Iterable[Answer] = (),
    files: Sequence[File] = (),
    origin: str = "",
    sender: Sender | None = None,
    vouched: str = "",
) -> InboundEvent:
    """Make the event of a form: sender, subject and message found, the other answers as they stand.

    `mapping` is the channel's `fields`. `sender` fills in what no answer tells; `vouched` is the address
    that the vendor itself stands for: it is the sender's unless the channel names a field for that.
    Raises UnreadableError where there is nothing at all, or more than any form has.
    """
    kept = tuple(answer for answer in answers if answer.value.strip())
    aside = tuple(answer for answer in hidden if answer.value.strip() and not steers(answer.key))
    if not (kept or files):
        raise UnreadableError("nothing was filled in, or this is not what the vendor sends")
    if len(kept) + len(aside) > MAX_ANSWERS or len(files) > MAX_FILES:
        raise UnreadableError(_TOO_MUCH)
    finder = Finder(kept, mapping)
    found, other = finder.sender(), sender or Sender()
    email = vouched if is_address(vouched) and not mapping.get("email") else found.email or other.email
    subject_at, body_at = finder.subject_at(), finder.body_at()
    subject = finder.subject() or origin
    used = (finder.spent(finder.email_at(), email), finder.spent(subject_at, subject), body_at)
    rest, placed = parted(kept, [*map(finder.unasked, finder.name_at()), *used])
    return InboundEvent(
        kind="form",
        sender=Sender(found.name or other.name, email),
        subject=subject,
        body="" if body_at is None else kept[body_at].value,
        asked=finder.asked(),
        answers=rest,
        placed=placed,
        hidden=aside,
        files=tuple(files),
        origin=origin,
    )
