"""ImprovMX: mail of an alias that forwards to a webhook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marshmallow import fields

from service.core.errors import UnreadableError
from service.core.json_body import Lenient, load, read_object
from service.core.mail import Attachment, Mail, mail_event
from service.core.mail_json import base64_bytes, header_pairs, mailbox, told_pairs
from service.core.request import Headers
from service.core.source import Part, Source, content_key

if TYPE_CHECKING:
    from service.core.events import InboundEvent
    from service.core.signing import Verified


class Improvmx(Source):
    """Mail that an ImprovMX alias posts to a URL.

    Authentication: none of ImprovMX's own: a `token` in the URL's path.

    Identity: ImprovMX names none: a hash of the body, and then `message-id` with a hash of what the
    mail says.

    Answers: 2xx is success; all else is sent again twice, and then no more. A wrong token is a 401.

    Docs: https://improvmx.com/webhooks
    """

    name = "improvmx"
    label = "ImprovMX"
    content_types = ("application/json",)
    takes = ()

    def identify(self, verified: Verified) -> list[Part]:
        """Give one mail, known by its body."""
        return [Part((content_key(verified.request),))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event of what ImprovMX made of the mail."""
        del part
        body = load(_Inbound(), read_object(verified.request.body))
        if not body:
            raise UnreadableError("no field of an ImprovMX mail")
        listed = Headers.of(header_pairs(body.get("headers", {})))
        own = told_pairs(
            From=_mailbox(body.get("writer", {})),
            To=", ".join(map(_mailbox, body.get("to", []))),
            Subject=body.get("subject", ""),
            Date=body.get("date", ""),
            Message_ID=body.get("message_id", ""),
        )
        returned = body.get("return_path", {})
        files = (*body.get("inlines", []), *body.get("attachments", []))
        delivered = listed.get("Delivered-To")
        return mail_event(
            Mail(
                headers=Headers((*own, *listed.pairs)),
                text=body.get("text", ""),
                html=body.get("html", ""),
                attachments=tuple(
                    Attachment(each["name"] or "", each["type"] or "", base64_bytes(each["content"] or ""))
                    for each in files
                ),
                recipient=delivered if "@" in delivered else "",
                # `return-path` is empty for a mail without one, and for a bounce `<>`.
                envelope_from=returned.get("email") or None,
            )
        )


class _Mailbox(Lenient):
    name = fields.String(load_default="", allow_none=True)
    email = fields.String(load_default="", allow_none=True)


class _File(Lenient):
    name = fields.String(load_default="", allow_none=True)
    type = fields.String(load_default="", allow_none=True)
    content = fields.String(load_default="", allow_none=True)


class _Inbound(Lenient):
    headers = fields.Dict(keys=fields.String(), allow_none=True)
    to = fields.List(fields.Nested(_Mailbox), allow_none=True)
    writer = fields.Nested(_Mailbox, data_key="from", allow_none=True)
    subject = fields.String(allow_none=True)
    message_id = fields.String(data_key="message-id", allow_none=True)
    date = fields.String(allow_none=True)
    return_path = fields.Nested(_Mailbox, data_key="return-path", allow_none=True)
    text = fields.String(allow_none=True)
    html = fields.String(allow_none=True)
    inlines = fields.List(fields.Nested(_File), allow_none=True)
    attachments = fields.List(fields.Nested(_File), allow_none=True)


def _mailbox(each: dict[str, Any]) -> str:
    return mailbox(each.get("name") or "", each.get("email") or "")
