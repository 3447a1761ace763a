"""Forward Email: mail of an alias that forwards to a webhook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marshmallow import fields

from service.core.errors import UnreadableError
from service.core.json_body import Lenient, load, read_object
from service.core.mail import Attachment, Mail, mail_event
from service.core.mail_json import base64_bytes, best_mail, told_pairs
from service.core.request import Headers
from service.core.signing.plain import BodyScheme
from service.core.source import Part, Source, content_key

if TYPE_CHECKING:
    from service.core.events import InboundEvent
    from service.core.request import InboundRequest
    from service.core.signing import Scheme, Verified

_SCHEME = BodyScheme("X-Webhook-Signature")


class Forwardemail(Source):
    """Mail that a Forward Email alias posts to a URL.

    Authentication: `X-Webhook-Signature`, hex HMAC-SHA256 of the raw body, keyed with the domain's
    webhook key. No time is signed; a replay is caught by its identity.

    Identity: Forward Email names none: a hash of the body, and then the mail's Message-ID with a hash
    of what it says.

    Answers: exactly 200 is success. It tries twice, 2 seconds apart, and then hands the failure to the
    sending server, which tries again on its own schedule. A wrong signature is a 401.

    Docs: https://forwardemail.net/en/faq#do-you-support-webhooks
    """

    name = "forwardemail"
    label = "Forward Email"
    content_types = ("application/json",)
    takes = ()

    def scheme(self) -> Scheme:
        """Give the HMAC over the raw body."""
        return _SCHEME

    def identify(self, verified: Verified) -> list[Part]:
        """Give one mail, known by its body."""
        return [Part((content_key(verified.request),))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event of the raw mail, or else of Forward Email's own parsing."""
        del part
        # Each byte of a file is a number.
        body = load(_Inbound(), read_object(verified.request.body, pieces=len(verified.request.body)))
        if not body:
            raise UnreadableError("no field of a Forward Email mail")
        session = body.get("session", {})
        told = bool(body.get("text") or body.get("html"))
        own = told_pairs(
            From=_text(body.get("writer")),
            To=_text(body.get("to")),
            Reply_To=_text(body.get("reply_to")),
            Subject=body.get("subject", ""),
            Date=body.get("date", ""),
            Message_ID=body.get("message_id", ""),
        )
        parsed = Mail(
            headers=Headers.of((*own, *(_header(each["line"]) for each in body.get("lines", [])))),
            text=body.get("text", ""),
            html=_html(body.get("html")),
            attachments=tuple(
                Attachment(each["filename"] or "", each["contentType"] or "", _content(each["content"]))
                for each in body.get("attachments", [])
            ),
            recipient=session.get("recipient") or next(iter(body.get("recipients", [])), ""),
            envelope_from=session.get("sender"),
        )
        return mail_event(best_mail(body.get("raw", ""), parsed, told=told))

    def sign(self, request: InboundRequest, secret: bytes) -> InboundRequest:
        """Set the signature over the raw body."""
        return _SCHEME.sign(request, secret)


class _File(Lenient):
    filename = fields.String(load_default="", allow_none=True)
    contentType = fields.String(load_default="", allow_none=True)  # noqa: N815 - the vendor's name
    content = fields.Raw(load_default=None, allow_none=True)


class _Session(Lenient):
    recipient = fields.String(allow_none=True)
    sender = fields.String(allow_none=True)


class _Line(Lenient):
    line = fields.String(required=True)


class _Inbound(Lenient):
    writer = fields.Raw(data_key="from", allow_none=True)
    to = fields.Raw(allow_none=True)
    reply_to = fields.Raw(data_key="replyTo", allow_none=True)
    subject = fields.String(allow_none=True)
    date = fields.String(allow_none=True)
    message_id = fields.String(data_key="messageId", allow_none=True)
    lines = fields.List(fields.Nested(_Line), data_key="headerLines", allow_none=True)
    text = fields.String(allow_none=True)
    # `false` where the mail has none.
    html = fields.Raw(allow_none=True)
    raw = fields.String(allow_none=True)
    recipients = fields.List(fields.String(), allow_none=True)
    session = fields.Nested(_Session, allow_none=True)
    attachments = fields.List(fields.Nested(_File), allow_none=True)


def _text(told: object) -> str:
    """Give an address header, as an object with its text or a list of such objects."""
    each = told if isinstance(told, list) else [told]
    texts = [item.get("text") for item in each if isinstance(item, dict)]
    return ", ".join(text for text in texts if isinstance(text, str))


def _html(told: object) -> str:
    return told if isinstance(told, str) else ""


def _header(whole: str) -> tuple[str, str]:
    name, _, value = whole.partition(":")
    return name.strip(), value.strip()


def _content(told: Any) -> bytes:  # noqa: ANN401 - what JSON made of a Buffer
    """Give the bytes of a Node.js Buffer in JSON, a list of numbers, or of base64."""
    data = told.get("data") if isinstance(told, dict) else told
    if isinstance(data, str):
        return base64_bytes(data)
    try:
        return bytes(data) if isinstance(data, list) else b""
    except (TypeError, ValueError):
        # Something in it is no number, or none of a byte.
        return b""
