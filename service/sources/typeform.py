"""Typeform: responses to a form."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from marshmallow import fields

from service.core.answers import UNASKED, file_at, form_event, text_of
from service.core.events import Answer
from service.core.json_body import Lenient, Table, Text, flatten, load, read_object, scalar_text
from service.core.signing.plain import BodyScheme
from service.core.source import Part, Source, content_key, vendor_key

if TYPE_CHECKING:
    from service.core.events import InboundEvent
    from service.core.request import InboundRequest
    from service.core.signing import Scheme, Verified

_RECALL = re.compile(r"\{\{(?:field|hidden|var):([^{}]{1,100})\}\}")
_EMPHASIS = re.compile(r"(?<!\w)([*_]{1,2})(?=\S)(.{1,300}?)(?<=\S)\1(?!\w)")
_MAX_TITLE = 2000
_SCHEME = BodyScheme("Typeform-Signature", "sha256=", encoding="base64")


class Typeform(Source):
    """Responses that Typeform posts when somebody submits a form.

    Authentication: `Typeform-Signature: sha256=` + base64 HMAC-SHA256 of the raw body, keyed with the
    webhook's secret. No time is signed; a replay is caught by its identity.

    Identity: `form_response.token`, the response's id; `event_id` beside it. Only
    `event_type: form_response` is kept; partial responses are not.

    Answers: 404 and 410 switch the webhook off at once, which is why a channel never answers them;
    408, 423, 429 and 503 are sent again every few minutes for 10 hours, others over some hours.

    Docs: https://www.typeform.com/developers/webhooks/
    https://www.typeform.com/developers/webhooks/secure-your-webhooks/
    """

    name = "typeform"
    label = "Typeform"
    content_types = ("application/json",)

    def scheme(self) -> Scheme:
        """Give the HMAC over the raw body."""
        return _SCHEME

    def identify(self, verified: Verified) -> list[Part]:
        """Give the response, known by its token and by the event's id."""
        body = read_object(verified.request.body)
        if body.get("event_type", "form_response") != "form_response":
            return []
        response = body.get("form_response")
        token = scalar_text(response.get("token")) if isinstance(response, dict) else ""
        told = (("response", token), ("event", scalar_text(body.get("event_id"))))
        keys = tuple(vendor_key(kind, value) for kind, value in told if value)
        return [Part(keys or (content_key(verified.request),))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event: each answer under its question's title, in the order answered."""
        del part
        response = load(_Event(), read_object(verified.request.body))["form_response"]
        definition = response["definition"] or {}
        given = response["answers"] or []
        for each in given:
            each["field"] = each["field"] or {"id": "", "ref": ""}
        values = {each["field"][name]: _value(each) for each in given for name in ("id", "ref")}
        titles = {each["id"]: _title(each["title"], values) for each in definition.get("fields") or []}
        answers = tuple(
            Answer(
                titles.get(each["field"]["id"]) or each["field"]["ref"] or UNASKED,
                _value(each),
                each["field"]["ref"] or each["field"]["id"],
                each["type"],
            )
            for each in given
        )
        hidden = (pair for name, value in response["hidden"].items() for pair in flatten(name, value))
        return form_event(
            answers,
            self.options.fields,
            hidden=[Answer(name, value, name) for name, value in hidden],
            files=[file_at(each["file_url"]) for each in given if each["file_url"]],
            origin=definition.get("title", ""),
        )

    def sign(self, request: InboundRequest, secret: bytes) -> InboundRequest:
        """Set the signature header."""
        return _SCHEME.sign(request, secret)


class _Field(Lenient):
    id = Text()
    ref = Text()


class _Question(_Field):
    title = Text()


class _Definition(Lenient):
    title = Text()
    questions = fields.List(fields.Nested(_Question), data_key="fields", attribute="fields", allow_none=True)


class _Answer(Lenient):
    class Meta:
        unknown = "include"

    type = Text()
    field = fields.Nested(_Field, load_default=None, allow_none=True)
    file_url = Text()


class _Response(Lenient):
    definition = fields.Nested(_Definition, load_default=None, allow_none=True)
    answers = fields.List(fields.Nested(_Answer), load_default=None, allow_none=True)
    hidden = Table()


class _Event(Lenient):
    form_response = fields.Nested(_Response, required=True)


def _value(answer: dict[str, Any]) -> str:
    """Give an answer as text: its value stands under the name of its type."""
    if answer["file_url"]:
        return file_at(answer["file_url"]).name
    value = answer.get(answer["type"])
    if isinstance(value, dict):
        labels = value.get("labels")
        texts = [value.get("label"), *(labels if isinstance(labels, list) else []), value.get("other")]
        chosen = ", ".join(filter(None, map(scalar_text, texts)))
        return chosen or text_of(value)
    return text_of(value)


def _title(title: str, values: dict[str, str]) -> str:
    """Give a question as the person saw it: recalled answers filled in, marks of emphasis gone."""
    recalled = _RECALL.sub(lambda found: values.get(found.group(1), "…"), title[:_MAX_TITLE])
    return _EMPHASIS.sub(r"\2", recalled)
