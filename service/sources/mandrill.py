"""Mandrill (Mailchimp Transactional): inbound mail in batches."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from marshmallow import fields

from service.core.errors import Unauthorized, UnreadableError
from service.core.forms import URLENCODED, read_form
from service.core.json_body import Lenient, load, read_json
from service.core.mail import Attachment, Mail, mail_event
from service.core.mail_json import (
    base64_bytes,
    batch,
    best_mail,
    header_pairs,
    load_item,
    mailbox,
    told_pairs,
)
from service.core.request import Headers
from service.core.signing import HmacScheme, Signed, basic_of
from service.core.source import Part, Source, canonical_key
from service.core.text import line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.core.events import InboundEvent
    from service.core.request import InboundRequest
    from service.core.signing import Scheme, Verified

# Mandrill tries out a new webhook with no events, signed with this instead of a key.
_PROBE_KEY = b"test-webhook"
_MAX_PROBE = 1000
_MAX_CREDENTIALS = 512
# What may stand in a URL before the `@` without being encoded (RFC 3986), from the least to the most.
_UNQUOTED = ("", "!$&'()*+,;=", "!$&'()*+,;=:")
_ESCAPED = re.compile(rb"%[0-9A-F]{2}")


class Mandrill(Source):
    """Mail to a Mandrill inbound domain.

    Authentication: `X-Mandrill-Signature`, base64 HMAC-SHA1 of the webhook's URL and each POST
    parameter, sorted, name and value, keyed with the webhook's key. The URL is signed as it stands at
    Mandrill, with query and path; behind a proxy `BRIDGE_PUBLIC_URL` has to be right. Where a
    request brings a password, the URL with or without `user:password@` may be signed, percent-encoded
    or not. No time is signed; a replay is caught by its identity.

    Identity: Mandrill names none: a hash of the event, and then the mail's Message-ID with a hash of
    what it says. Each event of a batch is a part of its own, and a broken one keeps no other back.

    Answers: HEAD and a batch without events are probes and get 200. The whole batch is sent again
    until it is answered 200; a wrong signature is a 401.

    Docs: https://mailchimp.com/developer/transactional/docs/inbound-email/
    https://mailchimp.com/developer/transactional/guides/track-respond-activity-webhooks/
    """

    name = "mandrill"
    label = "Mandrill"
    content_types = (URLENCODED,)
    takes = ()

    def scheme(self) -> Scheme:
        """Give the HMAC over the URL and the parameters."""
        return _SCHEME

    def identify(self, verified: Verified) -> list[Part]:
        """Give each event that is a mail, or that cannot be read."""
        return [
            Part((canonical_key(event),), str(place))
            for place, event in enumerate(_events(verified.request))
            if not isinstance(event, dict) or event.get("event", "inbound") == "inbound"
        ]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event of the raw mail, or else of Mandrill's own parsing."""
        message = load_item(_Event(), _events(verified.request), part, "event")["msg"]
        told = {"text", "html"} & {name for name, value in message.items() if value}
        headers = Headers.of(header_pairs(message.get("headers") or {}))
        if not (told or headers.pairs or message.get("raw_msg")):
            raise UnreadableError("no field of a Mandrill inbound mail")
        writer = mailbox(message.get("from_name") or "", message.get("from_email") or "")
        own = told_pairs(From=writer, Subject=message.get("subject") or "")
        parsed = Mail(
            headers=Headers((*(pair for pair in own if not headers.get(pair[0])), *headers.pairs)),
            text=message.get("text") or "",
            html=message.get("html") or "",
            attachments=tuple(_attachments(message)),
            recipient=message.get("email") or "",
        )
        return mail_event(best_mail(message.get("raw_msg") or "", parsed, told=bool(told)))

    def sign(self, request: InboundRequest, secret: bytes) -> InboundRequest:
        """Set the signature over the URL and the parameters."""
        signature = _HMAC.sign(_read(request).message, secret)
        return replace(request, headers=request.headers.replaced(X_Mandrill_Signature=signature))


class _File(Lenient):
    name = fields.String(load_default="", allow_none=True)
    type = fields.String(load_default="", allow_none=True)
    content = fields.String(load_default="", allow_none=True)
    base64 = fields.Boolean(load_default=True, allow_none=True)


class _Message(Lenient):
    raw_msg = fields.String(allow_none=True)
    headers = fields.Dict(keys=fields.String(), allow_none=True)
    text = fields.String(allow_none=True)
    html = fields.String(allow_none=True)
    from_email = fields.String(allow_none=True)
    from_name = fields.String(allow_none=True)
    email = fields.String(allow_none=True)
    subject = fields.String(allow_none=True)
    # PHP writes an empty object as a list.
    attachments = fields.Raw(allow_none=True)
    images = fields.Raw(allow_none=True)


class _Event(Lenient):
    msg = fields.Nested(_Message, required=True)


def _events(request: InboundRequest) -> list[Any]:
    return batch(read_json(read_form(request).raw("mandrill_events")), "events")


def _attachments(message: dict[str, Any]) -> list[Attachment]:
    files: list[Attachment] = []
    for kind in ("attachments", "images"):
        listed = message.get(kind)
        for name, value in listed.items() if isinstance(listed, dict) else ():
            each = load(_File(), value, f"file {line(name)[:80]!r} of {kind}")
            content = each.get("content", "")
            plain = content.encode() if each.get("base64") is False else base64_bytes(content)
            files.append(Attachment(each.get("name", "") or name, each.get("type", ""), plain))
    return files


def _read(request: InboundRequest) -> Signed:
    try:
        form = read_form(request)
    except UnreadableError as error:
        raise Unauthorized("signature", "The signed body cannot be read") from error
    told = b"".join(name.encode() + value for name, value in sorted(form.fields, key=lambda pair: pair[0]))
    scheme, _, rest = request.url.partition("://")
    return Signed(
        signatures=request.headers.all("X-Mandrill-Signature"),
        message=request.url.encode() + told,
        otherwise=(
            b"%b://%b@%b%b" % (scheme.encode(), user, rest.encode(), told)
            for user in _in_url(basic_of(request) or b"")
        ),
    )


def _in_url(credentials: bytes) -> list[bytes]:
    """Give the ways to write `user:password` in a URL: as it is, and percent-encoded more or less."""
    user, _, password = credentials.partition(b":")
    if not credentials or len(credentials) > _MAX_CREDENTIALS:
        return []
    encoded = [f"{quote(user, safe)}:{quote(password, safe)}".encode() for safe in _UNQUOTED]
    lower = [_ESCAPED.sub(lambda found: found[0].lower(), each) for each in encoded]
    return list(dict.fromkeys((credentials, *encoded, *lower)))


_HMAC = HmacScheme(_read, digest="sha1", encoding="base64")


@dataclass(frozen=True)
class _Signature:
    """The HMAC; a batch without events may be signed with the key of the probe as well."""

    def check(self, request: InboundRequest, secrets: Sequence[bytes], now: float) -> None:
        try:
            # Nobody is known yet: no JSON is read, and no large form twice.
            small = len(request.body) <= _MAX_PROBE
            probe = small and read_form(request).raw("mandrill_events").strip() == b"[]"
        except UnreadableError:
            probe = False
        _HMAC.check(request, (*secrets, _PROBE_KEY) if probe else secrets, now)


_SCHEME = _Signature()
