"""SendGrid Inbound Parse: inbound mail."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from service.core.errors import UnreadableError
from service.core.forms import MULTIPART, Form, read_form
from service.core.json_body import read_json, scalar_text
from service.core.mail import Attachment, Mail, mail_event
from service.core.mail_verdicts import sender_notes
from service.core.mime import read_mail
from service.core.request import Headers
from service.core.signing import Signed, Window
from service.core.signing.ecdsa import EcdsaScheme
from service.core.source import Answers, Part, Source, content_key
from service.core.text import decode

if TYPE_CHECKING:
    from service.core.events import InboundEvent
    from service.core.request import InboundRequest
    from service.core.signing import Scheme, Verified

_HOUR = 3600.0
_PASS = re.compile(r":\s*pass\s*\}", re.IGNORECASE)
_SIGNATURE = "X-Twilio-Email-Event-Webhook-Signature"
_STAMP = "X-Twilio-Email-Event-Webhook-Timestamp"


class SendGrid(Source):
    """Mail that SendGrid's Inbound Parse posts, parsed by SendGrid or raw.

    Authentication: a security policy with a signature, attached to the parse setting. ECDSA over P-256
    and SHA-256: base64 of DER in `X-Twilio-Email-Event-Webhook-Signature`, over the time in
    `X-Twilio-Email-Event-Webhook-Timestamp` + the raw body. The policy's public key, which is base64
    of DER, is the channel's `secret`. Mail is sent again for 72 hours, and nobody says whether it is
    signed anew: up to 75 hours back are taken, a replay is caught by its content.

    Identity: SendGrid gives none. A hash of the body, and once parsed the mail's Message-ID with a
    hash of what it says.

    Answers: 2xx is success, 5xx is sent again for 72 hours, a 4xx drops the mail and tells nobody. So
    a wrong signature is answered 503: mail outlives a key that is wrong for an hour.

    Docs: https://www.twilio.com/docs/sendgrid/for-developers/parsing-email/setting-up-the-inbound-parse-webhook
    https://www.twilio.com/docs/sendgrid/for-developers/parsing-email/securing-your-parse-webhooks
    """

    name = "sendgrid"
    label = "SendGrid"
    content_types = (MULTIPART,)
    takes = ()
    answers = Answers(unauthorized=503)
    locked_by = "secret"

    def scheme(self) -> Scheme:
        """Give the signature by SendGrid's key over time and body."""
        return _SCHEME

    def identify(self, verified: Verified) -> list[Part]:
        """Give one mail, known by what was posted."""
        return [Part((content_key(verified.request),))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event of the raw mail where SendGrid sends it, else of its own parsing."""
        del part
        form = read_form(verified.request)
        recipient, sender = _envelope(form)
        notes = sender_notes(self.label, spf=form.text("SPF"), signed=_signed(form.text("dkim")))
        if "email" in form:
            raw = read_mail(form.raw("email"), recipient=recipient, envelope_from=sender)
            return mail_event(raw, notes=notes)
        if not ("headers" in form or "from" in form):
            raise UnreadableError("no field of SendGrid's Inbound Parse")
        charsets = _object(form, "charsets")
        given = read_mail(form.raw("headers").strip() + b"\r\n\r\n").headers
        named = {name.lower() for name, _ in given}
        told = {name: _text(form, name.lower(), charsets) for name in ("From", "To", "Cc", "Subject")}
        own = [(name, text) for name, text in told.items() if text and name.lower() not in named]
        return mail_event(
            Mail(
                headers=Headers((*given.pairs, *own)),
                text=_text(form, "text", charsets),
                html=_text(form, "html", charsets),
                attachments=tuple(
                    Attachment(each.filename, each.content_type, each.content) for each in form.files
                ),
                recipient=recipient,
                envelope_from=sender,
            ),
            notes=notes,
        )

    def sign(self, request: InboundRequest, secret: bytes) -> InboundRequest:
        """Set time and signature, by a private key of our own: SendGrid keeps the real one."""
        stamp = {_STAMP.replace("-", "_"): str(int(self.clock()))}
        stamped = replace(request, headers=request.headers.replaced(**stamp))
        signature = {_SIGNATURE.replace("-", "_"): _SCHEME.sign(_read(stamped).message, secret)}
        return replace(stamped, headers=stamped.headers.replaced(**signature))


def _read(request: InboundRequest) -> Signed:
    stamp = request.headers.get(_STAMP)
    signed = stamp.encode("utf-8", "surrogatepass") + request.body
    return Signed([request.headers.get(_SIGNATURE)], signed, stamp)


_SCHEME = EcdsaScheme(_read, Window(back=75 * _HOUR, ahead=_HOUR))


def _object(form: Form, name: str) -> dict[str, Any]:
    """Give a field that holds a JSON object, or nothing: the mail is worth more than the field."""
    try:
        value = read_json(form.raw(name))
    except UnreadableError:
        return {}
    return value if isinstance(value, dict) else {}


def _envelope(form: Form) -> tuple[str, str | None]:
    """Give who the mail was really for, and who sent it, where SendGrid knows."""
    envelope = _object(form, "envelope")
    listed = envelope.get("to")
    first = listed[0] if isinstance(listed, list) and listed else listed
    sender = envelope.get("from")
    return scalar_text(first), sender if isinstance(sender, str) else None


def _signed(dkim: str) -> bool | None:
    """Say whether one of `{@a.example : pass}{@b.example : fail}` holds; `none` is a mail without any."""
    return bool(_PASS.search(dkim)) if dkim.strip() else None


def _text(form: Form, name: str, charsets: dict[str, Any]) -> str:
    """Give a field by the charset that SendGrid says it has."""
    return decode(form.raw(name), scalar_text(charsets.get(name)))
