"""MailerSend: inbound mail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marshmallow import fields

from service.core.errors import UnreadableError
from service.core.json_body import Lenient, load, read_object, scalar_text
from service.core.mail import Attachment, Mail, mail_event
from service.core.mail_json import base64_bytes, best_mail, header_pairs, mailbox, told_pairs
from service.core.mail_verdicts import sender_notes
from service.core.request import Headers
from service.core.signing.plain import BodyScheme
from service.core.source import Part, Source, content_key, vendor_key

if TYPE_CHECKING:
    from service.core.events import InboundEvent
    from service.core.request import InboundRequest
    from service.core.signing import Scheme, Verified

_INBOUND = "inbound.message"
_SPF = {"+": "pass", "-": "fail", "~": "softfail"}
_SCHEME = BodyScheme("Signature")


class Mailersend(Source):
    """Mail that an inbound route of MailerSend posts.

    Authentication: `Signature`, hex HMAC-SHA256 of the raw body, keyed with the secret of the inbound
    route (another one than that of MailerSend's event webhooks). No time is signed; a replay is
    caught by its identity.

    Identity: `data.id`. Other events than `inbound.message` are not kept.

    Answers: MailerSend waits 3 seconds and never sends again, whatever the answer.

    Docs: https://developers.mailersend.com/api/v1/inbound.html
    https://www.mailersend.com/help/inbound-route
    """

    name = "mailersend"
    label = "MailerSend"
    content_types = ("application/json",)
    takes = ()

    def scheme(self) -> Scheme:
        """Give the HMAC over the raw body."""
        return _SCHEME

    def identify(self, verified: Verified) -> list[Part]:
        """Give one mail, known by MailerSend's id."""
        body = read_object(verified.request.body)
        if body.get("type", _INBOUND) != _INBOUND:
            return []
        data = body.get("data")
        told = scalar_text(data.get("id")) if isinstance(data, dict) else ""
        return [Part((vendor_key("message", told) if told else content_key(verified.request),))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event of the raw mail, or else of MailerSend's own parsing."""
        del part
        data = load(_Inbound(), read_object(verified.request.body))["data"]
        told = bool(data["text"] or data["html"])
        writer, headers = data["writer"] or {}, header_pairs(data["headers"])
        if not (told or data["raw"] or headers):
            raise UnreadableError("no field of a MailerSend inbound mail")
        own = told_pairs(
            From=writer.get("raw") or mailbox(writer.get("name") or "", writer.get("email") or ""),
            To=(data["recipients"].get("to") or {}).get("raw") or "",
            Subject=data["subject"] or "",
            Date=data["date"] or "",
        )
        envelope = [each["email"] for each in data["recipients"].get("rcptTo") or () if each["email"]]
        parsed = Mail(
            headers=Headers.of((*own, *headers)),
            text=data["text"] or "",
            html=data["html"] or "",
            attachments=tuple(_attachment(each) for each in data["attachments"] or ()),
            recipient=next(iter(envelope), ""),
            envelope_from=(data["sender"] or {}).get("email"),
        )
        return mail_event(best_mail(data["raw"] or "", parsed, told=told), notes=_notes(data))

    def sign(self, request: InboundRequest, secret: bytes) -> InboundRequest:
        """Set the signature over the raw body."""
        return _SCHEME.sign(request, secret)


class _Mailbox(Lenient):
    email = fields.String(load_default=None, allow_none=True)
    name = fields.String(load_default="", allow_none=True)
    raw = fields.String(load_default="", allow_none=True)


class _Recipients(Lenient):
    rcptTo = fields.List(fields.Nested(_Mailbox), allow_none=True)  # noqa: N815 - the vendor's name
    to = fields.Nested(_Mailbox, allow_none=True)


class _File(Lenient):
    file_name = fields.String(load_default="", allow_none=True)
    content_type = fields.String(load_default="", allow_none=True)
    content = fields.String(load_default="", allow_none=True)


class _Data(Lenient):
    recipients = fields.Nested(_Recipients, load_default=dict)
    writer = fields.Nested(_Mailbox, data_key="from", load_default=None, allow_none=True)
    sender = fields.Nested(_Mailbox, load_default=None, allow_none=True)
    subject = fields.String(load_default="", allow_none=True)
    date = fields.String(load_default="", allow_none=True)
    # PHP writes an empty object as a list.
    headers = fields.Raw(load_default=None, allow_none=True)
    text = fields.String(load_default="", allow_none=True)
    html = fields.String(load_default="", allow_none=True)
    raw = fields.String(load_default="", allow_none=True)
    attachments = fields.List(fields.Nested(_File), load_default=list, allow_none=True)
    spf_check = fields.Raw(load_default=None, allow_none=True)
    dkim_check = fields.Raw(load_default=None, allow_none=True)


class _Inbound(Lenient):
    data = fields.Nested(_Data, required=True)


def _notes(data: dict[str, Any]) -> tuple[str, ...]:
    """Give what MailerSend found out: `code` is a qualifier of SPF (RFC 7208, section 4.6.2)."""
    check, signed = data["spf_check"], data["dkim_check"]
    spf = _SPF.get(scalar_text(check.get("code")), "") if isinstance(check, dict) else ""
    return sender_notes(Mailersend.label, spf=spf, signed=signed if isinstance(signed, bool) else None)


def _attachment(each: dict[str, Any]) -> Attachment:
    content = base64_bytes(each["content"] or "")
    return Attachment(each["file_name"] or "", each["content_type"] or "", content)
