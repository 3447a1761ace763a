"""Resend: received mail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marshmallow import fields

from config.logging import get_logger
from service.core.errors import UnreadableError, VendorAway
from service.core.json_body import Lenient, load, read_object, scalar_text
from service.core.mail import Attachment, Mail, mail_event
from service.core.mail_json import header_pairs, told_pairs
from service.core.mime import read_mail
from service.core.request import Headers
from service.core.signing.standard import STANDARD_WEBHOOKS, sign_standard, webhook_id
from service.core.source import Part, Source, content_key, vendor_key
from service.core.vendor_api import VendorApi, or_nothing

if TYPE_CHECKING:
    from service.core.events import InboundEvent
    from service.core.request import InboundRequest
    from service.core.signing import Scheme, Verified
    from service.core.source import Memory

_RECEIVED = "email.received"
_API = "https://api.resend.com"
_HINT = "It takes a key with full access, not one for sending alone (https://resend.com/api-keys)"
_MAIL = "the mail"
_log = get_logger("vendor")


class Resend(Source):
    """Mail that Resend receives: its webhook names the mail, its API has it.

    Authentication: Svix, which is Standard Webhooks with `svix-id`, `svix-timestamp` and
    `svix-signature`, keyed with the webhook's signing secret (`whsec_…`). Every attempt has a time of
    its own, five minutes from now at the most.

    Identity: `svix-id`, the same for every attempt, and `data.email_id`, the same for a manual replay.
    Other events than `email.received` are not kept.

    Answers: 200 ends it; all else is sent again after 5 s, 5 min, 30 min, 2, 5, 10 and 10 hours.

    Content: a worker reads the mail from `GET /emails/receiving/{email_id}`, and the raw mail from the signed
    address that this names; where there is no raw mail, what Resend made of it.

    Docs: https://resend.com/docs/dashboard/receiving/introduction
    https://resend.com/docs/api-reference/emails/retrieve-received-email
    https://resend.com/docs/webhooks/retries-and-replays
    """

    name = "resend"
    label = "Resend"
    content_types = ("application/json",)
    takes = ()
    needs = ("api_token",)

    def scheme(self) -> Scheme:
        """Give the HMAC over id, time and body, within five minutes."""
        return STANDARD_WEBHOOKS

    def identify(self, verified: Verified) -> list[Part]:
        """Give one mail, known by the message's id and by its own."""
        body = read_object(verified.request.body)
        if body.get("type", _RECEIVED) != _RECEIVED:
            return []
        data = body.get("data")
        told = (
            ("webhook", webhook_id(verified.request)),
            ("email", scalar_text(data.get("email_id")) if isinstance(data, dict) else ""),
        )
        keys = tuple(vendor_key(kind, value) for kind, value in told if value)
        return [Part(keys or (content_key(verified.request),))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event of what the webhook tells: who wrote to whom, the subject, the names of files."""
        del part
        return mail_event(_mail(_received(verified)))

    def complete(self, verified: Verified, part: Part, event: InboundEvent, memory: Memory) -> InboundEvent:
        """Make the event of the mail itself, the raw one if there is any."""
        del part, event
        told, limit = _received(verified), self.options.max_body
        headers = {"Authorization": f"Bearer {self.options.api_token}"}
        base = self.options.api_url or _API
        with VendorApi(self.label, base, headers, memory, hint=_HINT) as api:
            # Inline images stay out of the HTML.
            query = {"html_format": "cid"}
            answer = api.read("emails", "receiving", told["email_id"], what=_MAIL, limit=limit, query=query)
            raw = _raw(api, answer, limit)
        if raw:
            return mail_event(read_mail(raw, recipient=_recipient(told)))
        found = load(_Mail(), answer)
        if not (found.get("text") or found.get("html") or found.get("headers")):
            raise UnreadableError(f"Resend has no content of the mail {told['email_id']}")
        return mail_event(_mail({**told, **found}))

    def sign(self, request: InboundRequest, secret: bytes) -> InboundRequest:
        """Set the three headers."""
        return sign_standard(request, secret, self.clock())


class _File(Lenient):
    filename = fields.String(load_default="", allow_none=True)
    content_type = fields.String(load_default="", allow_none=True)
    size = fields.Integer(load_default=None, allow_none=True)


class _Mail(Lenient):
    writer = fields.String(data_key="from", allow_none=True)
    # Lists of mailboxes.
    to = fields.Raw(allow_none=True)
    cc = fields.Raw(allow_none=True)
    reply_to = fields.Raw(allow_none=True)
    received_for = fields.Raw(allow_none=True)
    subject = fields.String(allow_none=True)
    message_id = fields.String(allow_none=True)
    attachments = fields.List(fields.Nested(_File), allow_none=True)
    # Of the API's answer alone; a header's value may be a list.
    headers = fields.Raw(allow_none=True)
    text = fields.String(allow_none=True)
    html = fields.String(allow_none=True)


class _Received(_Mail):
    email_id = fields.String(required=True)


class _Event(Lenient):
    data = fields.Nested(_Received, required=True)


def _received(verified: Verified) -> dict[str, Any]:
    """Give what the webhook tells, nulls left out."""
    data = load(_Event(), read_object(verified.request.body))["data"]
    return {name: value for name, value in data.items() if value is not None}


def _raw(api: VendorApi, answer: dict[str, Any], limit: int) -> bytes:
    """Give the raw mail, or nothing where it cannot be had."""
    raw = answer.get("raw")
    url = scalar_text(raw.get("download_url")) if isinstance(raw, dict) else ""
    if not url:
        return b""
    # Too large, or its address has expired: there is still what Resend made of it.
    try:
        return or_nothing(lambda: api.download(url, what="the raw mail", limit=limit))
    except VendorAway as error:
        # Where Resend gave what the mail says, its ticket does not wait for another host.
        if not any(scalar_text(answer.get(name)).strip() for name in ("text", "html")):
            raise
        _log.warning("done without", why=str(error))
        return b""


def _recipient(told: dict[str, Any]) -> str:
    return next(iter(_mailboxes(told, "received_for")), "")


def _mailboxes(told: dict[str, Any], name: str) -> list[str]:
    value = told.get(name)
    return list(filter(None, map(scalar_text, value if isinstance(value, list) else [value])))


def _mail(told: dict[str, Any]) -> Mail:
    own = told_pairs(
        From=told.get("writer", ""),
        To=", ".join(_mailboxes(told, "to")),
        Cc=", ".join(_mailboxes(told, "cc")),
        Reply_To=", ".join(_mailboxes(told, "reply_to")),
        Subject=told.get("subject", ""),
        Message_ID=told.get("message_id", ""),
    )
    return Mail(
        headers=Headers.of((*own, *header_pairs(told.get("headers", {})))),
        text=told.get("text", ""),
        html=told.get("html", ""),
        attachments=tuple(
            Attachment(each["filename"] or "", each["content_type"] or "", size=each["size"])
            for each in told.get("attachments", ())
        ),
        recipient=_recipient(told),
    )
