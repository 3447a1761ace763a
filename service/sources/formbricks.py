"""Formbricks: responses to a survey."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marshmallow import fields

from service.core.answers import answered, form_event
from service.core.events import Answer, File, Sender
from service.core.finder import label_of
from service.core.json_body import Lenient, Table, Text, flatten, load, read_object, scalar_text
from service.core.signing.standard import STANDARD_WEBHOOKS, sign_standard, webhook_id
from service.core.source import Part, Source, content_key, vendor_key
from service.core.text import is_address

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from service.core.events import InboundEvent
    from service.core.request import InboundRequest
    from service.core.signing import Scheme, Verified

_FINISHED = "responseFinished"
_UPLOADS = ("/storage/",)


class Formbricks(Source):
    """Finished responses that Formbricks posts, hosted or your own.

    Authentication: Standard Webhooks: `webhook-signature: v1,` + base64 HMAC-SHA256 of id, time and raw
    body, keyed with what follows `whsec_` in the webhook's secret; 5 minutes either way. A server too
    old to sign takes the channel's `token` in the URL.

    Identity: `data.id`, the response's id; `webhook-id` beside it, the same for every attempt. Only
    `responseFinished` is kept: responses created and updated are not whole.

    Answers: network errors, redirects, 408, 429 and 5xx are tried 5 times within 8 minutes, then the
    event is dropped; any other 4xx is not sent again. 5 seconds for an answer.

    Docs: https://formbricks.com/docs/platform/features/integrations/webhooks
    """

    name = "formbricks"
    label = "Formbricks"
    content_types = ("application/json",)

    def scheme(self) -> Scheme:
        """Give the scheme of Standard Webhooks."""
        return STANDARD_WEBHOOKS

    def identify(self, verified: Verified) -> list[Part]:
        """Give the response, known by its own id and the message's."""
        body = read_object(verified.request.body)
        if body.get("event", _FINISHED) != _FINISHED:
            return []
        data = body.get("data")
        told = (
            ("response", scalar_text(data.get("id")) if isinstance(data, dict) else ""),
            ("webhook", webhook_id(verified.request)),
        )
        keys = tuple(vendor_key(kind, value) for kind, value in told if value)
        return [Part(keys or (content_key(verified.request),))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event: answers go by their questions' ids, for Formbricks sends no labels."""
        del part
        response = load(_Event(), read_object(verified.request.body))["data"]
        answers: list[Answer] = []
        files: list[File] = []
        for key, value in response["answers"].items():
            answer, found = answered(label_of(key), value, key, folders=_UPLOADS)
            answers.append(answer)
            files += found
        return form_event(
            answers,
            self.options.fields,
            hidden=_hidden(response),
            files=files,
            origin=(response["survey"] or {}).get("title", ""),
            sender=_contact(response),
        )

    def sign(self, request: InboundRequest, secret: bytes) -> InboundRequest:
        """Set the three headers of Standard Webhooks."""
        return sign_standard(request, secret, self.clock())


def _strings(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _hidden(response: Mapping[str, Any]) -> Iterator[Answer]:
    """Give the variables, what is known of the contact, and the page."""
    asides = (response["variables"], response["attributes"], {"url": response["meta"].get("url")})
    for aside in asides:
        for name, value in aside.items():
            for path, text in flatten(name, value):
                yield Answer(label_of(path), text, path)


def _contact(response: Mapping[str, Any]) -> Sender:
    """Give who wrote: the contact, or the address among the lines of a question for contact details."""
    lines = [each.strip() for value in response["answers"].values() for each in _strings(value)]
    known = response["attributes"]
    name = " ".join(filter(None, (scalar_text(known.get(each)) for each in ("firstName", "lastName"))))
    return Sender(name, next(filter(is_address, (*lines, scalar_text(known.get("email")))), ""))


class _Survey(Lenient):
    title = Text()


class _Response(Lenient):
    answers = fields.Dict(keys=fields.String(), required=True, data_key="data")
    variables = Table()
    attributes = Table(data_key="contactAttributes")
    meta = Table()
    survey = fields.Nested(_Survey, load_default=None, allow_none=True)


class _Event(Lenient):
    data = fields.Nested(_Response, required=True)
