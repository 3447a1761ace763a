"""Slack: slash commands, and later events and interactivity, at one URL."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from service.core import signing
from service.core.errors import UnreadableError
from service.core.events import Answer, InboundEvent, Sender
from service.core.forms import URLENCODED, Form, read_form
from service.core.json_body import read_object
from service.core.mrkdwn import escape, plain
from service.core.signing import HmacScheme, Locks, Signed, Window
from service.core.source import Part, Reply, Source, content_key, vendor_key
from service.core.text import first_line

if TYPE_CHECKING:
    from service.core.request import InboundRequest
    from service.core.signing import Scheme, Verified

_VERSION = "v0="
_JSON = "application/json"
_WINDOW = 300.0


class Slack(Source):
    """A slash command whose text becomes a ticket: `/ticket The printer is on fire`.

    Authentication: `X-Slack-Signature: v0=` + hex HMAC-SHA256 of `v0:<timestamp>:<raw body>`, keyed
    with the app's signing secret (the channel's `secret`; a list while rotating), the time in
    `X-Slack-Request-Timestamp` at most 5 minutes off. The body's `token` is deprecated and not used.
    `ssl_check`, which only asks whether the certificate is good, needs no signature and makes nothing.

    Identity: `trigger_id`.

    Answers: 200 within 3 seconds, or the person sees a time-out; a command is never sent again. What
    is not served (events, buttons, modals) is answered with an empty 200, so that Slack neither
    retries nor switches the subscription off.

    Docs: https://docs.slack.dev/authentication/verifying-requests-from-slack
    https://docs.slack.dev/interactivity/implementing-slash-commands
    """

    name = "slack"
    label = "Slack"
    content_types = (URLENCODED, _JSON)
    lane = "person"

    def scheme(self) -> Scheme:
        """Give the HMAC over version, time and raw body, within five minutes."""
        return _SCHEME

    def verify(self, request: InboundRequest) -> Verified:
        """Open the locks; a bare `ssl_check` has none, since nothing comes of it."""
        if _is_ssl_check(request):
            return signing.verify(request, Locks())
        return super().verify(request)

    def handshake(self, verified: Verified) -> Reply | None:
        """Answer everything that makes no ticket: challenges, checks, `help`, and what is not served yet."""
        request = verified.request
        try:
            if request.content_type == _JSON:
                return _answer_event(read_object(request.body))
            form = read_form(request)
        except UnreadableError:
            # No challenge, at any rate: `identify` says what is wrong.
            return None
        if _is_ssl_check(request) or "command" not in form:
            return Reply("")
        if _text(form).lower() in {"", "help"}:
            command = escape(form.text("command"))
            return _to_person(f"Write what is wrong after the command: `{command} The printer is on fire`")
        return None

    def identify(self, verified: Verified) -> list[Part]:
        """Give one command, known by its trigger."""
        if self.handshake(verified) is not None:
            return []
        trigger = read_form(verified.request).text("trigger_id")
        return [Part((vendor_key("trigger", trigger) if trigger else content_key(verified.request),))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event of a command's text."""
        del part
        form = read_form(verified.request)
        text = plain(_text(form))
        if not text:
            raise UnreadableError("a slash command without a text")
        place, team = form.text("channel_name"), form.text("team_domain")
        told = {"Slack user": "user_id", "Slack channel": "channel_id", "Slack team": "team_id"}
        return InboundEvent(
            kind="message",
            sender=Sender(name=form.text("user_name")),
            subject=first_line(text),
            body=text,
            hidden=tuple(Answer(label, form.text(key), key) for label, key in told.items() if form.text(key)),
            origin=" in ".join(filter(None, (f"#{place}" if place else "", team))),
        )

    def reply(self, verified: Verified, marker: str, status: str) -> Reply:
        """Tell the person, and nobody else, that it was received."""
        del verified, status
        return _to_person(f"Thank you, we have received your request. Ref: {escape(marker)}")

    def sign(self, request: InboundRequest, secret: bytes) -> InboundRequest:
        """Set the headers with the time of now and the signature."""
        stamp = str(int(self.clock()))
        stamped = replace(request, headers=request.headers.replaced(X_Slack_Request_Timestamp=stamp))
        signature = _VERSION + _SCHEME.sign(_read(stamped).message, secret)
        return replace(stamped, headers=stamped.headers.replaced(X_Slack_Signature=signature))


def _read(request: InboundRequest) -> Signed:
    given = request.headers.get("X-Slack-Signature")
    stamp = request.headers.get("X-Slack-Request-Timestamp")
    return Signed(
        signatures=[given.removeprefix(_VERSION)] if given.startswith(_VERSION) else [],
        message=b"v0:" + stamp.encode("utf-8", "surrogatepass") + b":" + request.body,
        stamp=stamp,
    )


_SCHEME = HmacScheme(_read, window=Window(back=_WINDOW, ahead=_WINDOW))


def _is_ssl_check(request: InboundRequest) -> bool:
    # Only where there is nothing else: whatever makes a ticket needs its signature.
    if request.content_type != URLENCODED:
        return False
    try:
        form = read_form(request)
    except UnreadableError:
        return False
    return form.text("ssl_check") == "1" and {name for name, _ in form.fields} <= {"ssl_check", "token"}


def _text(form: Form) -> str:
    return form.text("text").strip()


def _answer_event(body: dict[str, Any]) -> Reply:
    # https://docs.slack.dev/reference/events/url_verification
    challenge = body.get("challenge")
    if body.get("type") == "url_verification" and isinstance(challenge, str):
        return Reply(json.dumps({"challenge": challenge}), _JSON)
    return Reply("")


def _to_person(text: str) -> Reply:
    return Reply(json.dumps({"response_type": "ephemeral", "text": text}), _JSON)
