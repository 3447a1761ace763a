"""Slack: commands, events, a modal and a workflow's step at one URL, and an answer to whoever asked."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from service.core import signing
from service.core.errors import UnreadableError, VendorAway, VendorRefused
from service.core.forms import URLENCODED, read_form
from service.core.json_body import read_object
from service.core.signing import HmacScheme, Locks, Signed, Window
from service.core.slack.api import API, SlackApi
from service.core.slack.asked import Back
from service.core.slack.commands import Command
from service.core.slack.keeping import kept
from service.core.slack.modal import view_of
from service.core.slack.mrkdwn import escape
from service.core.slack.people import People
from service.core.slack.posts import post_of
from service.core.slack.steps import step_of
from service.core.slack.submissions import Submission, submission_of
from service.core.slack.values import string
from service.core.source import Part, Reply, Source

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.core.events import InboundEvent
    from service.core.request import InboundRequest
    from service.core.signing import Scheme, Verified
    from service.core.slack.asked import Asked
    from service.core.source import Memory, Receipt

_VERSION = "v0="
_JSON = "application/json"
_WINDOW = 300.0
# A trigger ends after 3 seconds.
_OPENED_WITHIN = 2
_AGAIN = "Could not save, please try again"


class Slack(Source):
    """A message to the app becomes a ticket: `/ticket The printer is on fire`, a mention, an emoji.

    Served are slash commands with a text, `app_mention`, a direct message (`message` of an `im`),
    `reaction_added` with the channel's `reaction`, whose ticket is its message's author's, the modal
    that a command alone, a shortcut or a message's shortcut opens (`view_submission`), and the step that a
    workflow runs (`function_executed`).

    Authentication: `X-Slack-Signature: v0=` + hex HMAC-SHA256 of `v0:<timestamp>:<raw body>`, keyed
    with the app's signing secret (the channel's `secret`; a list while rotating), the time in
    `X-Slack-Request-Timestamp` at most 5 minutes off. The body's `token` is deprecated and not used.
    `ssl_check`, which only asks whether the certificate is good, needs no signature and makes nothing.

    Identity: a command's `trigger_id`; a modal's `view.id`; a step's `function_execution_id`; an event's
    `event_id`; and beside them the message that it is about (team, channel, `ts`): a message makes one
    ticket, however it is pointed out to us and by how many people. Slack sends an event again
    (`X-Slack-Retry-Num`) with the same `event_id`.

    Answers: 200 within 3 seconds, or the person sees a time-out; a command is never sent again, an event
    three times. What makes no ticket (bots, edits, other emoji) is answered with an empty 200, so
    that Slack neither retries nor switches the subscription off. A shortcut whose modal does not open is
    answered 503: its answer shows nothing, but for anything other than 200 Slack shows an error of its own.
    A modal that cannot be saved is answered 200 with an error, so that it stays open with what was written.

    Docs: https://docs.slack.dev/authentication/verifying-requests-from-slack
    https://docs.slack.dev/interactivity/implementing-slash-commands
    https://docs.slack.dev/apis/events-api
    https://docs.slack.dev/interactivity/handling-user-interaction (`response_url`, `trigger_id`)
    https://docs.slack.dev/surfaces/modals
    https://docs.slack.dev/reference/events/function_executed
    """

    name = "slack"
    label = "Slack"
    content_types = (URLENCODED, _JSON)
    takes = ("reaction",)
    lane = "person"
    receipts = True

    def scheme(self) -> Scheme:
        """Give the HMAC over version, time and raw body, within five minutes."""
        return _SCHEME

    def verify(self, request: InboundRequest) -> Verified:
        """Open the locks; a bare `ssl_check` has none, since nothing comes of it."""
        if _is_ssl_check(request):
            return signing.verify(request, Locks())
        return super().verify(request)

    def handshake(self, verified: Verified) -> Reply | None:
        """Answer a challenge, a check and `help`; open the modal, and say what is wrong in it."""
        request = verified.request
        try:
            if request.content_type == _JSON:
                return _challenged(read_object(request.body))
            form = read_form(request)
            if "payload" in form:
                return self._interacted(read_object(form.raw("payload")))
        except UnreadableError:
            # No challenge, at any rate: `identify` says what is wrong.
            return None
        if "command" not in form:
            return Reply("")
        command = Command(request, form)
        return None if command.filled else self._prompted(command)

    def identify(self, verified: Verified) -> list[Part]:
        """Give what is asked for in the request: one thing, or nothing."""
        asked = self._asked(verified.request)
        if asked is None or (isinstance(asked, Submission) and asked.errors(self.options.choices)):
            return []
        return [Part(asked.keys)]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event of what somebody wrote; `complete` reads what was reacted to."""
        del part
        asked = self._asked(verified.request)
        if asked is None:
            raise UnreadableError("a request that makes no ticket")
        return asked.event()

    def kept(self, request: InboundRequest) -> InboundRequest:
        """Seal or drop whatever anybody could write to people with."""
        return super().kept(kept(request, self._secrets, self.clock()))

    def complete(self, verified: Verified, part: Part, event: InboundEvent, memory: Memory) -> InboundEvent:
        """Read the message that was reacted to, and the names and addresses of people."""
        del part
        api, asked = self._api(), self._asked(verified.request)
        if api is None or asked is None:
            return event
        return asked.complete(event, api, People(api, memory, asked.team), memory)

    def tell(self, verified: Verified, receipt: Receipt, memory: Memory) -> None:
        """Answer a command to the person alone, a message in its thread, a step to its workflow."""
        asked = self._asked(verified.request)
        if asked is not None:
            base = self.options.api_url or API
            asked.tell(receipt, Back(self._api(), base, memory, self._secrets, self.clock()))

    def reply(self, verified: Verified, marker: str, status: str) -> Reply:
        """Tell the person who gave a command, and nobody else, that it was received."""
        del status
        if not _is_command(verified.request):
            return Reply("")
        return _to_person(f"Thank you, we have received your request. Ref: {escape(marker)}")

    def unavailable(self, verified: Verified) -> Reply | None:
        """Keep the modal open with what the person wrote; for all else Slack shows an error of its own."""
        try:
            asked = self._asked(verified.request)
        except UnreadableError:
            return None
        return _wrong({"title": _AGAIN}) if isinstance(asked, Submission) else None

    def sign(self, request: InboundRequest, secret: bytes) -> InboundRequest:
        """Set the headers with the time of now and the signature."""
        stamp = str(int(self.clock()))
        stamped = replace(request, headers=request.headers.replaced(X_Slack_Request_Timestamp=stamp))
        signature = _VERSION + _SCHEME.sign(_read(stamped).message, secret)
        return replace(stamped, headers=stamped.headers.replaced(X_Slack_Signature=signature))

    def _asked(self, request: InboundRequest) -> Asked | None:
        """Give what the request asks for; raises UnreadableError where that cannot be read."""
        if request.content_type == _JSON:
            body = read_object(request.body)
            if body.get("type") != "event_callback":
                return None
            post = post_of(body)
            if post is None or (post.reacted and not self._wants(post.reacted)):
                return step_of(body)
            return post
        form = read_form(request)
        if "payload" in form:
            return submission_of(read_object(form.raw("payload")))
        command = Command(request, form)
        return command if "command" in form and command.filled else None

    def _interacted(self, payload: Mapping[str, Any]) -> Reply | None:
        """Open the modal for a shortcut; answer a submission only where something is wrong in it."""
        if payload.get("type") in {"shortcut", "message_action"}:
            opened = self._open(string(payload, "trigger_id"), payload)
            return Reply("") if opened else Reply("The form does not open now", status=503)
        written = submission_of(payload)
        if written is None:
            return Reply("")
        if errors := written.errors(self.options.choices):
            return _wrong(errors)
        return None

    def _prompted(self, command: Command) -> Reply:
        """Open the modal for a command alone; where it does not open, or for `help`, say what to write."""
        form = command.form
        user = {"user": {"id": form.text("user_id")}}
        if not command.text and self._open(form.text("trigger_id"), user):
            return Reply("")
        name = escape(form.text("command"))
        return _to_person(f"Write what is wrong after the command: `{name} The printer is on fire`")

    def _open(self, trigger: str, payload: Mapping[str, Any]) -> bool:
        # The one call in a request.
        api = self._api(timeout=_OPENED_WITHIN)
        if api is None or not trigger:
            return False
        view = view_of(payload, self.options.choices)
        try:
            api.call("views.open", {"trigger_id": trigger, "view": json.dumps(view)})
        except (VendorAway, VendorRefused):
            return False
        return True

    def _api(self, timeout: int = 5) -> SlackApi | None:
        token = self.options.api_token
        return SlackApi(token, self.options.api_url or API, timeout=timeout) if token else None

    @property
    def _secrets(self) -> tuple[bytes, ...]:
        """What is sealed with, the first of them: a channel has one of these locks, unless it is public."""
        locks = self.options.locks
        return (*locks.secrets, *locks.tokens, *locks.basic)

    def _wants(self, reaction: str) -> bool:
        # `+1::skin-tone-2` is a `+1`. What was reacted to has to be read from the API.
        wanted = self.options.reaction
        return bool(self.options.api_token and wanted) and reaction.partition("::")[0] == wanted


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


def _is_command(request: InboundRequest) -> bool:
    try:
        return request.content_type == URLENCODED and "command" in read_form(request)
    except UnreadableError:
        return False


def _challenged(body: dict[str, Any]) -> Reply | None:
    # https://docs.slack.dev/reference/events/url_verification
    challenge = body.get("challenge")
    if body.get("type") == "url_verification" and isinstance(challenge, str):
        return Reply(json.dumps({"challenge": challenge}), _JSON)
    return None


def _wrong(errors: Mapping[str, str]) -> Reply:
    # https://docs.slack.dev/surfaces/modals#displaying_errors
    return Reply(json.dumps({"response_action": "errors", "errors": errors}), _JSON)


def _to_person(text: str) -> Reply:
    return Reply(json.dumps({"response_type": "ephemeral", "text": text}), _JSON)
