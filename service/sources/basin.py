"""Basin: submissions of a form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from service.core.errors import UnreadableError
from service.core.events import File
from service.core.finder import steers
from service.core.forms import URLENCODED
from service.core.json_body import scalar_text
from service.core.source import Part, Source, canonical_key, vendor_key
from service.core.submission import flat, link_name, pairs_of, read_fields, submission

if TYPE_CHECKING:
    from service.core.events import InboundEvent
    from service.core.signing import Verified

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
        told = scalar_text(body.get("id"))
        return [Part((vendor_key("submission", told) if told else canonical_key(body),))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event: each field under its name, then the files."""
        del part
        body = _body(verified)
        mapped = set(self.options.fields.values())
        told = {
            key: value for key, value in body.items() if key in mapped or not (steers(key) or key in _META)
        }
        answers, files = flat(told)
        given = [_file(each) for _, each in pairs_of(body.get("attachments"))]
        if not (given or any(answer.value for answer in answers)):
            raise UnreadableError("not a submission of Basin: nothing was filled in")
        return submission(
            answers,
            self.options.fields,
            files=[*given, *files],
            title=scalar_text(body.get("form_name")),
        )


def _body(verified: Verified) -> dict[str, Any]:
    body = read_fields(verified.request)
    inner = body.get("data")
    return inner if isinstance(inner, dict) else body


def _file(told: dict[str, Any]) -> File:
    link = scalar_text(told.get("attachment_proxy_url")) or scalar_text(told.get("public_url"))
    return File(
        scalar_text(told.get("filename")) or link_name(scalar_text(told.get("public_url")) or link), url=link
    )
