"""Netlify Forms: submissions of a site's forms."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from marshmallow import fields

from service.core.answers import answered, called, form_event, told
from service.core.finder import steers
from service.core.json_body import Lenient, Text, load, read_object, scalar_text
from service.core.signing.jws import JwsScheme
from service.core.source import Part, Source, content_key, vendor_key

if TYPE_CHECKING:
    from service.core.events import Answer, File, InboundEvent
    from service.core.request import InboundRequest
    from service.core.signing import Scheme, Verified

# What Netlify adds to the answers.
_ADDED = frozenset({"ip", "user_agent", "referrer"})
_SCHEME = JwsScheme("X-Webhook-Signature", "netlify")


class Netlify(Source):
    """Submissions that Netlify posts to an outgoing webhook, or hands to a function.

    Authentication: `X-Webhook-Signature` is a JSON web token, HS256 with the notification's "JWS secret
    token"; its claim `iss` is `netlify`, `sha256` the hex hash of the raw body. No time is signed; a
    replay is caught by its identity.

    Identity: the submission's `id`.

    Answers: 2xx is success; Netlify switches a notification off after some failures in a row.

    Docs: https://docs.netlify.com/deploy/deploy-notifications/#payload-signature
    https://docs.netlify.com/manage/forms/notifications/
    """

    name = "netlify"
    label = "Netlify Forms"
    content_types = ("application/json",)

    def scheme(self) -> Scheme:
        """Give the token with the body's hash."""
        return _SCHEME

    def identify(self, verified: Verified) -> list[Part]:
        """Give the submission, known by its id."""
        known = scalar_text(_submission(verified).get("id"))
        return [Part((vendor_key("submission", known) if known else content_key(verified.request),))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event: the answers in the form's order where Netlify tells it."""
        del part
        submission = load(_Submission(), _submission(verified))
        data = submission.get("data", {})
        listed = submission.get("ordered_human_fields", [])
        answers, files = _listed(listed) if listed else told(data, _ADDED, self.options.fields.values())
        event = form_event(answers, self.options.fields, files=files, origin=submission["form_name"])
        trapped = scalar_text(data.get("bot-field")).strip()
        return replace(event, ignore="spam: honeypot") if trapped else event

    def sign(self, request: InboundRequest, secret: bytes) -> InboundRequest:
        """Set the token."""
        token = _SCHEME.sign(request.body, secret)
        return replace(request, headers=request.headers.replaced(X_Webhook_Signature=token))


def _submission(verified: Verified) -> dict[str, Any]:
    """Give the submission: the body itself, or what a function gets as `payload`."""
    body = read_object(verified.request.body)
    inner = body.get("payload")
    return inner if isinstance(inner, dict) else body


class _Human(Lenient):
    title = Text()
    name = Text()
    value = fields.Raw(load_default=None, allow_none=True)


class _Submission(Lenient):
    data = fields.Dict(keys=fields.String(), allow_none=True)
    ordered_human_fields = fields.List(fields.Nested(_Human), allow_none=True)
    form_name = Text()


def _listed(listed: list[dict[str, Any]]) -> tuple[list[Answer], list[File]]:
    answers: list[Answer] = []
    files: list[File] = []
    for each in listed:
        name = each["name"]
        if not steers(name):
            answer, found = answered(each["title"] or called(name), each["value"], name)
            answers.append(answer)
            files += found
    return answers, files
