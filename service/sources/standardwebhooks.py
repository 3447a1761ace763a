"""Standard Webhooks: whatever is sent as the specification says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.core.answers import form_event, told
from service.core.json_body import read_object, scalar_text
from service.core.signing.standard import STANDARD_WEBHOOKS, sign_standard, webhook_id
from service.core.source import Part, Source, content_key, vendor_key

if TYPE_CHECKING:
    from service.core.events import InboundEvent
    from service.core.request import InboundRequest
    from service.core.signing import Scheme, Verified


class StandardWebhooks(Source):
    """JSON from any sender that follows Standard Webhooks, or sends through Svix.

    Authentication: `webhook-id`, `webhook-timestamp` and `webhook-signature` (or the same with `svix-`);
    one of the `v1,` signatures is the base64 HMAC-SHA256 of id + "." + time + "." + raw body, keyed with
    the base64 after `whsec_`. The time is within five minutes of now, every attempt has its own.

    Identity: `webhook-id`, the same for every attempt.

    Answers: 2xx is success; all else is sent again over some three days. 410, never answered, would
    switch the webhook off.

    Fields: the specification knows `type`, `timestamp` and `data`; `data` is a form whose e-mail, name,
    subject and message are found by what its fields are called. Without `data` the whole body is.

    Docs: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """

    name = "standardwebhooks"
    label = "Standard Webhooks"
    content_types = ("application/json", "application/*+json")

    def scheme(self) -> Scheme:
        """Give the HMAC over id, time and body, within five minutes."""
        return STANDARD_WEBHOOKS

    def identify(self, verified: Verified) -> list[Part]:
        """Give the one message, known by its id."""
        given = webhook_id(verified.request)
        return [Part((vendor_key("webhook", given) if given else content_key(verified.request),))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event: each text of `data` under its path."""
        del part
        body = read_object(verified.request.body)
        inner = body.get("data")
        data = inner if isinstance(inner, dict) else body
        answers, files = told(data)
        return form_event(answers, self.options.fields, files=files, origin=scalar_text(body.get("type")))

    def sign(self, request: InboundRequest, secret: bytes) -> InboundRequest:
        """Set the three headers."""
        return sign_standard(request, secret, self.clock())
