"""WPForms: entries that its Webhooks add-on sends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.core.answers import form_event, told
from service.core.forms import URLENCODED
from service.core.json_body import first_text
from service.core.php_fields import read_fields
from service.core.signing.stamped import StampedScheme
from service.core.source import Part, Source, canonical_key, vendor_key

if TYPE_CHECKING:
    from service.core.events import InboundEvent
    from service.core.request import InboundRequest
    from service.core.signing import Scheme, Verified

_SCHEME = StampedScheme("X-WPForms-Webhook-Signature", "v")
_ENTRY = ("entry_id", "Entry ID", "entry-id", "entryId")
_FORM = ("form_id", "Form ID")
_TITLE = ("form_name", "form_title", "Form Name")


class WPForms(Source):
    """Entries that the Webhooks add-on posts, under the keys that the form's author maps.

    Authentication: `X-WPForms-Webhook-Signature: t=<seconds>,v=<hex>`, HMAC-SHA256 of `<seconds>.<body>` with
    the webhook's secret, within five minutes. It can be checked in the format JSON only: in the format
    FORM it covers a JSON text that is never sent. For that leave `secret` out and use a `token`.

    Identity: the entry's id, if the author maps it as `entry_id`; else a hash of the content, for a day.
    `X-WPForms-Webhook-Id` names the webhook and not the entry.

    Answers: one try of up to 60 s, without redirects; a failure is logged there and not repeated.

    Fields: several choices come as `A||B`, a date as `{value, unix}`, a file as a link.

    Docs: https://wpforms.com/docs/how-to-install-and-use-the-webhooks-addon-with-wpforms/
    """

    name = "wpforms"
    label = "WPForms"
    content_types = ("application/json", URLENCODED)

    def scheme(self) -> Scheme:
        """Give the HMAC over time and body."""
        return _SCHEME

    def identify(self, verified: Verified) -> list[Part]:
        """Give the entry, known by its id where the author maps it."""
        body = read_fields(verified.request)
        entry = first_text(body, _ENTRY)
        key = vendor_key("entry", f"{first_text(body, _FORM)}:{entry}") if entry else canonical_key(body)
        return [Part((key,))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event: each field under the author's key."""
        del part
        body = read_fields(verified.request)
        filled = {key: _value(value) for key, value in body.items()}
        answers, files = told(filled, (*_ENTRY, *_FORM, *_TITLE), self.options.fields.values())
        return form_event(answers, self.options.fields, files=files, origin=first_text(body, _TITLE))

    def sign(self, request: InboundRequest, secret: bytes) -> InboundRequest:
        """Set the signature header, as of now."""
        return _SCHEME.sign(request, secret, self.clock())


def _value(value: object) -> object:
    if isinstance(value, dict) and value.keys() == {"value", "unix"}:
        return value["value"]
    return [part.strip() for part in value.split("||")] if isinstance(value, str) and "||" in value else value
