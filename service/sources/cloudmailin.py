"""CloudMailin: inbound mail, normalized, as JSON or multipart."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from marshmallow import fields

from service.core.errors import UnreadableError
from service.core.forms import MULTIPART, Form, read_form
from service.core.json_body import Lenient, load, read_object, scalar_text
from service.core.mail import Attachment, Mail, mail_event
from service.core.mail_json import base64_bytes, header_pairs
from service.core.mail_verdicts import sender_notes
from service.core.request import Headers
from service.core.source import Answers, Part, Source, content_key
from service.core.text import decode

if TYPE_CHECKING:
    from service.core.events import InboundEvent
    from service.core.signing import Verified

_HEADER = re.compile(r"headers\[([^\[\]]{1,200})\](?:\[\d{1,4}\])?")
_FILE = re.compile(r"attachments\[(\d{1,4})\]\[(file_name|content_type|size|url)\]")


class Cloudmailin(Source):
    """Mail to a CloudMailin address, in the formats "JSON (Normalized)" and "Multipart (Normalized)".

    Authentication: CloudMailin does not sign. Put `user:password@` in the target URL and the same in
    the channel's `basic`, or use a `token` in the path.

    Identity: CloudMailin names none: a hash of the body, and then the mail's Message-ID with a hash
    of what it says.

    Answers: our answer is the sending server's. 2xx takes the mail, 4xx bounces it to who wrote, all
    else makes their server try again. So a wrong password is a 503 and no customer reads a bounce
    because of ours.

    Docs: https://docs.cloudmailin.com/http_post_formats/json_normalized/
    https://docs.cloudmailin.com/http_post_formats/multipart_normalized/
    https://docs.cloudmailin.com/receiving_email/http_status_codes/
    """

    name = "cloudmailin"
    label = "CloudMailin"
    content_types = ("application/json", MULTIPART)
    takes = ()
    answers = Answers(unauthorized=503)

    def identify(self, verified: Verified) -> list[Part]:
        """Give one mail, known by its body."""
        return [Part((content_key(verified.request),))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event of what CloudMailin made of the mail."""
        del part
        request = verified.request
        if request.content_type == MULTIPART:
            form = read_form(request)
            spf = form.text("envelope[spf][result]")
            return mail_event(_of_form(form), notes=sender_notes(self.label, spf=spf))
        body = load(_Inbound(), read_object(request.body))
        if not {"headers", "plain", "html"} & body.keys():
            raise UnreadableError("no field of a CloudMailin mail in the normalized format")
        envelope = body.get("envelope", {})
        checked = envelope.get("spf")
        spf = scalar_text(checked.get("result")) if isinstance(checked, dict) else ""
        return mail_event(
            Mail(
                headers=_headers(header_pairs(body.get("headers", {}))),
                text=body.get("plain", ""),
                html=body.get("html", ""),
                attachments=tuple(_attachment(each) for each in body.get("attachments", [])),
                recipient=envelope.get("to") or "",
                envelope_from=envelope.get("from"),
            ),
            notes=sender_notes(self.label, spf=spf),
        )


class _Envelope(Lenient):
    to = fields.String(allow_none=True)
    sender = fields.String(data_key="from", attribute="from", allow_none=True)
    spf = fields.Raw(allow_none=True)


class _File(Lenient):
    file_name = fields.String(load_default="", allow_none=True)
    content_type = fields.String(load_default="", allow_none=True)
    size = fields.Integer(load_default=None, allow_none=True)
    content = fields.String(load_default="", allow_none=True)
    url = fields.String(load_default="", allow_none=True)


class _Inbound(Lenient):
    headers = fields.Dict(keys=fields.String(), allow_none=True)
    envelope = fields.Nested(_Envelope, allow_none=True)
    plain = fields.String(allow_none=True)
    html = fields.String(allow_none=True)
    attachments = fields.List(fields.Nested(_File), allow_none=True)


def _headers(pairs: list[tuple[str, str]]) -> Headers:
    """Give the headers by their own names: normalized, `Message-ID` is `message_id`."""
    return Headers.of((name.replace("_", "-"), value) for name, value in pairs)


def _attachment(each: dict[str, Any]) -> Attachment:
    return Attachment(
        each["file_name"] or "",
        each["content_type"] or "",
        base64_bytes(each["content"] or ""),
        each["size"],
        each["url"] or "",
    )


def _of_form(form: Form) -> Mail:
    """Read the mail of a form with `headers[subject]`, `envelope[to]`, `plain` and `attachments[0]`."""
    pairs = [(found[1], decode(value)) for name, value in form.fields if (found := _HEADER.fullmatch(name))]
    if not pairs and "plain" not in form and "html" not in form:
        raise UnreadableError("no field of a CloudMailin mail in the normalized format")
    stored: dict[str, dict[str, str]] = {}
    for name, value in form.fields:
        if found := _FILE.fullmatch(name):
            stored.setdefault(found[1], {})[found[2]] = decode(value)
    return Mail(
        headers=_headers(pairs),
        text=form.text("plain"),
        html=form.text("html"),
        attachments=(
            *(Attachment(each.filename, each.content_type, each.content) for each in form.files),
            *(_stored(each) for each in stored.values()),
        ),
        recipient=form.text("envelope[to]"),
        envelope_from=form.text("envelope[from]") if "envelope[from]" in form else None,
    )


def _stored(each: dict[str, str]) -> Attachment:
    """Give a file that CloudMailin put into the customer's own store."""
    size = each.get("size", "")
    return Attachment(
        each.get("file_name", ""),
        each.get("content_type", ""),
        size=int(size) if size.isascii() and size.isdigit() and len(size) < 16 else None,  # noqa: PLR2004
        url=each.get("url", ""),
    )
