"""Elementor Pro: submissions of its form widget."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from service.core.answers import ANYWHERE, UPLOADS, called, form_event, names_of, text_of, uploads
from service.core.events import Answer
from service.core.forms import URLENCODED, read_form
from service.core.php_fields import nested, pairs_of
from service.core.source import Part, Source, canonical_key
from service.core.text import decode

if TYPE_CHECKING:
    from service.core.events import File, InboundEvent
    from service.core.signing import Verified

# What no person fills in, or should not see again.
_SKIPPED = frozenset({"honeypot", "recaptcha", "recaptcha_v3", "step", "html", "password"})
_META = frozenset(
    {"Date", "Time", "Page URL", "Page Title", "User Agent", "Remote IP", "Powered by", "Credit"}
)
_WHERE = frozenset({"Page URL", "page_url", "Page Title", "page_title"})
_FORM = frozenset({"form_id", "form_name"})


class Elementor(Source):
    """Submissions that the action *Webhook* of Elementor Pro's form posts, with advanced data or without.

    Authentication: Elementor does not sign and sets no headers. The channel's `token` goes into
    the URL's path.

    Identity: a hash of the form and what was filled in, for a day: a double click makes one ticket.

    Answers: only 200 is a success. The visitor waits, as a rule 5 s, and nothing is sent again.

    Fields: always urlencoded. With *Advanced data* `fields[<id>][id|type|title|value|raw_value|required]`,
    `meta[<name>][title|value]`, `form[id|name]`; without it `<label>=<value>` beside `form_id`, `form_name`
    and the page's data. A file is a link.

    Docs: https://elementor.com/help/form-widget-pro/
    https://developers.elementor.com/docs/hooks/forms/
    """

    name = "elementor"
    label = "Elementor Pro"
    content_types = (URLENCODED,)

    def identify(self, verified: Verified) -> list[Part]:
        """Give the submission, known by what was filled in."""
        body = _body(verified)
        answers, hidden, _ = _told(body)
        told = [[answer.key, answer.value] for answer in (*answers, *hidden) if answer.kind != "meta"]
        return [Part((canonical_key([_form(body), told]),))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event: each field under its title or label."""
        del part
        body = _body(verified)
        answers, hidden, files = _told(body)
        return form_event(answers, self.options.fields, hidden=hidden, files=files, origin=_form(body)[1])


def _body(verified: Verified) -> dict[str, Any]:
    form = read_form(verified.request)
    return nested((key, decode(value)) for key, value in form.fields)


def _form(body: dict[str, Any]) -> tuple[str, str]:
    form = body.get("form")
    if isinstance(form, dict):
        return text_of(form.get("id")), text_of(form.get("name"))
    return text_of(body.get("form_id")), text_of(body.get("form_name"))


def _told(body: dict[str, Any]) -> tuple[list[Answer], list[Answer], list[File]]:
    """Give answers, hidden fields and files, whichever of the two shapes the body has."""
    answers: list[Answer] = []
    hidden: list[Answer] = []
    files: list[File] = []
    advanced = isinstance(body.get("fields"), dict | list)
    for answer, value in _advanced(body) if advanced else _simple(body):
        folders = ANYWHERE if answer.kind == "upload" else UPLOADS
        found = uploads(value, folders) if answer.kind != "meta" else []
        files += found
        told = replace(answer, value=names_of(found), kind="file") if found else answer
        (hidden if answer.kind in {"hidden", "meta"} else answers).append(told)
    return answers, hidden, files


def _advanced(body: dict[str, Any]) -> list[tuple[Answer, object]]:
    told = []
    for key, field in pairs_of(body["fields"]):
        kind = text_of(field.get("type"))
        name = text_of(field.get("id")) or key
        if kind not in _SKIPPED:
            value = field.get("value") or field.get("raw_value")
            label = text_of(field.get("title")) or called(name)
            told.append((Answer(label, text_of(value), name, kind), value))
    for key, each in pairs_of(body.get("meta")):
        if key in _WHERE:
            label, value = text_of(each.get("title")) or key, text_of(each.get("value"))
            told.append((Answer(label, value, key, "meta"), value))
    return told


def _simple(body: dict[str, Any]) -> list[tuple[Answer, object]]:
    return [
        (Answer(called(key), text_of(value), key, "meta" if key in _WHERE else ""), value)
        for key, value in body.items()
        if key not in _FORM and (key in _WHERE or key not in _META)
    ]
