"""Brevo: inbound parsing."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from marshmallow import fields

from service.core.errors import UnreadableError, VendorAway
from service.core.json_body import Lenient, read_object, scalar_text
from service.core.mail import Attachment, Mail, mail_event
from service.core.mail_json import batch, header_pairs, load_item, mailbox, told_pairs
from service.core.mail_shown import MAX_SHOWN, MAX_SIZE, is_shown
from service.core.request import Headers
from service.core.source import Answers, Part, Source, canonical_key, vendor_key
from service.core.vendor_api import VendorApi, or_nothing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.core.events import InboundEvent
    from service.core.signing import Verified
    from service.core.source import Key, Memory

_API = "https://api.brevo.com"
_HINT = "It takes an API key (xkeysib-…), not an SMTP key"


class Brevo(Source):
    """Mail that Brevo's inbound parsing posts; files are fetched by its API where the ticket can show them.

    Authentication: Brevo does not sign. Put `user:password@` in the webhook's URL and the same in the
    channel's `basic`, or use its bearer token as the channel's `token`, or a `token` in the path.

    Identity: `Uuid`, the first of each item. Each item of a batch is a part of its own.

    Answers: Brevo sends again after 10 minutes, 1, 2 and 8 hours where nobody answers or the answer is
    429; any other 4xx and any 5xx drops the mail. So trouble of ours and a wrong password are 429.

    Files: with an `api_token`, a worker reads `GET /v3/inbound/attachments/{DownloadToken}` for invitations,
    forwarded mails and their like. Without it, and where that is refused, all files are named alone.

    Docs: https://developers.brevo.com/docs/inbound-parse-webhooks
    https://developers.brevo.com/reference/get-inbound-email-attachment
    https://developers.brevo.com/docs/secured-webhooks
    https://developers.brevo.com/docs/retry-mechanism
    """

    name = "brevo"
    label = "Brevo"
    content_types = ("application/json",)
    takes = ()
    answers = Answers(unauthorized=429, unavailable=429)

    def identify(self, verified: Verified) -> list[Part]:
        """Give each mail, known by Brevo's id."""
        return [Part((_key(item),), str(place)) for place, item in enumerate(_items(verified))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event of what Brevo made of the mail; it gives no raw one."""
        return mail_event(_mail(_item(verified, part), {}))

    def complete(self, verified: Verified, part: Part, event: InboundEvent, memory: Memory) -> InboundEvent:
        """Show what the files say that can be shown."""
        item, headers = _item(verified, part), {"api-key": self.options.api_token}
        wanted = {each["DownloadToken"]: b"" for each in item.get("Attachments", ()) if _is_wanted(each)}
        if not (wanted and self.options.api_token):
            return event
        with VendorApi(self.label, self.options.api_url or _API, headers, memory, hint=_HINT) as api:
            try:
                for token in list(wanted)[:MAX_SHOWN]:
                    wanted[token] = or_nothing(partial(_content, api, token))
            except VendorAway:
                # Where the mail says something itself, its ticket does not wait.
                said = _mail(item, {})
                if not (said.text.strip() or said.html.strip()):
                    raise
        # A mail is known by what came with the webhook, whatever Brevo gives of the rest this time.
        return replace(mail_event(_mail(item, wanted)), late_keys=event.late_keys)


class _Mailbox(Lenient):
    Name = fields.String(load_default="", allow_none=True)
    Address = fields.String(load_default="", allow_none=True)


class _File(Lenient):
    Name = fields.String(load_default="", allow_none=True)
    ContentType = fields.String(load_default="", allow_none=True)
    ContentLength = fields.Integer(load_default=None, allow_none=True)
    DownloadToken = fields.String(load_default="", allow_none=True)


class _Item(Lenient):
    MessageId = fields.String(allow_none=True)
    From = fields.Nested(_Mailbox, allow_none=True)
    To = fields.List(fields.Nested(_Mailbox), allow_none=True)
    ReplyTo = fields.Nested(_Mailbox, allow_none=True)
    SentAtDate = fields.String(allow_none=True)
    Subject = fields.String(allow_none=True)
    RawTextBody = fields.String(allow_none=True)
    RawHtmlBody = fields.String(allow_none=True)
    ExtractedMarkdownMessage = fields.String(allow_none=True)
    Headers = fields.Dict(keys=fields.String(), allow_none=True)
    Attachments = fields.List(fields.Nested(_File), allow_none=True)


def _item(verified: Verified, part: Part) -> dict[str, Any]:
    return load_item(_Item(), _items(verified), part, "item")


def _mail(item: dict[str, Any], contents: Mapping[str, bytes]) -> Mail:
    """Give the mail; `contents` are those of the files that were fetched, by their tokens."""
    text, html = item.get("RawTextBody", ""), item.get("RawHtmlBody", "")
    headers = header_pairs(item.get("Headers", {}))
    if not (text or html or headers or {"From", "Subject"} & item.keys()):
        raise UnreadableError("no field of a Brevo inbound mail")
    own = told_pairs(
        From=_mailboxes([item.get("From")]),
        To=_mailboxes(item.get("To", [])),
        Reply_To=_mailboxes([item.get("ReplyTo")]),
        Subject=item.get("Subject", ""),
        Date=item.get("SentAtDate", ""),
        Message_ID=item.get("MessageId", ""),
    )
    return Mail(
        headers=Headers.of((*own, *headers)),
        text=text or (item.get("ExtractedMarkdownMessage", "") if not html else ""),
        html=html,
        attachments=tuple(_attachment(each, contents) for each in item.get("Attachments", [])),
    )


def _attachment(file: dict[str, Any], contents: Mapping[str, bytes]) -> Attachment:
    content = contents.get(file["DownloadToken"], b"")
    return Attachment(file["Name"] or "", file["ContentType"] or "", content, file["ContentLength"])


def _is_wanted(file: dict[str, Any]) -> bool:
    small = (file["ContentLength"] or 0) <= MAX_SIZE
    return bool(file["DownloadToken"]) and small and is_shown(file["ContentType"] or "", file["Name"] or "")


def _content(api: VendorApi, token: str) -> bytes:
    return api.content("v3", "inbound", "attachments", token, what="a file", limit=MAX_SIZE)


def _items(verified: Verified) -> list[Any]:
    body = read_object(verified.request.body)
    if "items" not in body:
        raise UnreadableError("no `items`: is this the URL of an event webhook?")
    return batch(body["items"], "items")


def _key(item: object) -> Key:
    told = item.get("Uuid") if isinstance(item, dict) else None
    uuid = next(filter(None, map(scalar_text, told if isinstance(told, list) else [told])), "")
    return vendor_key("uuid", uuid) if uuid else canonical_key(item)


def _mailboxes(told: Sequence[dict[str, Any] | None]) -> str:
    return ", ".join(
        mailbox(each["Name"] or "", each["Address"]) for each in told if each and each["Address"]
    )
