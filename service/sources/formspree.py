"""Formspree: submissions of a form."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from marshmallow import fields

from service.core import signing
from service.core.answers import form_event, text_of, told
from service.core.events import Answer, Sender
from service.core.json_body import Lenient, load, read_object
from service.core.signing.stamped import StampedScheme
from service.core.source import Key, Part, Reply, Source, canonical_key
from service.core.text import is_address

if TYPE_CHECKING:
    from service.core.events import InboundEvent
    from service.core.request import InboundRequest
    from service.core.signing import Scheme, Verified

_STAMP, _REPLY_TO, _SUBJECT = "_date", "_replyto", "_subject"
_HOOK = "X-Hook-Secret"
_SIGNATURE = "Formspree-Signature"
_SCHEME = StampedScheme(_SIGNATURE, "v1")
_PRINTABLE = re.compile(r"[!-~]{1,200}")
# What a request without anything to say may hold.
_NOTHING = frozenset({b"", b"{}", b"null"})


class Formspree(Source):
    """Submissions that Formspree's webhook posts.

    Authentication: `Formspree-Signature: t=<seconds>,v1=<hex>`, HMAC-SHA256 of `<seconds>.<body>` with the
    webhook's secret, within five minutes.

    Handshake: the type *REST hook* first posts nothing but `X-Hook-Secret`, which is sent back. Nobody says
    that this is signed, so the channel's `secret` is not asked for; its `token` and `basic` are.

    Identity: no id is sent. A hash of form and submission: for good where `_date` says when it was made, else
    for a day.

    Answers: any 2xx. Nothing is documented of what Formspree does on a failure.

    Fields: `{"form", "submission": {<name>: <value>}, "keys"}`, called as in the HTML, without labels.
    `_replyto` and `_subject` stand in for an address and a subject that nobody typed. An empty body, as the
    type *Build hook* sends, makes no ticket.

    Docs: https://help.formspree.io/hc/en-us/articles/360015234873-Webhooks
    https://resthooks.org/docs/security/
    https://help.formspree.io/hc/en-us/articles/49066877608723
    """

    name = "formspree"
    label = "Formspree"
    content_types = ("application/json", "")

    def scheme(self) -> Scheme:
        """Give the HMAC over time and body."""
        return _SCHEME

    def verify(self, request: InboundRequest) -> Verified:
        """Open every lock of the channel; for a confirmation, which holds nothing, all but the signature."""
        if not _hook_secret(request) or request.headers.all(_SIGNATURE):
            return super().verify(request)
        return signing.verify(request, replace(self.options.locks, secrets=()), clock=self.clock)

    def handshake(self, verified: Verified) -> Reply | None:
        """Send the secret of a REST hook back; nothing of such a request is kept."""
        secret = _hook_secret(verified.request)
        return Reply("", headers=((_HOOK, secret),)) if secret else None

    def identify(self, verified: Verified) -> list[Part]:
        """Give the submission, known by all it says; nothing where the body is empty."""
        if not verified.request.body.strip():
            return []
        body = read_object(verified.request.body)
        filled = body.get("submission")
        key = canonical_key([body.get("form"), body if filled is None else filled])
        lasting = isinstance(filled, dict) and bool(filled.get(_STAMP))
        return [Part((Key(key.value, content=not lasting),))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event: each field under its name."""
        del part
        filled = load(_Body(), read_object(verified.request.body))["submission"]
        mapped = self.options.fields.values()
        answers, files = told(filled, mapped=mapped)
        if _SUBJECT not in mapped:
            # Last: a subject that somebody typed goes before it.
            answers.append(Answer("Subject", text_of(filled.get(_SUBJECT)), _SUBJECT))
        reply_to = text_of(filled.get(_REPLY_TO)).strip()
        return form_event(
            answers,
            self.options.fields,
            files=files,
            sender=Sender(email=reply_to if is_address(reply_to) else ""),
        )

    def sign(self, request: InboundRequest, secret: bytes) -> InboundRequest:
        """Set the signature header, as of now."""
        return _SCHEME.sign(request, secret, self.clock())


def _hook_secret(request: InboundRequest) -> str:
    """Give the secret of a request that does nothing but confirm a REST hook, or nothing."""
    secret = request.headers.get(_HOOK)
    return secret if request.body.strip() in _NOTHING and _PRINTABLE.fullmatch(secret) else ""


class _Body(Lenient):
    submission = fields.Dict(keys=fields.String(), required=True)
