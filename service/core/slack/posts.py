"""A message to the app (`app_mention`, `message` of an `im`), or one that was reacted to (`reaction_added`).

https://docs.slack.dev/reference/events
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from service.core.errors import UnreadableError, VendorRefused
from service.core.events import File, InboundEvent, Sender
from service.core.slack.asked import UNSEEN, hidden, post, said
from service.core.slack.mrkdwn import message_text, same
from service.core.slack.values import string, table, tables
from service.core.source import vendor_key
from service.core.text import first_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from service.core.slack.api import SlackApi
    from service.core.slack.asked import Back
    from service.core.slack.mrkdwn import NameOf
    from service.core.slack.people import People
    from service.core.source import Key, Memory, Receipt

_DAY = 24 * 3600
_MAX_FILES = 50
# Other subtypes are edits, deletions, joins and the like.
_WRITTEN = frozenset({"", "file_share", "me_message", "thread_broadcast"})


@dataclass(frozen=True)
class Post:
    """A message that somebody wrote to us, or reacted to: then `reacted` is the emoji's name.

    `data` is Slack's event, `identity` its id; `bot` is the app's own user.
    """

    identity: str
    team: str
    channel: str
    ts: str
    user: str
    bot: str
    reacted: str
    data: Mapping[str, Any]

    @property
    def keys(self) -> tuple[Key, ...]:
        """The event's id, and the message: it makes one ticket, whoever points it out and how often."""
        return (vendor_key("event", self.identity), message_key(self.team, self.channel, self.ts))

    def event(self) -> InboundEvent:
        """Make the event; of a reaction it says nothing yet of the message."""
        place = "a direct message" if string(self.data, "channel_type") == "im" else self.channel
        event = InboundEvent(kind="message", hidden=hidden(self.user, self.channel, self.team), origin=place)
        if self.reacted:
            return event
        event = self._written(event, self.data, same)
        if not (event.body or event.files):
            return replace(event, ignore="the message has no text")
        return event

    def complete(self, event: InboundEvent, api: SlackApi, people: People, memory: Memory) -> InboundEvent:
        """Read the message that was reacted to; add its author, and the names of those it mentions."""
        message = _message(api, self) if self.reacted else self.data
        user = string(message, "user")
        event = self._written(event, message, people.name)
        if self.reacted:
            memory.put(self._thread, string(message, "thread_ts") or self.ts, _DAY)
            event = replace(event, hidden=hidden(user, self.channel, self.team))
            if not (event.body or event.files):
                raise UnreadableError("the message that was reacted to has no text")
        return replace(event, sender=people.sender(user, event.sender))

    def tell(self, news: Receipt, back: Back) -> None:
        """Answer in the message's thread."""
        if back.api is not None:
            thread = string(self.data, "thread_ts") or back.memory.get(self._thread) or self.ts
            tell_in_thread(back.api, self.channel, thread, said(news), self.user)

    @property
    def _thread(self) -> str:
        return f"thread {message_key(self.team, self.channel, self.ts).value}"

    def _written(self, event: InboundEvent, message: Mapping[str, Any], name_of: NameOf) -> InboundEvent:
        # Whom it is addressed to is no part of what is wrong.
        own = f"@{self.bot}"
        text = message_text(message, lambda user: user if user == self.bot else name_of(user)).strip()
        text = text.removeprefix(own).strip(" \n,:") if self.bot else text
        files = tuple(_files(message.get("files")))
        subject = first_line(text) or (files[0].name if files else "")
        name = string(message, "username")
        return replace(event, subject=subject, body=text, files=files, sender=Sender(name=name))


def message_key(team: str, channel: str, ts: str) -> Key:
    """Give a message's own key: the same whoever points it out."""
    return vendor_key("message", f"{team}:{channel}:{ts}")


def post_of(body: Mapping[str, Any]) -> Post | None:
    """Give the message that an event is about; None where it is nothing of ours. Raises UnreadableError."""
    data = table(body, "event")
    bot = string(next(tables(body.get("authorizations")), {}), "user_id")
    kind = string(data, "type")
    if kind == "reaction_added":
        place, reacted = table(data, "item"), string(data, "reaction")
        if place.get("type") != "message" or not reacted or (bot and data.get("item_user") == bot):
            return None
    elif kind == "app_mention" or (kind == "message" and data.get("channel_type") == "im"):
        place, reacted = data, ""
        if _is_noise(data, bot):
            return None
    else:
        return None
    team, channel, ts = string(body, "team_id"), string(place, "channel"), string(place, "ts")
    if not (team and channel and ts):
        raise UnreadableError(f"a Slack event {kind} without team, channel or ts")
    identity = string(body, "event_id") or f"{team}:{channel}:{string(data, 'event_ts') or ts}"
    return Post(identity, team, channel, ts, string(data, "user"), bot, reacted, data)


def tell_in_thread(api: SlackApi, channel: str, thread: str, text: str, user: str) -> None:
    """Post to a thread; where the app cannot see its channel, to the person."""
    message = {"channel": channel, "thread_ts": thread, "text": text, "unfurl_links": "false"}
    post(api, "chat.postMessage", message, user)


def _is_noise(data: Mapping[str, Any], bot: str) -> bool:
    # Bots, first of all ourselves; edits, deletions, joins.
    written = string(data, "subtype") in _WRITTEN and not data.get("hidden")
    user = string(data, "user")
    return bool(data.get("bot_id")) or not written or (user != "" and user in {bot, "USLACKBOT"})


def _files(given: object) -> Iterator[File]:
    for file in list(tables(given))[:_MAX_FILES]:
        size = file.get("size")
        yield File(
            string(file, "name") or string(file, "title") or "file",
            string(file, "mimetype"),
            size if isinstance(size, int) and not isinstance(size, bool) else None,
            # Whoever may see it in Slack can open it there.
            string(file, "permalink"),
        )


def _message(api: SlackApi, about: Post) -> dict[str, Any]:
    """Read the one message that was reacted to. Raises VendorAway or UnreadableError."""
    wanted = {
        "channel": about.channel,
        "latest": about.ts,
        "oldest": about.ts,
        "inclusive": "true",
        "limit": "1",
    }
    try:
        # A reply in a thread is in no history, only in its thread.
        for method, more in (("conversations.history", {}), ("conversations.replies", {"ts": about.ts})):
            for message in tables(api.call(method, {**wanted, **more}).get("messages")):
                if message.get("ts") == about.ts:
                    return message
    except VendorRefused as error:
        hint = "; invite the app to the channel and replay this" if error.code in UNSEEN else ""
        raise UnreadableError(f"the message that was reacted to cannot be read: {error}{hint}") from error
    raise UnreadableError("the message that was reacted to is no longer there")
