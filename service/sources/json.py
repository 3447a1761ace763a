"""Plain JSON from anything that can post it: scripts, Zapier, Make, n8n, your own product."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marshmallow import ValidationError

from service.core.canonical import NOT_AN_ADDRESS, Found, read_submission, unwrapped
from service.core.errors import Invalid, UnreadableError
from service.core.forms import URLENCODED, read_form
from service.core.json_body import problems_of, scalar_text
from service.core.source import Part, Source, canonical_key, vendor_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.core.events import InboundEvent
    from service.core.request import InboundRequest
    from service.core.signing import Verified

_DEPTH = 8
_MAX_ITEMS = 50
_TOO_LONG = f"May have {_MAX_ITEMS} items at most."
# Fields of a form that hold the whole submission as JSON.
_WRAPPERS = ("payload", "data")


class Json(Source):
    """A JSON object: `{"subject": "…", "description": "…", "requester": {"email": "…", "name": "…"}}`.

    Everything is optional, but there must be some text: `description` (or `text`, `message`,
    `body`), `subject` (or `title`), `fields` (a list of `{key, label, type, value}` or an object; so may be
    called `questions`, `answers`, `submission` or `data`, with `question` and `answer` inside), or
    any other text, which is told under its key. `email` and `name` may stand for `requester`; without
    either, e-mail, name, subject and message are found as in any form, and what the channel's `fields`
    name comes first. `files` is a list of `{name, url, content_type, size}`, with links to http or https.
    All of it may stand under `data`, as the only item of a list, as JSON in a JSON string, or in the
    field `payload` or `data` of an urlencoded form. No list may have more than 50 items.

    Authentication: the channel's `token` (path, `?token=`, `X-Bridge-Token`, bearer) or `basic`.

    Identity: `Idempotency-Key`, else `webhook-id`, else `submission_id` in the body, else a hash of the
    content, for a day; for good where the body has an `id`.

    Answers: 422 with the fields that are wrong, as application/problem+json; 200 once it is safe.

    Docs: https://datatracker.ietf.org/doc/html/rfc9457
    https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-idempotency-key-header
    """

    name = "json"
    label = "JSON"
    content_types = ("application/json", "text/json", "text/plain", URLENCODED)
    verdict = True

    def identify(self, verified: Verified) -> list[Part]:
        """Give one submission; raises Invalid where the body is no JSON object."""
        headers = verified.request.headers
        body = _read(verified.request).inner
        told = {
            "idempotency": headers.get("Idempotency-Key").strip(),
            "webhook": headers.get("webhook-id").strip(),
            "submission": scalar_text(body.get("submission_id")),
        }
        key, content = (
            next((vendor_key(kind, value) for kind, value in told.items() if value), None),
            canonical_key(body),
        )
        if key is None and (own := scalar_text(body.get("id"))):
            # Often a person's or a form's: good for this content alone.
            key = vendor_key("id", f"{own} {content.value}")
        return [Part((key or content,))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event; raises Invalid naming each field that is wrong."""
        del part
        found, mapping = _read(verified.request), self.options.fields
        try:
            submission = read_submission(found.inner, mapping, strict=True, known=("id",))
        except ValidationError as error:
            raise Invalid("The body is not as documented", problems_of(error, found.path)) from error
        wrong = {f"{found.path}{path}": [NOT_AN_ADDRESS] for path in submission.wrong_addresses(mapping)}
        if wrong:
            raise Invalid("The e-mail address is not one", wrong)
        if not submission.says_something():
            wanted = "Give at least one of description, subject, fields or some other text."
            raise Invalid(wanted, {f"{found.path}description": [wanted]})
        return submission.event(mapping)


def _read(request: InboundRequest) -> Found:
    """Give the object with the submission; raises Invalid."""
    try:
        found = unwrapped(_body(request), strict=True, depth=_DEPTH)
    except UnreadableError as error:
        raise Invalid(f"{str(error)[:1].upper()}{str(error)[1:]}") from error
    long = {path: [_TOO_LONG] for path in _long_lists(found.outer, found.outer_path)}
    if long:
        raise Invalid("A list is too long", long)
    return found


def _body(request: InboundRequest) -> bytes:
    if request.content_type != URLENCODED:
        return request.body
    form = read_form(request)
    name = next((name for name in _WRAPPERS if name in form), None)
    if name is None:
        raise UnreadableError(
            "in a form, the JSON stands in the field payload or data; else send it as application/json"
            " (a form's own fields are for a channel of the source form)"
        )
    return form.raw(name)


def _long_lists(value: dict[str, Any] | list[Any], path: str) -> Iterator[str]:
    """Give the paths of lists with more items than a submission has."""
    if isinstance(value, list) and len(value) > _MAX_ITEMS:
        yield path.removesuffix(".")
    else:
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(inner, dict | list):
                yield from _long_lists(inner, f"{path}{name}.")
