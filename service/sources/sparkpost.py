"""SparkPost (Bird) relay webhooks: inbound mail."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from marshmallow import fields

from service.core.errors import UnreadableError
from service.core.json_body import Lenient, read_json
from service.core.mail import Mail, mail_event
from service.core.mail_json import base64_bytes, batch, best_mail, header_pairs, load_item, told_pairs
from service.core.mime import read_mail
from service.core.request import Headers
from service.core.signing import HeaderSecret
from service.core.source import Part, Source, canonical_key

if TYPE_CHECKING:
    from service.core.events import InboundEvent
    from service.core.request import InboundRequest
    from service.core.signing import Scheme, Verified


class Sparkpost(Source):
    """Mail that a SparkPost relay webhook passes on.

    Authentication: SparkPost does not sign. It sends the webhook's "authentication token" in
    `X-MessageSystems-Webhook-Token`: the channel's `secret`. Its OAuth 2 tokens are not asked for.

    Identity: SparkPost names none: a hash of the message, and then the mail's Message-ID with a hash
    of what it says. Each message of a batch is a part of its own.

    Answers: `[{"msys": {}}]` is a probe and gets 200. All but 200 is sent again up to 7 times, first
    after 5 minutes; a wrong token is a 401.

    Docs: https://developers.sparkpost.com/api/relay-webhooks/
    https://support.sparkpost.com/docs/tech-resources/inbound-email-relay-webhook
    """

    name = "sparkpost"
    label = "SparkPost"
    content_types = ("application/json",)
    takes = ()

    def scheme(self) -> Scheme:
        """Give the token in SparkPost's own header."""
        return HeaderSecret("X-MessageSystems-Webhook-Token")

    def identify(self, verified: Verified) -> list[Part]:
        """Give each relay message, and what cannot be read; probes and other events are left out."""
        return [
            Part((canonical_key(item),), str(place))
            for place, item in enumerate(_items(verified))
            if not isinstance(item, dict)
            or not isinstance(item.get("msys"), dict)
            or "relay_message" in item["msys"]
        ]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event of the raw mail, or else of SparkPost's own parsing."""
        message = load_item(_Item(), _items(verified), part, "message")["msys"]["relay_message"]
        content = message["content"]
        recipient, sender = message["rcpt_to"] or "", message["msg_from"]
        raw = content["email_rfc822"] or ""
        if content["email_rfc822_is_base64"] and raw:
            whole = base64_bytes(raw)
            if whole:
                return mail_event(read_mail(whole, recipient=recipient, envelope_from=sender))
            raw = ""
        told = bool(content["text"] or content["html"])
        headers = header_pairs(content["headers"])
        if not (raw or told or headers):
            raise UnreadableError("no field of a SparkPost relay message")
        own = told_pairs(From=message["friendly_from"] or "", Subject=content["subject"] or "")
        parsed = Mail(
            # What SparkPost lists comes first: `friendly_from` has no name.
            headers=Headers.of((*headers, *own)),
            text=content["text"] or "",
            html=content["html"] or "",
            recipient=recipient,
            envelope_from=sender,
        )
        return mail_event(best_mail(raw, parsed, told=told))

    def sign(self, request: InboundRequest, secret: bytes) -> InboundRequest:
        """Set SparkPost's header."""
        token = secret.decode("latin-1")
        return replace(request, headers=request.headers.replaced(X_MessageSystems_Webhook_Token=token))


class _Content(Lenient):
    email_rfc822 = fields.String(load_default="", allow_none=True)
    email_rfc822_is_base64 = fields.Boolean(load_default=False, allow_none=True)
    text = fields.String(load_default="", allow_none=True)
    html = fields.String(load_default="", allow_none=True)
    subject = fields.String(load_default="", allow_none=True)
    headers = fields.List(fields.Dict(keys=fields.String()), load_default=list, allow_none=True)


class _Message(Lenient):
    content = fields.Nested(_Content, required=True)
    rcpt_to = fields.String(load_default="", allow_none=True)
    msg_from = fields.String(load_default=None, allow_none=True)
    friendly_from = fields.String(load_default="", allow_none=True)


class _Msys(Lenient):
    relay_message = fields.Nested(_Message, required=True)


class _Item(Lenient):
    msys = fields.Nested(_Msys, required=True)


def _items(verified: Verified) -> list[Any]:
    return batch(read_json(verified.request.body), "messages")
