"""Amazon SES: inbound mail through an SNS topic."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from marshmallow import fields

from service.core import signing
from service.core.errors import Unauthorized, UnreadableError
from service.core.json_body import Lenient, load, read_object, scalar_text
from service.core.mail import mail_event
from service.core.mail_headers import told_by
from service.core.mail_json import header_pairs
from service.core.mail_verdicts import sender_notes
from service.core.mime import read_mail
from service.core.request import Headers
from service.core.signing.sns import SnsScheme, is_amazons
from service.core.source import Answers, Part, Reply, Source, SourceOptions, content_key, vendor_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.core.events import InboundEvent
    from service.core.request import InboundRequest
    from service.core.signing import Verified

_MAX_ANSWER = 65_536
_UNKEPT = frozenset({"Signature", "UnsubscribeURL"})
_VERDICTS = ("dmarcVerdict", "spfVerdict", "dkimVerdict", "virusVerdict", "spamVerdict")
_FAIL = "FAIL"


class Ses(Source):
    """Mail that a receipt rule of SES publishes, with its content, to an SNS topic.

    Authentication: SNS signs each message by RSA, with SHA-1 (SignatureVersion 1) or SHA-256 (2). The
    certificate is fetched from `SigningCertURL`, from https://sns.<region>.amazonaws.com only, and kept,
    or pinned by the channel's `certificate`. Anybody's topic is signed by the same key, so only the
    channel's `topics` are taken. Other locks hold beside it. No time is limited: a message may come out
    of a dead-letter queue, a replay is caught by its identity.

    Handshake: the subscription to one of the `topics` is confirmed, by a GET of its `SubscribeURL` at
    the same hosts.

    Identity: SES's `messageId`, the same whichever topic or rule brings the mail, and SNS's `MessageId`.

    Answers: SNS takes a 4xx for handled and never sends again; 503 is sent again, by default 3 times
    20 seconds apart. A certificate that cannot be fetched is a 503, and so is a signature that does not
    hold: it may be a pinned certificate that Amazon has replaced. A topic of somebody else's, and a lock
    of ours, is a 401: SNS sends no password before it was asked for one.

    Docs: https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
    https://docs.aws.amazon.com/ses/latest/dg/receiving-email-notifications-contents.html
    """

    name = "ses"
    label = "Amazon SES"
    # SNS posts JSON and calls it text.
    content_types = ("text/plain", "application/json")
    needs = ("topics",)
    answers = Answers(signature=503)
    locked_by = "certificate"
    takes = ("certificate",)

    def __init__(self, options: SourceOptions, **rest: Callable[[], float]) -> None:
        super().__init__(options, **rest)
        self._scheme = SnsScheme(options.topics, options.certificate, options.fetch)

    def verify(self, request: InboundRequest) -> Verified:
        """Open every lock of the channel, and Amazon's signature in any case."""
        return signing.verify(request, self.options.locks, self._scheme, clock=self.clock, keyless=True)

    def handshake(self, verified: Verified) -> Reply | None:
        """Confirm the subscription to a topic of the channel's; raises Unavailable where Amazon is away."""
        message = read_object(verified.request.body)
        if message.get("Type") != "SubscriptionConfirmation":
            return None
        url = scalar_text(message.get("SubscribeURL"))
        if not is_amazons(url):
            raise Unauthorized("address", "The subscription's address is not one of Amazon's")
        self.options.fetch(url, limit=_MAX_ANSWER)
        return Reply('{"status": "subscribed"}\n', "application/json")

    def identify(self, verified: Verified) -> list[Part]:
        """Give the mail, known by SES's and SNS's ids; what is no mail received is not kept."""
        message = read_object(verified.request.body)
        event = _received(message)
        if event is None:
            return []
        mail = event.get("mail")
        told = (
            ("ses", scalar_text(mail.get("messageId")) if isinstance(mail, dict) else ""),
            ("sns", scalar_text(message.get("MessageId"))),
        )
        keys = tuple(vendor_key(kind, value) for kind, value in told if value)
        return [Part(keys or (content_key(verified.request),))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event of the raw mail in the notification."""
        del part
        event = load(_Received(), _received(read_object(verified.request.body)))
        content, mail, receipt = event.get("content", ""), event.get("mail", {}), event.get("receipt", {})
        recipient = (receipt.get("recipients") or [""])[0]
        if not content:
            raise UnreadableError(
                "the mail itself is not in the notification: let the receipt rule publish to SNS, not S3",
                told_by(_headers(mail), recipient),
            )
        encoding = (receipt.get("action") or {}).get("encoding") or ""
        raw = read_mail(_raw(content, encoding), recipient=recipient, envelope_from=mail.get("source"))
        return mail_event(raw, notes=_notes(receipt))

    def kept(self, request: InboundRequest) -> InboundRequest:
        """Leave out what ends the subscription for whoever opens it, and the signature."""
        message = read_object(request.body)
        rest = {name: value for name, value in message.items() if name not in _UNKEPT}
        return super().kept(replace(request, body=json.dumps(rest).encode()))

    def sign(self, request: InboundRequest, secret: bytes) -> InboundRequest:
        """Sign by a private key of our own: Amazon keeps the real ones."""
        message = read_object(request.body)
        signed = {**message, "Signature": self._scheme.sign(message, secret)}
        return replace(request, body=json.dumps(signed).encode())


def _received(message: dict[str, Any]) -> dict[str, Any] | None:
    """Give SES's event in a message of SNS, or None where it is none of a mail received."""
    try:
        event = read_object(scalar_text(message.get("Message")).encode())
    except UnreadableError:
        # Such as the text by which SES tries the topic.
        return None
    return event if event.get("notificationType") == "Received" else None


def _raw(content: str, encoding: str) -> bytes:
    if encoding.upper() != "BASE64":
        return content.encode()
    try:
        return base64.b64decode(content)
    except (binascii.Error, ValueError) as error:
        raise UnreadableError("the mail in the notification is not base64") from error


def _headers(mail: dict[str, Any]) -> Headers:
    """Give the headers that SES tells beside the mail, as far as they say who wrote and about what."""
    common = mail.get("commonHeaders")
    told = common if isinstance(common, dict) else {}
    names = {"From": "from", "To": "to", "Reply-To": "replyTo", "Subject": "subject"}
    return Headers.of(header_pairs({name: told.get(key) for name, key in names.items()}))


def _notes(receipt: dict[str, Any]) -> tuple[str, ...]:
    """Give what SES found out about the mail, as far as it is certain: a FAIL."""
    dmarc, spf, dkim, virus, spam = (_status(receipt, name) for name in _VERDICTS)
    signed = {"PASS": True, _FAIL: False}.get(dkim)
    return (
        *sender_notes(Ses.label, spf=spf, signed=signed, dmarc=dmarc),
        *([f"A virus was found ({Ses.label})"] if virus == _FAIL else ()),
        *([f"Taken for spam ({Ses.label})"] if spam == _FAIL else ()),
    )


def _status(receipt: dict[str, Any], name: str) -> str:
    verdict = receipt.get(name)
    return scalar_text(verdict.get("status")).upper() if isinstance(verdict, dict) else ""


class _Mail(Lenient):
    source = fields.String(load_default=None, allow_none=True)
    # The mail is worth more than what is said beside it: whatever that is, it keeps nothing back.
    commonHeaders = fields.Raw(allow_none=True)  # noqa: N815 - the vendor's name


class _Action(Lenient):
    encoding = fields.String(load_default="", allow_none=True)


class _Receipt(Lenient):
    recipients = fields.List(fields.String(), load_default=None, allow_none=True)
    action = fields.Nested(_Action, load_default=None, allow_none=True)
    dmarcVerdict = fields.Raw(allow_none=True)  # noqa: N815
    spfVerdict = fields.Raw(allow_none=True)  # noqa: N815
    dkimVerdict = fields.Raw(allow_none=True)  # noqa: N815
    virusVerdict = fields.Raw(allow_none=True)  # noqa: N815
    spamVerdict = fields.Raw(allow_none=True)  # noqa: N815


class _Received(Lenient):
    mail = fields.Nested(_Mail, allow_none=True)
    receipt = fields.Nested(_Receipt, allow_none=True)
    content = fields.String(allow_none=True)
