"""Gravity Forms: entries that its Webhooks add-on sends."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from service.core.answers import UPLOADS, answered, called, form_event, text_of
from service.core.forms import URLENCODED
from service.core.json_body import scalar_text, unpacked
from service.core.php_fields import read_fields
from service.core.source import Part, Source, canonical_key, vendor_key

if TYPE_CHECKING:
    from service.core.events import Answer, File, InboundEvent
    from service.core.signing import Verified

_INPUT = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,9}))?")
# What is kept with an entry and was not filled in by anybody.
_META = frozenset(
    (
        *("id", "entry_id", "form_id", "form_title", "post_id", "date_created", "date_updated"),
        *("is_starred", "is_read", "is_approved", "ip", "source_id", "user_agent", "status", "created_by"),
        *("currency", "payment_status", "payment_date", "payment_amount", "payment_method"),
        *("transaction_id", "transaction_type", "is_fulfilled"),
    )
)
_HIDDEN = frozenset({"source_url", "utm_source", "utm_medium", "utm_campaign"})
# A name's inputs: prefix, first, middle, last, suffix. Checkboxes and addresses begin with 1.
_NAME = frozenset({"2", "3", "4", "6", "8"})


class GravityForms(Source):
    """Entries that the Webhooks add-on posts, JSON or form, raw or with fields of the author's choice.

    Authentication: the add-on does not sign. The channel's `token`, in the URL's path or in a header
    `X-Bridge-Token`, which the add-on can set.

    Identity: `form_id` and `id` of the entry, which *All fields* sends; else a hash of the content,
    for a day.

    Answers: one try; any answer counts as a success there, so nothing is ever sent again.

    Fields: a raw entry has the numbers of its fields for keys (`3`, and `1.3`, `1.6` for the parts of a
    name) and no questions. Parts are joined; several choices and files come as JSON lists in a text.

    Docs: https://docs.gravityforms.com/category/add-ons-gravity-forms/webhooks-add-on/
    https://docs.gravityforms.com/entry-object/
    """

    name = "gravityforms"
    label = "Gravity Forms"
    content_types = ("application/json", URLENCODED)

    def identify(self, verified: Verified) -> list[Part]:
        """Give the entry, known by its form's id and its own."""
        entry = read_fields(verified.request)
        told = scalar_text(entry.get("id")) or scalar_text(entry.get("entry_id"))
        form = scalar_text(entry.get("form_id"))
        return [Part((vendor_key("entry", f"{form}:{told}") if told else canonical_key(entry),))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event: each field once, in the entry's order."""
        del part
        entry = read_fields(verified.request)
        answers: list[Answer] = []
        hidden: list[Answer] = []
        files: list[File] = []
        for key, values in _grouped(entry).items():
            value = unpacked(values[""]) if set(values) == {""} else list(values.values())
            answer, found = answered(_label(key), value, key, folders=UPLOADS)
            files += found
            if _is_name(values):
                name = " ".join(filter(None, map(text_of, values.values())))
                answer = replace(answer, value=name, kind="name")
            (hidden if key in _HIDDEN else answers).append(answer)
        title = scalar_text(entry.get("form_title"))
        return form_event(answers, self.options.fields, hidden=hidden, files=files, origin=title)


def _grouped(entry: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Give the values by field, and in it by input: `1.3` is the input 3 of the field 1."""
    fields: dict[str, dict[str, Any]] = {}
    for key, value in entry.items():
        found = _INPUT.fullmatch(key)
        if found is not None:
            fields.setdefault(found[1], {})[found[2] or ""] = value
        elif key not in _META:
            fields.setdefault(key, {})[""] = value
    return fields


def _is_name(values: dict[str, Any]) -> bool:
    return values.keys() <= _NAME and bool(values.keys() & {"3", "6"})


def _label(key: str) -> str:
    return f"Field {key}" if key.isdigit() else called(key)
