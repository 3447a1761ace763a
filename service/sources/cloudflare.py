"""Cloudflare Email Workers: raw mail from the Worker that comes with the bridge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.core.errors import UnreadableError
from service.core.mail import mail_event
from service.core.mime import read_mail
from service.core.signing.standard import STANDARD_WEBHOOKS, sign_standard, webhook_id
from service.core.source import Part, Source, content_key, vendor_key

if TYPE_CHECKING:
    from service.core.events import InboundEvent
    from service.core.request import InboundRequest
    from service.core.signing import Scheme, Verified


class Cloudflare(Source):
    """Mail that `deploy/cloudflare-worker.js` posts, byte by byte as it came.

    Authentication: Standard Webhooks over the raw bytes, with the channel's `secret` as the Worker's
    `BRIDGE_SECRET`; the time is within five minutes of now.

    Identity: `webhook-id`, which the Worker makes of the mail and its recipient. The mail itself: its
    Message-ID with a hash of what it says.

    Answers: the Worker takes 200 for success. After anything else it forwards the mail to its
    `FALLBACK` address; without one it refuses the mail, and the sender's own server says so.

    Headers: `X-Envelope-From` and `X-Envelope-To`, as the mail server was told.

    Docs: https://developers.cloudflare.com/email-routing/email-workers/
    https://developers.cloudflare.com/email-routing/email-workers/runtime-api/
    """

    name = "cloudflare"
    label = "Cloudflare Email Routing"
    content_types = ("message/rfc822",)
    takes = ()

    def scheme(self) -> Scheme:
        """Give the HMAC over id, time and mail, within five minutes."""
        return STANDARD_WEBHOOKS

    def identify(self, verified: Verified) -> list[Part]:
        """Give one mail, known by the Worker's id."""
        told = webhook_id(verified.request)
        return [Part((vendor_key("mail", told) if told else content_key(verified.request),))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event of the raw mail."""
        del part
        headers = verified.request.headers
        told = headers.all("X-Envelope-From")
        mail = read_mail(
            verified.request.body,
            recipient=headers.get("X-Envelope-To").strip(),
            envelope_from=told[0] if told else None,
        )
        if not mail.headers.pairs:
            raise UnreadableError("not a mail: it has no header")
        return mail_event(mail)

    def sign(self, request: InboundRequest, secret: bytes) -> InboundRequest:
        """Set the three headers."""
        return sign_standard(request, secret, self.clock())
