"""Slack: slash commands, events and a modal at one URL, and an answer to whoever asked."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from service.core import signing
from service.core.errors import UnreadableError, VendorAway, VendorRefused
from service.core.events import Answer, File, InboundEvent, Sender
from service.core.forms import URLENCODED, Form, decode, read_form
from service.core.json_body import read_object
from service.core.mrkdwn import escape, message_text, plain
from service.core.sealing import seal, unseal
from service.core.signing import HmacScheme, Locks, Signed, Window
from service.core.slack_api import API, SlackApi, respond
from service.core.slack_modal import Submission, submission_of, view_of
from service.core.source import Key, Part, Reply, Source, content_key, vendor_key
from service.core.text import first_line, is_address

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from service.core.request import InboundRequest
    from service.core.signing import Scheme, Verified
    from service.core.source import Memory, Receipt

_VERSION = "v0="
_JSON = "application/json"
_WINDOW = 300.0
# A response_url works for half an hour.
_ANSWERABLE = 1800
_DAY = 24 * 3600
_TEN_MINUTES = 600
_MAX_FILES = 50
# Other subtypes are edits, deletions, joins and the like.
_WRITTEN = frozenset({"", "file_share", "me_message", "thread_broadcast"})
# Beside a payload's own: what anybody could write to the person with.
_SECRETS = frozenset({"response_url", "response_urls", "token"})
_UNSEEN = frozenset({"not_in_channel", "channel_not_found", "is_archived"})


class Slack(Source):
    """A message to the app becomes a ticket: `/ticket The printer is on fire`, a mention, an emoji.

    Served are slash commands with a text, `app_mention`, a direct message (`message` of an `im`),
    `reaction_added` with the channel's `reaction`, whose ticket is its message's author's, and the modal
    that a command alone, a shortcut or a message's shortcut opens (`view_submission`).

    Authentication: `X-Slack-Signature: v0=` + hex HMAC-SHA256 of `v0:<timestamp>:<raw body>`, keyed
    with the app's signing secret (the channel's `secret`; a list while rotating), the time in
    `X-Slack-Request-Timestamp` at most 5 minutes off. The body's `token` is deprecated and not used.
    `ssl_check`, which only asks whether the certificate is good, needs no signature and makes nothing.

    Identity: a command's `trigger_id`; a modal's `view.id`; an event's `event_id`; and beside them the
    message that it is about (team, channel, `ts`): a message makes one ticket, however it is pointed out to
    us and by how many people. Slack sends an event again (`X-Slack-Retry-Num`) with the same `event_id`.

    Answers: 200 within 3 seconds, or the person sees a time-out; a command is never sent again, an event
    three times. What makes no ticket (bots, edits, other emoji) is answered with an empty 200, so
    that Slack neither retries nor switches the subscription off.

    Docs: https://docs.slack.dev/authentication/verifying-requests-from-slack
    https://docs.slack.dev/interactivity/implementing-slash-commands
    https://docs.slack.dev/apis/events-api
    https://docs.slack.dev/interactivity/handling-user-interaction (`response_url`, `trigger_id`)
    https://docs.slack.dev/surfaces/modals
    """

    name = "slack"
    label = "Slack"
    content_types = (URLENCODED, _JSON)
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
        return None if _is_filled(form) else self._prompted(form)

    def identify(self, verified: Verified) -> list[Part]:
        """Give one command, known by its trigger, one event or one submission of the modal."""
        if verified.request.content_type == _JSON:
            post = self._post(read_object(verified.request.body))
            return [] if post is None else [Part((vendor_key("event", post.event), post.key))]
        form = read_form(verified.request)
        written = _submission(form)
        if written is not None and not written.errors:
            about = _about_of(written)
            keys = (vendor_key("view", written.view), *((about.key,) if about.ts else ()))
            return [Part(keys)]
        if not _is_filled(form):
            return []
        trigger = form.text("trigger_id")
        return [Part((vendor_key("trigger", trigger) if trigger else content_key(verified.request),))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event of what somebody wrote; `complete` reads what was reacted to."""
        del part
        if verified.request.content_type == _JSON:
            post = self._post(read_object(verified.request.body))
            if post is None:
                raise UnreadableError("an event that makes no ticket")
            return _of_post(post)
        form = read_form(verified.request)
        written = _submission(form)
        if written is not None:
            return _of_submission(written)
        text = plain(_text(form))
        if not text:
            raise UnreadableError("a slash command without a text")
        place, team = form.text("channel_name"), form.text("team_domain")
        told = {name: form.text(name) for name in _TOLD}
        return InboundEvent(
            kind="message",
            sender=Sender(name=form.text("user_name")),
            subject=first_line(text),
            body=text,
            hidden=_hidden(told),
            origin=" in ".join(filter(None, (f"#{place}" if place else "", team))),
        )

    def kept(self, request: InboundRequest) -> InboundRequest:
        """Seal the `response_url`, with which anybody could write to the person, and drop `token`."""
        try:
            if request.content_type == _JSON:
                body = read_object(request.body)
                body.pop("token", None)
                return replace(request, body=json.dumps(body).encode())
            form = read_form(request)
            pairs = [(name, self._held(name, value)) for name, value in form.fields if name != "token"]
        except UnreadableError:
            return request
        return replace(request, body=urlencode(pairs).encode())

    def complete(self, verified: Verified, part: Part, event: InboundEvent, memory: Memory) -> InboundEvent:
        """Read the message that was reacted to, and the person's name and e-mail address."""
        del part
        api = self._api()
        if api is None:
            return event
        if verified.request.content_type != _JSON:
            form = read_form(verified.request)
            written = _submission(form)
            if written is not None:
                known = _person(api, memory, written.team, written.requester, event.sender)
                return replace(event, sender=known)
            sender = _person(api, memory, form.text("team_id"), form.text("user_id"), event.sender)
            return replace(event, sender=sender)
        post = self._post(read_object(verified.request.body))
        if post is None:
            return event
        user = post.user
        if post.reacted:
            message = _message(api, post)
            user = _string(message, "user")
            memory.put(f"thread {post.key.value}", _string(message, "thread_ts") or post.ts, _DAY)
            event = replace(
                _of_message(event, message, post), hidden=_hidden({**_told(post), "user_id": user})
            )
            if not (event.body or event.files):
                raise UnreadableError("the message that was reacted to has no text")
        return replace(event, sender=_person(api, memory, post.team, user, event.sender))

    def tell(self, verified: Verified, receipt: Receipt, memory: Memory) -> None:
        """Answer a command to the person alone, and a message in its thread."""
        api, text = self._api(), _said(receipt)
        if verified.request.content_type == _JSON:
            post = self._post(read_object(verified.request.body))
            if api is not None and post is not None:
                _reply(api, post, text, memory)
            return
        form = read_form(verified.request)
        written = _submission(form)
        if written is not None:
            if api is not None:
                _answer(api, written, text, memory)
            return
        url = unseal(form.text("response_url"), self.options.locks.secrets, self.clock(), seconds=_ANSWERABLE)
        if url:
            respond(url, text, self.options.api_url)
        elif api is not None:
            _whisper(api, form.text("channel_id"), form.text("user_id"), text)

    def reply(self, verified: Verified, marker: str, status: str) -> Reply:
        """Tell the person who gave a command, and nobody else, that it was received."""
        del status
        if not _is_command(verified.request):
            return Reply("")
        return _to_person(f"Thank you, we have received your request. Ref: {escape(marker)}")

    def sign(self, request: InboundRequest, secret: bytes) -> InboundRequest:
        """Set the headers with the time of now and the signature."""
        stamp = str(int(self.clock()))
        stamped = replace(request, headers=request.headers.replaced(X_Slack_Request_Timestamp=stamp))
        signature = _VERSION + _SCHEME.sign(_read(stamped).message, secret)
        return replace(stamped, headers=stamped.headers.replaced(X_Slack_Signature=signature))

    def _held(self, name: str, value: bytes) -> bytes:
        if name == "response_url":
            return seal(decode(value), self.options.locks.secrets, self.clock()).encode()
        if name != "payload":
            return value
        payload = read_object(value)
        return json.dumps({key: inner for key, inner in payload.items() if key not in _SECRETS}).encode()

    def _interacted(self, payload: Mapping[str, Any]) -> Reply | None:
        """Open the modal for a shortcut; answer a submission only where something is wrong in it."""
        if payload.get("type") in {"shortcut", "message_action"}:
            self._open(_string(payload, "trigger_id"), payload)
            return Reply("")
        written = submission_of(payload)
        if written is None:
            return Reply("")
        if written.errors:
            return Reply(json.dumps({"response_action": "errors", "errors": written.errors}), _JSON)
        return None

    def _prompted(self, form: Form) -> Reply:
        """Open the modal for a command alone; where it does not open, or for `help`, say what to write."""
        if not _text(form) and self._open(form.text("trigger_id"), {"user": {"id": form.text("user_id")}}):
            return Reply("")
        command = escape(form.text("command"))
        return _to_person(f"Write what is wrong after the command: `{command} The printer is on fire`")

    def _open(self, trigger: str, payload: Mapping[str, Any]) -> bool:
        # The one call in a request: a trigger ends after 3 seconds.
        api = self._api(timeout=2)
        if api is None or not trigger:
            return False
        try:
            api.call("views.open", {"trigger_id": trigger, "view": json.dumps(view_of(payload))})
        except (VendorAway, VendorRefused):
            return False
        return True

    def _api(self, timeout: int = 5) -> SlackApi | None:
        token = self.options.api_token
        return SlackApi(token, self.options.api_url or API, timeout=timeout) if token else None

    def _post(self, body: Mapping[str, Any]) -> _Post | None:
        post = _post_of(body)
        if post is None or (post.reacted and not self._wants(post.reacted)):
            return None
        return post

    def _wants(self, reaction: str) -> bool:
        # `+1::skin-tone-2` is a `+1`. What was reacted to has to be read from the API.
        wanted = self.options.reaction
        return bool(self.options.api_token and wanted) and reaction.partition("::")[0] == wanted


@dataclass(frozen=True)
class _Post:
    """A message that somebody wrote to us, or reacted to: then `reacted` is the emoji's name."""

    event: str
    team: str
    channel: str
    ts: str
    user: str
    bot: str
    reacted: str
    data: Mapping[str, Any]

    @property
    def key(self) -> Key:
        """The message's own key: the same whoever points it out."""
        return vendor_key("message", f"{self.team}:{self.channel}:{self.ts}")


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


def _is_command(request: InboundRequest) -> bool:
    try:
        return request.content_type == URLENCODED and "command" in read_form(request)
    except UnreadableError:
        return False


def _is_filled(form: Form) -> bool:
    return "command" in form and _text(form).lower() not in {"", "help"}


def _submission(form: Form) -> Submission | None:
    return submission_of(read_object(form.raw("payload"))) if "payload" in form else None


def _about_of(written: Submission) -> _Post:
    thread = {"thread_ts": written.thread}
    return _Post("", written.team, written.channel, written.ts, written.user, "", "", thread)


def _of_submission(written: Submission) -> InboundEvent:
    told = {"user_id": written.requester, "channel_id": written.channel, "team_id": written.team}
    return InboundEvent(
        kind="message",
        sender=Sender(name=written.name if written.requester == written.user else ""),
        subject=written.title,
        body=written.description or written.title,
        hidden=_hidden(told),
        origin=written.channel,
    )


def _answer(api: SlackApi, written: Submission, text: str, memory: Memory) -> None:
    about = _about_of(written)
    if about.channel and about.ts:
        _reply(api, about, text, memory)
    else:
        api.call("chat.postMessage", {"channel": written.user, "text": text})


def _challenged(body: dict[str, Any]) -> Reply | None:
    # https://docs.slack.dev/reference/events/url_verification
    challenge = body.get("challenge")
    if body.get("type") == "url_verification" and isinstance(challenge, str):
        return Reply(json.dumps({"challenge": challenge}), _JSON)
    return None


def _post_of(body: Mapping[str, Any]) -> _Post | None:
    """Give what an event is about; None where it is nothing of ours. Raises UnreadableError."""
    data = body.get("event")
    if body.get("type") != "event_callback" or not isinstance(data, dict):
        return None
    bot, kind = _bot(body), _string(data, "type")
    if kind == "reaction_added":
        item = data.get("item")
        place = item if isinstance(item, dict) else {}
        reacted = _string(data, "reaction")
        if place.get("type") != "message" or not reacted or (bot and data.get("item_user") == bot):
            return None
    elif kind == "app_mention" or (kind == "message" and data.get("channel_type") == "im"):
        if _is_noise(data, bot):
            return None
        place, reacted = data, ""
    else:
        return None
    team, channel, ts = _string(body, "team_id"), _string(place, "channel"), _string(place, "ts")
    if not (team and channel and ts):
        raise UnreadableError(f"a Slack event {kind} without team, channel or ts")
    event = _string(body, "event_id") or f"{team}:{channel}:{_string(data, 'event_ts') or ts}"
    return _Post(event, team, channel, ts, _string(data, "user"), bot, reacted, data)


def _is_noise(data: Mapping[str, Any], bot: str) -> bool:
    # Bots, first of all ourselves; edits, deletions, joins.
    written = _string(data, "subtype") in _WRITTEN and not data.get("hidden")
    user = _string(data, "user")
    return bool(data.get("bot_id")) or not written or (user != "" and user in {bot, "USLACKBOT"})


def _bot(body: Mapping[str, Any]) -> str:
    grants = body.get("authorizations")
    grant = grants[0] if isinstance(grants, list) and grants else None
    return _string(grant, "user_id") if isinstance(grant, dict) else ""


_TOLD = {"user_id": "Slack user", "channel_id": "Slack channel", "team_id": "Slack team"}


def _hidden(told: Mapping[str, str]) -> tuple[Answer, ...]:
    return tuple(Answer(label, told[name], name) for name, label in _TOLD.items() if told[name])


def _told(post: _Post) -> dict[str, str]:
    return {"user_id": post.user, "channel_id": post.channel, "team_id": post.team}


def _of_post(post: _Post) -> InboundEvent:
    place = "a direct message" if _string(post.data, "channel_type") == "im" else post.channel
    event = InboundEvent(kind="message", hidden=_hidden(_told(post)), origin=place)
    if post.reacted:
        return event
    event = _of_message(event, post.data, post)
    if not (event.body or event.files):
        return replace(event, ignore="the message has no text")
    return event


def _of_message(event: InboundEvent, message: Mapping[str, Any], post: _Post) -> InboundEvent:
    text = message_text(message).strip()
    # Whom it is addressed to is no part of what is wrong.
    text = text.removeprefix(f"@{post.bot}").strip(" \n,:") if post.bot else text
    files = tuple(_files(message.get("files")))
    subject = first_line(text) or (files[0].name if files else "")
    name = _string(message, "username")
    return replace(event, subject=subject, body=text, files=files, sender=Sender(name=name))


def _files(given: object) -> Iterator[File]:
    for file in given[:_MAX_FILES] if isinstance(given, list) else []:
        if isinstance(file, dict):
            size = file.get("size")
            yield File(
                _string(file, "name") or _string(file, "title") or "file",
                _string(file, "mimetype"),
                size if isinstance(size, int) and not isinstance(size, bool) else None,
                # Whoever may see it in Slack can open it there.
                _string(file, "permalink"),
            )


def _message(api: SlackApi, post: _Post) -> dict[str, Any]:
    """Read the one message that was reacted to. Raises VendorAway or UnreadableError."""
    wanted = {
        "channel": post.channel,
        "latest": post.ts,
        "oldest": post.ts,
        "inclusive": "true",
        "limit": "1",
    }
    try:
        # A reply in a thread is in no history, only in its thread.
        for method, more in (("conversations.history", {}), ("conversations.replies", {"ts": post.ts})):
            messages = api.call(method, {**wanted, **more}).get("messages")
            for message in messages if isinstance(messages, list) else []:
                if isinstance(message, dict) and message.get("ts") == post.ts:
                    return message
    except VendorRefused as error:
        hint = "; invite the app to the channel and replay this" if error.code in _UNSEEN else ""
        raise UnreadableError(f"the message that was reacted to cannot be read: {error}{hint}") from error
    raise UnreadableError("the message that was reacted to is no longer there")


def _person(api: SlackApi, memory: Memory, team: str, user: str, known: Sender) -> Sender:
    """Give a person's name and address. Whoever cannot be looked up is no reason to hold a ticket up."""
    if not user:
        return known
    key = f"user {team} {user}"
    kept = memory.get(key)
    if kept is not None:
        name, _, email = kept.partition("\n")
        return Sender(name or known.name, email)
    try:
        found = api.call("users.info", {"user": user}).get("user")
    except VendorAway:
        return known
    except VendorRefused:
        memory.put(key, "", _TEN_MINUTES)
        return known
    about = found if isinstance(found, dict) else {}
    given = about.get("profile")
    profile = given if isinstance(given, dict) else {}
    email = _string(profile, "email")
    sender = Sender(
        _string(profile, "real_name") or _string(about, "real_name") or _string(about, "name"),
        email if is_address(email) else "",
    )
    memory.put(key, f"{sender.name}\n{sender.email}", _DAY)
    return replace(sender, name=sender.name or known.name)


def _said(receipt: Receipt) -> str:
    if receipt.number is not None:
        return f"Ticket #{receipt.number} is made of your request. Ref: {escape(receipt.marker)}"
    return (
        "We have your request, but could not make a ticket of it. It is kept, and waits for a person of our "
        f"team to look at it: there is no need to send it again. Ref: {escape(receipt.marker)}"
    )


def _reply(api: SlackApi, post: _Post, text: str, memory: Memory) -> None:
    thread = _string(post.data, "thread_ts") or memory.get(f"thread {post.key.value}") or post.ts
    try:
        api.call(
            "chat.postMessage",
            {"channel": post.channel, "thread_ts": thread, "text": text, "unfurl_links": "false"},
        )
    except VendorRefused as error:
        if error.code not in _UNSEEN or not post.user:
            raise
        api.call("chat.postMessage", {"channel": post.user, "text": text})


def _whisper(api: SlackApi, channel: str, user: str, text: str) -> None:
    try:
        api.call("chat.postEphemeral", {"channel": channel, "user": user, "text": text})
    except VendorRefused as error:
        # In a channel or a conversation that the app is not in.
        if error.code not in _UNSEEN:
            raise
        api.call("chat.postMessage", {"channel": user, "text": text})


def _string(table: Mapping[str, Any], name: str) -> str:
    value = table.get(name)
    return value if isinstance(value, str) else ""


def _to_person(text: str) -> Reply:
    return Reply(json.dumps({"response_type": "ephemeral", "text": text}), _JSON)
