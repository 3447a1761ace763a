"""Postmark: inbound mail."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from marshmallow import fields

from service.core.errors import UnreadableError
from service.core.json_body import Lenient, load, read_object, scalar_text
from service.core.mail import Attachment, Mail, mail_event
from service.core.mime import read_mail
from service.core.request import Headers
from service.core.source import Part, Source, content_key, vendor_key
from service.core.text import line

if TYPE_CHECKING:
    from service.core.events import InboundEvent
    from service.core.signing import Verified


class Postmark(Source):
    """Mail to a Postmark inbound server.

    Authentication: Postmark does not sign. Put `user:password@` in the URL at Postmark and the same
    in the channel's `basic`, or use a `token` in the path.

    Identity: `MessageID`, Postmark's own; the mail's Message-ID stands among `Headers`.

    Answers: exactly 200 is success. 403 ends the attempts for good, so a wrong password is a 401;
    all else is sent again 10 times over some 10 hours.

    Docs: https://postmarkapp.com/developer/webhooks/inbound-webhook
    https://postmarkapp.com/support/article/understanding-inbound-webhook-retries-in-postmark
    """

    name = "postmark"
    label = "Postmark"
    content_types = ("application/json",)
    takes = ()

    def identify(self, verified: Verified) -> list[Part]:
        """Give one mail, known by Postmark's id."""
        told = scalar_text(read_object(verified.request.body).get("MessageID"))
        return [Part((vendor_key("message", told) if told else content_key(verified.request),))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event of the raw mail where Postmark includes it, else of its own parsing."""
        del part
        body = load(_Inbound(), read_object(verified.request.body))
        kind = body.get("RecordType", "Inbound")
        if kind != "Inbound":
            raise UnreadableError(
                f"a Postmark {line(kind)!r} webhook: give this URL to the inbound webhook only"
            )
        headers = Headers.of((each["Name"], each["Value"] or "") for each in body.get("Headers", []))
        recipient = body.get("OriginalRecipient", "")
        raw = body.get("RawEmail", "")
        # Postmark puts the mail into a JSON string: what was not ASCII has lost its bytes.
        if raw.strip() and raw.isascii():
            sender = headers.get("Return-Path") if headers.all("Return-Path") else None
            return mail_event(read_mail(raw.encode(), recipient=recipient, envelope_from=sender))
        if not {"From", "FromFull", "Subject", "TextBody", "HtmlBody"} & body.keys():
            raise UnreadableError("no field of a Postmark inbound mail")
        return mail_event(
            Mail(
                headers=Headers((*_own_headers(body), *headers.pairs)),
                text=body.get("TextBody", ""),
                html=body.get("HtmlBody", ""),
                attachments=tuple(_attachment(each) for each in body.get("Attachments", [])),
                recipient=recipient,
            )
        )


class _Mailbox(Lenient):
    Email = fields.String(load_default="", allow_none=True)
    Name = fields.String(load_default="", allow_none=True)


class _Header(Lenient):
    Name = fields.String(required=True)
    Value = fields.String(load_default="", allow_none=True)


class _File(Lenient):
    Name = fields.String(load_default="", allow_none=True)
    ContentType = fields.String(load_default="", allow_none=True)
    Content = fields.String(load_default="", allow_none=True)
    # The test payload of Postmark's dashboard says Data where mails say Content.
    Data = fields.String(load_default="", allow_none=True)


class _Inbound(Lenient):
    RecordType = fields.String(allow_none=True)
    FromFull = fields.Nested(_Mailbox, allow_none=True)
    From = fields.String(allow_none=True)
    FromName = fields.String(allow_none=True)
    To = fields.String(allow_none=True)
    OriginalRecipient = fields.String(allow_none=True)
    ReplyTo = fields.String(allow_none=True)
    Subject = fields.String(allow_none=True)
    Date = fields.String(allow_none=True)
    TextBody = fields.String(allow_none=True)
    HtmlBody = fields.String(allow_none=True)
    RawEmail = fields.String(allow_none=True)
    Headers = fields.List(fields.Nested(_Header), allow_none=True)
    Attachments = fields.List(fields.Nested(_File), allow_none=True)


def _own_headers(body: dict[str, Any]) -> list[tuple[str, str]]:
    """Give the headers that Postmark takes out of its list."""
    mailbox = body.get("FromFull", {})
    address = mailbox.get("Email") or ""
    name = line(mailbox.get("Name") or body.get("FromName", "")).replace("\\", "").replace('"', "'")
    writer = f'"{name}" <{address}>' if address else body.get("From", "")
    told = {"From": writer, "To": "To", "Reply-To": "ReplyTo", "Subject": "Subject", "Date": "Date"}
    return [(header, writer if header == "From" else body.get(key, "")) for header, key in told.items()]


def _attachment(each: dict[str, Any]) -> Attachment:
    try:
        content = base64.b64decode(each["Content"] or each["Data"] or "")
    except (binascii.Error, ValueError):
        content = b""
    return Attachment(each["Name"] or "", each["ContentType"] or "", content)
