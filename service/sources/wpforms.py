"""WPForms: entries that its Webhooks add-on sends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from service.core.errors import UnreadableError
from service.core.forms import URLENCODED
from service.core.json_body import scalar_text
from service.core.signing.stamped import StampedScheme
from service.core.source import Part, Source, canonical_key, vendor_key
from service.core.submission import flat, read_fields, submission

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
        told = _first(body, _ENTRY)
        key = vendor_key("entry", f"{_first(body, _FORM)}:{told}") if told else canonical_key(body)
        return [Part((key,))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event: each field under the author's key."""
        del part
        body = read_fields(verified.request)
        told = {key: _value(value) for key, value in body.items() if key not in {*_ENTRY, *_FORM, *_TITLE}}
        answers, files = flat(told)
        if not any(answer.value for answer in answers):
            raise UnreadableError("not a WPForms entry: nothing was filled in")
        return submission(answers, self.options.fields, files=files, title=_first(body, _TITLE))

    def sign(self, request: InboundRequest, secret: bytes) -> InboundRequest:
        """Set the signature header, as of now."""
        return _SCHEME.sign(request, secret, self.clock())


def _first(body: dict[str, Any], names: tuple[str, ...]) -> str:
    return next(filter(None, (scalar_text(body.get(name)) for name in names)), "")


def _value(value: object) -> object:
    if isinstance(value, dict) and value.keys() == {"value", "unix"}:
        return value["value"]
    return [part.strip() for part in value.split("||")] if isinstance(value, str) and "||" in value else value
