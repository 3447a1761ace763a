"""Wufoo: entries of a form."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from marshmallow import Schema, fields

from service.core.answers import file_at, form_event, is_link
from service.core.errors import Unauthorized, UnreadableError
from service.core.events import Answer, File
from service.core.forms import URLENCODED, Form, read_form, without_fields
from service.core.json_body import Lenient, Text, load, read_json
from service.core.signing import same
from service.core.source import Part, Source, content_key, vendor_key
from service.core.text import decode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.core.events import InboundEvent
    from service.core.request import InboundRequest
    from service.core.signing import Scheme, Verified

_KEY = "HandshakeKey"
_STRUCTURE = "FieldStructure"
# Kinds of field whose parts are one line together, and those whose parts each have something to say.
_JOINED = {"shortname": " ", "name": " ", "address": ", ", "checkbox": ", "}


class Wufoo(Source):
    """Entries that Wufoo posts, urlencoded, with the structure of the form beside them.

    Authentication: the field `HandshakeKey` in the body, compared with the channel's `secret`. It
    proves who sends, not that nothing was changed on the way.

    Identity: the form's hash with `EntryId`. Without the structure there is no hash: then a hash of the
    body, for a day.

    Answers: not documented; what fails is in the form's error log. Exactly 200 is safe.

    Docs: https://wufoo.github.io/docs/#webhooks
    https://help.surveymonkey.com/en/wufoo/integrations/webhooks/
    """

    name = "wufoo"
    label = "Wufoo"
    content_types = (URLENCODED,)

    def scheme(self) -> Scheme:
        """Give the comparison of the key in the body."""
        return _Handshake()

    def identify(self, verified: Verified) -> list[Part]:
        """Give the entry, known by form and number."""
        form = read_form(verified.request)
        told, entry = _form(form).get("hash"), form.text("EntryId").strip()
        key = vendor_key("entry", f"{told}/{entry}") if told and entry else content_key(verified.request)
        return [Part((key,))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event: each answer under its question, the parts of a question together."""
        del part
        form = read_form(verified.request)
        held = {name: decode(value) for name, value in form.fields}
        listed = _structure(form, _STRUCTURE, _Fields()).get("fields", [])
        answers: list[Answer] = []
        files: list[File] = []
        told: set[str] = set()
        for each in listed:
            told.update((each["id"], *(inner["id"] for inner in each["parts"] or [])))
            link = held.get(f"{each['id']}-url", "").strip()
            answers.append(Answer(each["title"] or each["id"], _value(held, each), each["id"], each["type"]))
            if is_link(link):
                files.append(file_at(link, held.get(each["id"], "")))
        answers += [
            Answer(name, text, name) for name, text in held.items() if _is_field(name) and name not in told
        ]
        return form_event(answers, self.options.fields, files=files, origin=_form(form).get("name", ""))

    def kept(self, request: InboundRequest) -> InboundRequest:
        """Leave the handshake key out."""
        return super().kept(without_fields(request, {_KEY}))

    def sign(self, request: InboundRequest, secret: bytes) -> InboundRequest:
        """Set the key in the body."""
        kept = b"&".join(pair for pair in request.body.split(b"&") if not pair.startswith(b"HandshakeKey="))
        return replace(request, body=kept + b"&" * bool(kept) + urlencode({_KEY: secret}).encode())


class _Handshake:
    """The shared key in the body."""

    def check(self, request: InboundRequest, secrets: Sequence[bytes], now: float) -> None:
        del now
        try:
            given = read_form(request).all(_KEY)
        except UnreadableError as error:
            raise Unauthorized("signature", "The body has no handshake key") from error
        # Of a repeated field any other could be the one that is read later.
        if len(given) != 1 or not any([same(given[0], secret) for secret in secrets]):  # noqa: C419 - no early end
            raise Unauthorized("signature", "The handshake key is missing or wrong")


def _is_field(name: str) -> bool:
    return name.startswith("Field") and name[5:].isdigit()


def _form(form: Form) -> dict[str, Any]:
    return _structure(form, "FormStructure", _Form())


def _structure(form: Form, name: str, schema: Schema) -> dict[str, Any]:
    """Give what a field of JSON holds; nothing where Wufoo was not told to send it."""
    raw = form.raw(name)
    return load(schema, read_json(raw)) if raw.strip() else {}


def _value(held: dict[str, str], each: dict[str, Any]) -> str:
    parts = each["parts"] or []
    if not parts:
        return held.get(each["id"], "")
    texts = [(inner["label"], held.get(inner["id"], "").strip()) for inner in parts]
    kind = each["type"].lower()
    if kind in _JOINED:
        return _JOINED[kind].join(text for _, text in texts if text)
    return ", ".join(f"{label}: {text}" if label else text for label, text in texts if text)


class _Part(Lenient):
    id = Text(data_key="ID")
    label = Text(data_key="Label")


class _Field(_Part):
    title = Text(data_key="Title")
    type = Text(data_key="Type")
    parts = fields.List(fields.Nested(_Part), data_key="SubFields", load_default=None, allow_none=True)


class _Fields(Lenient):
    listed = fields.List(fields.Nested(_Field), data_key="Fields", attribute="fields", allow_none=True)


class _Form(Lenient):
    hash = Text(data_key="Hash")
    name = Text(data_key="Name")
