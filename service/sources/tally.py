"""Tally: responses to a form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marshmallow import fields, validate

from service.core.answers import ANYWHERE, MAX_ANSWERS, UNASKED, answered, form_event
from service.core.finder import steers
from service.core.json_body import Lenient, Text, load, read_object, scalar_text
from service.core.signing.plain import BodyScheme
from service.core.source import Part, Source, content_key, vendor_key

if TYPE_CHECKING:
    from service.core.events import InboundEvent
    from service.core.request import InboundRequest
    from service.core.signing import Scheme, Verified

_KINDS = {"INPUT_EMAIL": "email"}
_FILES = frozenset({"FILE_UPLOAD", "SIGNATURE"})
_HIDDEN = frozenset({"HIDDEN_FIELDS", "CALCULATED_FIELDS"})
_SCHEME = BodyScheme("Tally-Signature", encoding="base64")


class Tally(Source):
    """Responses that Tally's webhook posts when somebody submits a form.

    Authentication: `Tally-Signature`: base64 HMAC-SHA256 of the raw body, keyed with the webhook's signing
    secret. No time is signed; a replay is caught by its identity.

    Identity: `data.submissionId` or `data.responseId`, and `eventId`. Only
    `eventType: FORM_RESPONSE` is kept.

    Answers: Tally waits 10 s for a 2xx and sends again after 5 min, 30 min, 1 h, 6 h and 24 h.

    Fields: a choice is given by the ids of its options, which are told as their texts. The extra field
    that Tally sends for every option of a checkbox is left out. Hidden and calculated fields are hidden.

    Docs: https://tally.so/help/webhooks
    https://developers.tally.so/api-reference/endpoint/webhooks/post
    """

    name = "tally"
    label = "Tally"
    content_types = ("application/json",)

    def scheme(self) -> Scheme:
        """Give the HMAC over the raw body."""
        return _SCHEME

    def identify(self, verified: Verified) -> list[Part]:
        """Give the response, known by its id and by the event's."""
        body = read_object(verified.request.body)
        if body.get("eventType", "FORM_RESPONSE") != "FORM_RESPONSE":
            return []
        data = body.get("data")
        response = data if isinstance(data, dict) else {}
        told = (
            (
                "response",
                scalar_text(response.get("submissionId")) or scalar_text(response.get("responseId")),
            ),
            ("event", scalar_text(body.get("eventId"))),
        )
        keys = tuple(vendor_key(kind, value) for kind, value in told if value)
        return [Part(keys or (content_key(verified.request),))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event: each answer under its question, in the form's order."""
        del part
        data = load(_Event(), read_object(verified.request.body))["data"]
        extra = {
            f"{field['key']}_{each['id']}" for field in data["fields"] for each in field["options"] or []
        }
        answers, hidden, files = [], [], []
        for field in data["fields"]:
            if field["key"] in extra:
                continue
            kind = _KINDS.get(field["type"], field["type"].lower())
            folders = ANYWHERE if field["type"] in _FILES else ()
            answer, found = answered(field["label"] or UNASKED, _told(field), field["key"], kind, folders)
            files += found
            if field["type"] not in _HIDDEN:
                answers.append(answer)
            elif not steers(answer.label):
                hidden.append(answer)
        title = data["formName"]
        return form_event(answers, self.options.fields, hidden=hidden, files=files, origin=title)

    def sign(self, request: InboundRequest, secret: bytes) -> InboundRequest:
        """Set the signature header."""
        return _SCHEME.sign(request, secret)


class _Option(Lenient):
    id = Text()
    text = Text()


def _options() -> fields.Field[Any]:
    return fields.List(
        fields.Nested(_Option), load_default=None, allow_none=True, validate=validate.Length(max=MAX_ANSWERS)
    )


class _Field(Lenient):
    key = Text()
    label = Text()
    type = Text()
    value = fields.Raw(load_default=None, allow_none=True)
    options = _options()
    rows = _options()
    columns = _options()


class _Data(Lenient):
    formName = Text()  # noqa: N815 - the vendor's word
    questions = fields.List(
        fields.Nested(_Field),
        required=True,
        data_key="fields",
        attribute="fields",
        validate=validate.Length(max=2 * MAX_ANSWERS),
    )


class _Event(Lenient):
    data = fields.Nested(_Data, required=True)


def _told(field: dict[str, Any]) -> object:
    """Give the value with the ids of options, rows and columns as what the person saw."""
    told = {each["id"]: each["text"] for name in ("options", "rows", "columns") for each in field[name] or []}
    return _resolved(field["value"], {name: text for name, text in told.items() if text})


def _resolved(value: object, told: dict[str, str]) -> object:
    if isinstance(value, list):
        return [_resolved(each, told) for each in value]
    if isinstance(value, dict):
        return {told.get(name, name): _resolved(each, told) for name, each in value.items()}
    return told.get(scalar_text(value), value)
