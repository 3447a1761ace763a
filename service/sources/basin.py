"""Basin: submissions of a form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from service.core.answers import file_at, form_event, told
from service.core.forms import URLENCODED
from service.core.json_body import first_text, scalar_text
from service.core.php_fields import pairs_of, read_fields
from service.core.source import Part, Source, canonical_key, vendor_key

if TYPE_CHECKING:
    from service.core.events import File, InboundEvent
    from service.core.signing import Verified

_LINKS = ("attachment_proxy_url", "public_url")
# What Basin adds to what was filled in.
_META = frozenset(
    (
        *("id", "attachments", "form_id", "form_name", "ip", "user_agent", "referrer", "created_at"),
        *("updated_at", "spam", "spam_reason", "webhook_id", "submission_id", "payload_params"),
    )
)


class Basin(Source):
    """Submissions that Basin's webhook posts: JSON, JSON under `data`, or a form.

    Authentication: Basin does not sign. The channel's `token` goes into the URL's path.

    Identity: `id`, the submission's. It stays the same when somebody fires the webhook again by hand.

    Answers: any 2xx; anything else is tried up to 15 times within 24 to 28 hours. Spam is not sent
    unless that is switched on.

    Fields: called as in the HTML, without labels. Files stand in `attachments`, with links.

    Docs: https://docs.usebasin.com/integrations/webhooks
    """

    name = "basin"
    label = "Basin"
    content_types = ("application/json", URLENCODED)

    def identify(self, verified: Verified) -> list[Part]:
        """Give the submission, known by its id."""
        body = _body(verified)
        known = scalar_text(body.get("id"))
        return [Part((vendor_key("submission", known) if known else canonical_key(body),))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event: each field under its name, then the files."""
        del part
        body = _body(verified)
        answers, files = told(body, _META, self.options.fields.values())
        given = [_file(each) for _, each in pairs_of(body.get("attachments"))]
        return form_event(
            answers,
            self.options.fields,
            files=[*given, *files],
            origin=scalar_text(body.get("form_name")),
        )


def _body(verified: Verified) -> dict[str, Any]:
    body = read_fields(verified.request)
    inner = body.get("data")
    return inner if isinstance(inner, dict) else body


def _file(given: dict[str, Any]) -> File:
    name = scalar_text(given.get("filename")) or file_at(first_text(given, reversed(_LINKS))).name
    return file_at(first_text(given, _LINKS), name)
