"""Standard Webhooks: whatever is sent as the specification says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.core.canonical import read_submission, unwrapped
from service.core.errors import UnreadableError
from service.core.json_body import scalar_text
from service.core.signing.standard import STANDARD_WEBHOOKS, sign_standard, webhook_id
from service.core.source import Part, Source, content_key, vendor_key

if TYPE_CHECKING:
    from service.core.events import InboundEvent
    from service.core.request import InboundRequest
    from service.core.signing import Scheme, Verified

# A trial is short; only for that is a body read at the door.
_TRIAL_BYTES = 1000
_TRIALS = ("ping", "test")


class StandardWebhooks(Source):
    """JSON from any sender that follows Standard Webhooks, or sends through Svix.

    Authentication: `webhook-id`, `webhook-timestamp` and `webhook-signature` (or the same with `svix-`);
    one of the `v1,` signatures is the base64 HMAC-SHA256 of id + "." + time + "." + raw body, keyed with
    the base64 after `whsec_`. The time is within five minutes of now, every attempt has its own.

    Identity: `webhook-id`, the same for every attempt.

    Answers: 2xx is success; all else is sent again over some three days. 410, never answered, would
    switch the webhook off.

    Fields: the specification knows `type`, `timestamp` and `data`; `data`, or without it the whole body,
    is read as the source `json` reads it, `fields` and `files` too, but nothing is refused: what is not
    as documented is told as it stands. A `ping` or `test` without data makes nothing.

    Docs: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """

    name = "standardwebhooks"
    label = "Standard Webhooks"
    content_types = ("application/json",)

    def scheme(self) -> Scheme:
        """Give the HMAC over id, time and body, within five minutes."""
        return STANDARD_WEBHOOKS

    def identify(self, verified: Verified) -> list[Part]:
        """Give the one message, known by its id; none for a sender's trial."""
        if _is_trial(verified.request.body):
            return []
        given = webhook_id(verified.request)
        return [Part((vendor_key("webhook", given) if given else content_key(verified.request),))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event of `data`."""
        del part
        found, mapping = unwrapped(verified.request.body), self.options.fields
        submission = read_submission(found.inner, mapping)
        return submission.event(mapping, origin=scalar_text(found.outer.get("type")))

    def sign(self, request: InboundRequest, secret: bytes) -> InboundRequest:
        """Set the three headers."""
        return sign_standard(request, secret, self.clock())


def _is_trial(body: bytes) -> bool:
    """Say whether this is `{"type": "ping"}` or `{"type": "webhook.test", "data": {}}`, and nothing else."""
    if len(body) > _TRIAL_BYTES:
        return False
    try:
        message = unwrapped(body).outer
    except UnreadableError:
        return False
    rest = {name: value for name, value in message.items() if name not in {"type", "timestamp", "id"}}
    kind = scalar_text(message.get("type")).lower().rpartition(".")[2]
    return kind in _TRIALS and rest in ({}, {"data": {}}, {"data": None})
