"""Formspree: submissions of a form."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from marshmallow import EXCLUDE, Schema, fields

from service.core import signing
from service.core.errors import UnreadableError
from service.core.finder import steers
from service.core.json_body import load, read_object
from service.core.signing import HmacScheme, Signed, Window
from service.core.source import Key, Part, Reply, Source, canonical_key
from service.core.submission import flat, stamped, submission, text_of
from service.core.text import is_address

if TYPE_CHECKING:
    from service.core.events import InboundEvent
    from service.core.request import InboundRequest
    from service.core.signing import Scheme, Verified

_STAMP = "_date"
_HOOK = "X-Hook-Secret"
_SIGNATURE = "Formspree-Signature"
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
        told = body.get("submission")
        key = canonical_key([body.get("form"), body if told is None else told])
        lasting = isinstance(told, dict) and bool(told.get(_STAMP))
        return [Part((Key(key.value, content=not lasting),))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event: each field under its name."""
        del part
        told = load(_Body(), read_object(verified.request.body))["submission"]
        mapped = set(self.options.fields.values())
        answers, files = flat({key: value for key, value in told.items() if key in mapped or not steers(key)})
        if not any(answer.value for answer in answers):
            raise UnreadableError("not a submission of Formspree: nothing was filled in")
        event = submission(answers, self.options.fields, files=files)
        reply_to, subject = text_of(told.get("_replyto")).strip(), text_of(told.get("_subject"))
        return replace(
            event,
            sender=replace(
                event.sender, email=event.sender.email or (reply_to if is_address(reply_to) else "")
            ),
            subject=subject or event.subject,
        )

    def sign(self, request: InboundRequest, secret: bytes) -> InboundRequest:
        """Set the signature header, as of now."""
        stamp = str(int(self.clock()))
        signature = _SCHEME.sign(stamp.encode() + b"." + request.body, secret)
        told = f"t={stamp},v1={signature}"
        return replace(request, headers=request.headers.replaced(Formspree_Signature=told))


def _hook_secret(request: InboundRequest) -> str:
    """Give the secret of a request that does nothing but confirm a REST hook, or nothing."""
    secret = request.headers.get(_HOOK)
    return secret if request.body.strip() in _NOTHING and _PRINTABLE.fullmatch(secret) else ""


def _read(request: InboundRequest) -> Signed:
    return stamped(request.headers.get(_SIGNATURE), request.body, "v1")


_SCHEME = HmacScheme(_read, window=Window(back=300, ahead=300))


class _Body(Schema):
    class Meta:
        unknown = EXCLUDE

    submission = fields.Dict(keys=fields.String(), required=True)
