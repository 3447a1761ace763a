"""Mailgun Routes: inbound mail."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from service.core.errors import Unauthorized, UnreadableError
from service.core.forms import MULTIPART, URLENCODED, Form, read_form, without_fields
from service.core.json_body import read_json, scalar_text
from service.core.mail import Attachment, Mail, mail_event
from service.core.mime import read_mail
from service.core.request import Headers
from service.core.signing import HmacScheme, Signed, Window
from service.core.source import Part, Source, content_key, vendor_key
from service.core.text import decode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.core.events import InboundEvent
    from service.core.request import InboundRequest
    from service.core.signing import Scheme, Verified

_HOUR = 3600.0
_SIGNATURES = ("signature", "parent-signature")
# Fields that Mailgun adds; every header of the mail is posted as a field of its own as well.
_OURS = frozenset(
    (
        "recipient",
        "sender",
        "timestamp",
        "token",
        "signature",
        "parent-signature",
        "message-headers",
        "attachments",
    )
)


class Mailgun(Source):
    """Mail that a Mailgun route forwards, parsed by Mailgun or raw.

    Authentication: fields `timestamp`, `token` and `signature`; the signature is the hex HMAC-SHA256
    of timestamp + token, keyed with the "HTTP webhook signing key" (the channel's `secret`). A
    sub-account's mail also has `parent-signature`, by the parent's key. Of a repeated field the last
    counts. The body is not covered: one token is good for one event, and a `token` or `basic` lock
    beside `secret` is worth having. Mailgun sends again for 8 hours with the signature of the first
    time: up to 24 hours back are taken.

    Identity: `token`. The mail itself: its Message-ID with a hash of what it says, so that one mail
    to two addresses of a channel makes one ticket.

    Answers: exactly 200 is success, 406 drops the mail, all else is sent again at 10, 15, 30
    minutes, 1, 2 and 4 hours. So a wrong signature is a 401, and mail outlives a botched rotation.

    Docs: https://documentation.mailgun.com/docs/mailgun/user-manual/receive-forward-store/receive-http
    https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks
    """

    name = "mailgun"
    label = "Mailgun"
    content_types = (URLENCODED, MULTIPART)
    takes = ()

    def scheme(self) -> Scheme:
        """Give the HMAC over timestamp and token, within a day."""
        return _SCHEME

    def identify(self, verified: Verified) -> list[Part]:
        """Give one mail, known by its token."""
        token = read_form(verified.request).text("token")
        return [Part((vendor_key("token", token) if token else content_key(verified.request),))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event of the raw mail where Mailgun sends it, else of its own parsing."""
        del part
        form = read_form(verified.request)
        sender = form.text("sender") if "sender" in form else None
        if "body-mime" in form:
            raw = form.raw("body-mime")
            return mail_event(read_mail(raw, recipient=form.text("recipient"), envelope_from=sender))
        headers = _headers(form)
        if not headers.pairs:
            raise UnreadableError("no field of a Mailgun route: is this the URL of an event webhook?")
        return mail_event(
            Mail(
                headers=headers,
                text=form.text("body-plain"),
                html=form.text("body-html"),
                attachments=(
                    *(Attachment(each.filename, each.content_type, each.content) for each in form.files),
                    *_stored(form),
                ),
                recipient=form.text("recipient"),
                envelope_from=sender,
            )
        )

    def kept(self, request: InboundRequest) -> InboundRequest:
        """Leave the signatures out: they would hold for any other body, at another channel."""
        return super().kept(without_fields(request, _SIGNATURES))

    def sign(self, request: InboundRequest, secret: bytes) -> InboundRequest:
        """Append timestamp, token and signature of now: the last value of a field is the one meant."""
        given = read_form(request)
        stamp = str(int(self.clock()))
        token = given.text("token") or secrets.token_hex(25)
        signature = _SCHEME.sign((stamp + token).encode(), secret)
        fields = {"timestamp": stamp, "token": token, "signature": signature}
        if request.content_type == URLENCODED:
            added = "".join(f"&{name}={value}" for name, value in fields.items())
            return replace(request, body=request.body + added.encode())
        head, delimiter, tail = _last_delimiter(request.body)
        part = '{}\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
        added = "".join(part.format(delimiter.decode("latin-1"), *pair) for pair in fields.items())
        return replace(request, body=head + added.encode("latin-1") + tail)


def _last_delimiter(body: bytes) -> tuple[bytes, bytes, bytes]:
    """Split a multipart body before its closing delimiter, and give that without its final dashes."""
    start = body.rstrip().rfind(b"\n--") + 1
    return body[:start], body[start:].rstrip().removesuffix(b"--"), body[start:]


def _read(request: InboundRequest) -> Signed:
    try:
        form = read_form(request)
    except UnreadableError as error:
        raise Unauthorized("signature", "The body with the signature cannot be read") from error
    return Signed(
        signatures=[form.text(name) for name in _SIGNATURES],
        message=form.raw("timestamp") + form.raw("token"),
        stamp=form.text("timestamp"),
    )


_SCHEME = HmacScheme(_read, window=Window(back=24 * _HOUR, ahead=_HOUR))


def _listed(form: Form, name: str) -> list[Any]:
    """Give a field that holds a JSON list, or nothing: the mail is worth more than the field."""
    try:
        value = read_json(form.raw(name))
    except UnreadableError:
        return []
    return value if isinstance(value, list) else []


def _stored(form: Form) -> Iterator[Attachment]:
    """Give the files that Mailgun keeps itself, for a route with `store(notify=…)`."""
    for each in _listed(form, "attachments"):
        if isinstance(each, dict):
            size = each.get("size")
            yield Attachment(
                scalar_text(each.get("name")),
                scalar_text(each.get("content-type")),
                size=size if type(size) is int else None,
                url=scalar_text(each.get("url")),
            )


def _headers(form: Form) -> Headers:
    """Give the mail's headers: from the list with their order, or else from the fields."""
    pairs = [
        (item[0], item[1])
        for item in _listed(form, "message-headers")
        if isinstance(item, list) and len(item) == 2 and all(isinstance(each, str) for each in item)  # noqa: PLR2004 - a pair
    ]
    named = {name.lower() for name, _ in pairs}
    others = [
        (name, decode(value))
        for name, value in form.fields
        if name.lower() not in named | _OURS and not name.lower().startswith(("body-", "stripped-"))
    ]
    return Headers.of([*pairs, *others])
