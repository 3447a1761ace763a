"""Cognito Forms: entries of a form."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from marshmallow import fields

from service.core.answers import MAX_ANSWERS, answered, files_of, form_event, text_of
from service.core.finder import label_of, steers
from service.core.json_body import Lenient, Text, check_path, load, read_object, scalar_text
from service.core.source import Part, Source, content_key, vendor_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from service.core.events import Answer, File, InboundEvent
    from service.core.signing import Verified

_KNOWN = frozenset(("Form", "Entry", "Order", "Id", "id"))
# How Cognito writes out what it holds in parts.
_WHOLE = ("FirstAndLast", "FullInternationalAddress", "FullAddress", "Label")


class Cognito(Source):
    """Entries that Cognito Forms posts as JSON.

    Authentication: none by Cognito Forms: the channel's `token` in the URL.

    Identity: the form's id with the entry's `Id` or number, so that an entry that is updated later
    makes no second ticket.

    Answers: not documented; the entry's audit log shows what failed. Exactly 200 is safe.

    Docs: https://www.cognitoforms.com/support/66/data-integration/webhooks
    """

    name = "cognito"
    label = "Cognito Forms"
    content_types = ("application/json",)

    def identify(self, verified: Verified) -> list[Part]:
        """Give the entry, known by form and number."""
        body = read_object(verified.request.body)
        form, entry = _object(body, "Form"), _object(body, "Entry")
        told = scalar_text(body.get("Id")) or scalar_text(entry.get("Number"))
        at = scalar_text(form.get("Id")) or scalar_text(form.get("InternalName"))
        key = vendor_key("entry", f"{at}/{told}") if at and told else content_key(verified.request)
        return [Part((key,))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event: fields are called by their names, written apart again."""
        del part
        body = read_object(verified.request.body)
        form = load(_Entry(), body).get("form", {})
        answers: list[Answer] = []
        files: list[File] = []
        held = {name: value for name, value in body.items() if name not in _KNOWN}
        # One more than may be, so that it is noticed.
        for answer, found in islice(_fields(held), MAX_ANSWERS + 1):
            answers.append(answer)
            files += found
        return form_event(answers, self.options.fields, files=files, origin=form.get("name", ""))


class _Form(Lenient):
    name = Text(data_key="Name")


class _Entry(Lenient):
    form = fields.Nested(_Form, data_key="Form", allow_none=True)


def _object(body: Mapping[str, object], name: str) -> dict[str, Any]:
    value = body.get(name)
    return value if isinstance(value, dict) else {}


def _fields(held: Mapping[str, object], path: str = "") -> Iterator[tuple[Answer, list[File]]]:
    """Give each field with its files; those of a section one by one."""
    for name, value in held.items():
        if name.startswith("$") or steers(name):
            continue
        files = files_of(value)
        whole = (
            next((value[each] for each in _WHOLE if value.get(each)), None)
            if isinstance(value, dict)
            else None
        )
        key = f"{path}{name}"
        check_path(key)
        if isinstance(value, dict) and not files and whole is None:
            yield from _fields(value, f"{key}.")
        else:
            answer, files = answered(" / ".join(map(label_of, key.split("."))), value, key)
            kind = "name" if isinstance(value, dict) and "FirstAndLast" in value else answer.kind
            yield (
                replace(answer, value=answer.value if files or whole is None else text_of(whole), kind=kind),
                files,
            )
