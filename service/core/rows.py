"""Mails that a parser took apart by the customer's own rules: keys of any name, as JSON or as a form."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

from service.core.errors import UnreadableError
from service.core.events import Answer, File, InboundEvent, Sender
from service.core.finder import HONEYPOTS, Finder, is_control, label_of, parted
from service.core.forms import MULTIPART, URLENCODED, read_form
from service.core.html_text import html_to_text
from service.core.json_body import flatten, read_json, scalar_text
from service.core.mail_headers import addresses, header_text, ignore_reason
from service.core.mail_json import batch, item_of
from service.core.request import Headers
from service.core.source import Part, Source, canonical_key, vendor_key
from service.core.text import decode, first_line, line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from service.core.request import InboundRequest
    from service.core.signing import Verified

MAX_ANSWERS = 2000
_HASH_CHARS = 32

# Fields that hold the whole submission as JSON.
_WRAPPERS = ("payload", "data")
# What the parsers call what they know of the mail itself, without case and punctuation.
_FROM = ("fromemail", "senderemail", "fromaddress", "senderaddress", "from", "sender", "replyto")
_FROM_NAME = ("fromname", "sendername")
_TO = ("recipient", "recipientemail", "toemail", "toaddress", "to", "originalrecipient", "deliveredto")
_TEXT = ("textdocument", "bodyplain", "plainbody", "textbody", "bodytext", "plaintext", "content")
_HTML = ("htmldocument", "bodyhtml", "htmlbody", "html")
_MESSAGE_ID = ("messageid",)
_MAPPED = ("email", "name", "subject", "body")
# They differ from one delivery of a mail to the next.
_TIMES = ("receivedat", "processedat", "createdat", "received", "processed", "date", "time")


@dataclass(frozen=True)
class _Rows:
    """The rows of a request, whatever they are, and the files that came with them."""

    rows: list[Any]
    files: tuple[File, ...] = ()


class RowsSource(Source):
    """A parser's source: each row of a request is an event. A vendor is its name and its ids' columns."""

    content_types = (
        "application/json",
        "text/json",
        "text/plain",
        URLENCODED,
        MULTIPART,
    )
    # Columns that may hold the vendor's own id, the likeliest first.
    id_columns: ClassVar[tuple[str, ...]]
    # The rows of one table have one id, and may come one by one as well.

    def identify(self, verified: Verified) -> list[Part]:
        """Give each row, known by its id or else by what it says."""
        return _parts(_read(verified.request), self._ids())

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event of one row."""
        return _event(_read(verified.request), part, self._ids(), self.options.fields)

    def _ids(self) -> tuple[str, ...]:
        """Give the columns that may hold the id: the channel's own first."""
        own = self.options.fields.get("id")
        return (own, *self.id_columns) if own else self.id_columns


def _read(request: InboundRequest) -> _Rows:
    """Give the rows: an object or a form is one, a list has several. Raises UnreadableError."""
    files: tuple[File, ...] = ()
    if request.content_type in (URLENCODED, MULTIPART):
        form = read_form(request)
        files = tuple(
            File(each.filename, each.content_type, len(each.content)) for each in form.files if each.filename
        )
        names = dict.fromkeys(name for name, _ in form.fields)
        if len(names) == 1 and next(iter(names)) in _WRAPPERS:
            value = read_json(form.fields[-1][1])
        else:
            gathered: dict[str, list[str]] = {name: [] for name in names}
            for name, raw in form.fields:
                gathered[name].append(decode(raw))
            value = {name: texts[0] if len(texts) == 1 else texts for name, texts in gathered.items()}
    else:
        value = read_json(request.body)
    if isinstance(value, str):
        # JSON in a JSON string, as no-code tools write it.
        try:
            value = read_json(value.encode())
        except UnreadableError as error:
            raise UnreadableError("the body is a text in JSON, and no JSON stands in it") from error
    return _Rows(batch(value, "rows"), files)


def _parts(rows: _Rows, ids: Sequence[str]) -> list[Part]:
    """Give each row, known by the first of these columns that it has, with what it says.

    The rows of one table share an id, and a document whose layout was mended comes again under its own.
    """
    parts = []
    for place, row in enumerate(rows.rows):
        told = _id(row, ids)
        key = vendor_key("document", f"{told}:{_content(row, ids)}") if told else canonical_key(row)
        parts.append(Part((key,), str(place)))
    return parts


def _event(rows: _Rows, part: Part, ids: Sequence[str], mapping: Mapping[str, str]) -> InboundEvent:
    """Make the event of a row; raises UnreadableError where what the channel names is not there.

    That is what a mail looks like whose layout the parser's rules do not know.
    """
    row = item_of(rows.rows, part)
    if not isinstance(row, dict):
        raise UnreadableError("not an object with fields, nor a list of such")
    answers = _answers(row, {_plain(name) for name in ids}, {mapping.get(name, "") for name in _MAPPED})
    _check(answers, mapping)
    known = {_plain(answer.key): at for at, answer in reversed(list(enumerate(answers)))}
    gone = {known[name] for name in (*_TO, *_HTML, *_MESSAGE_ID) if name in known}
    recipient = _address(answers, known, _TO)
    rest = [answer for at, answer in enumerate(answers) if at not in gone]
    finder = Finder(rest, mapping)
    at = {_plain(answer.key): place for place, answer in reversed(list(enumerate(rest)))}
    sender, used = _sender(finder, at)
    body_at = _first(at, _TEXT) if finder.body_at() is None else finder.body_at()
    html_at = _first(known, _HTML)
    body = rest[body_at].value if body_at is not None else ""
    if not body and html_at is not None:
        body = html_to_text(answers[html_at].value)
    subject_at = finder.subject_at()
    named = subject_at is not None or finder.body_at() is not None or not body
    subject = header_text(finder.subject() if named else first_line(body))
    told, placed = parted(rest, [*used, finder.spent(subject_at, subject), body_at])
    headers = Headers.of((answer.key.replace("_", "-"), answer.value) for answer in answers)
    return InboundEvent(
        kind="email",
        sender=sender,
        subject=subject,
        body=body,
        asked=finder.asked(),
        answers=told,
        placed=placed,
        files=rows.files,
        recipient=recipient,
        late_keys=_late_keys(row, ids, answers, known),
        ignore=ignore_reason(headers, sender, recipient, None),
    )


def _answers(row: dict[str, Any], ids: set[str], mapped: set[str]) -> list[Answer]:
    told = (
        # `a__b` is how Zapier writes `b` within `a`.
        Answer(label_of(path.replace("__", "_")), text, path)
        for key, value in row.items()
        if key in mapped or key in HONEYPOTS or not is_control(key)
        for path, text in flatten(key, value)
        if text.strip() and (key in mapped or _plain(key) not in ids)
    )
    answers = list(islice(told, MAX_ANSWERS + 1))
    if not answers:
        raise UnreadableError("the parser found nothing in the mail")
    if len(answers) > MAX_ANSWERS:
        raise UnreadableError(f"more than {MAX_ANSWERS} fields")
    return answers


def _check(answers: Sequence[Answer], mapping: Mapping[str, str]) -> None:
    there = {name.strip().lower() for answer in answers for name in (answer.key, answer.label)}
    for name in ("email", "body"):
        wanted = mapping.get(name, "").strip()
        if wanted and wanted.lower() not in there:
            raise UnreadableError(f"the field {wanted!r} is missing or empty: has the mail's layout changed?")


def _sender(finder: Finder, at: Mapping[str, int]) -> tuple[Sender, list[int | None]]:
    """Give who wrote, and the places of the fields that say so and nothing more."""
    names = finder.name_at()
    used = [*map(finder.unasked, names)]
    place = finder.email_at() if finder.mapping.get("email") else _first(at, _FROM)
    named = _first(at, _FROM_NAME)
    if not names and named is not None:
        names, used = (named,), [named]
    name = " ".join(finder.answers[each].value for each in names)
    writers = addresses(finder.answers[place].value) if place is not None else []
    if writers:
        used.append(finder.unasked(place) if finder.mapping.get("email") else place)
        return Sender(name or writers[0].name, writers[0].email), used
    email = finder.email()
    told = [at for at, answer in enumerate(finder.answers) if answer.value == email]
    return Sender(name or finder.mailbox().name, email), [*used, *map(finder.unasked, told[:1])]


def _address(answers: Sequence[Answer], known: Mapping[str, int], names: Iterable[str]) -> str:
    place = _first(known, names)
    found = addresses(answers[place].value) if place is not None else []
    return found[0].email if found else ""


def _late_keys(
    row: dict[str, Any], ids: Sequence[str], answers: Sequence[Answer], known: Mapping[str, int]
) -> tuple[str, ...]:
    place = _first(known, _MESSAGE_ID)
    if place is None:
        return ()
    told = line(answers[place].value).strip("<> ").lower()
    return (f"{vendor_key('mail', told).value}:{_content(row, ids)}",)


def _content(row: dict[str, Any], ids: Sequence[str]) -> str:
    """Give a hash of what the row says, whenever and under whatever id it comes."""
    gone = {*_TIMES, *map(_plain, ids)}
    kept = {key: value for key, value in row.items() if _plain(key) not in gone}
    return canonical_key(kept).value.rpartition(":")[2][:_HASH_CHARS]


def _first(known: Mapping[str, int], names: Iterable[str]) -> int | None:
    return next((known[name] for name in names if name in known), None)


def _id(row: object, ids: Sequence[str]) -> str:
    if not isinstance(row, dict):
        return ""
    told = {_plain(key): scalar_text(value) for key, value in reversed(row.items())}
    return next(filter(None, (told.get(_plain(name), "").strip() for name in ids)), "")


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name.lower()))
