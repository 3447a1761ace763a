"""What comes back of the modal: `view_submission`.

https://docs.slack.dev/reference/interaction-payloads/view-interactions-payload
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from service.core.errors import UnreadableError
from service.core.events import InboundEvent, Sender
from service.core.json_body import read_object
from service.core.slack.asked import hidden, said
from service.core.slack.modal import CALLBACK, VALUE, places, types
from service.core.slack.posts import message_key, tell_in_thread
from service.core.slack.values import string, table, text
from service.core.source import vendor_key
from service.core.text import clean, line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.core.slack.api import SlackApi
    from service.core.slack.asked import Back
    from service.core.slack.people import People
    from service.core.source import Choices, Key, Memory, Receipt

_GONE = "can no longer be chosen. Please choose again"


@dataclass(frozen=True)
class Submission:
    """What a person wrote; channel and ts are of the message that it is about, if any.

    `mentioned` are the ids in the message's text.
    """

    view: str
    team: str
    user: str
    name: str
    title: str
    description: str
    type: str
    location: str
    requester: str
    channel: str
    ts: str
    thread: str
    mentioned: tuple[str, ...]

    def errors(self, choices: Choices) -> dict[str, str]:
        """Give what is wrong, by the block that shows it."""
        found: dict[str, str] = {}
        if not self.title:
            found["title"] = "Please say in a few words what is wrong"
        for block, chosen, offered in (
            ("type", self.type, types()),
            ("location", self.location, places(choices)),
        ):
            if chosen and chosen not in offered:
                found[block] = f"{chosen[:75]!r} {_GONE}"
        return found

    @property
    def keys(self) -> tuple[Key, ...]:
        """The view's id, and its message's: a message makes one ticket."""
        view = vendor_key("view", self.view)
        return (view, message_key(self.team, self.channel, self.ts)) if self.ts else (view,)

    def event(self) -> InboundEvent:
        """Make the event; type and location are chosen, or empty."""
        return InboundEvent(
            kind="message",
            sender=Sender(name=self.name if self.requester == self.user else ""),
            subject=self.title,
            body=self.description or self.title,
            hidden=hidden(self.requester, self.channel, self.team),
            origin=self.channel,
            type=self.type,
            location=self.location,
        )

    def complete(self, event: InboundEvent, api: SlackApi, people: People, memory: Memory) -> InboundEvent:
        """Add the requester's name and address, and the names of those whom the message mentions."""
        del api, memory
        sender = people.sender(self.requester, event.sender)
        subject, body = event.subject, event.body
        for user in self.mentioned:
            mention = re.compile(rf"@{re.escape(user)}\b")
            if mention.search(f"{subject} {body}"):
                # As a pattern's, a name's backslashes would mean something.
                name = f"@{people.name(user)}".replace("\\", r"\\")
                subject, body = mention.sub(name, subject), mention.sub(name, body)
        return replace(event, sender=sender, subject=subject, body=body)

    def tell(self, news: Receipt, back: Back) -> None:
        """Answer in the thread of its message, or where it has none to the person."""
        if back.api is None:
            return
        if self.channel and self.ts:
            tell_in_thread(back.api, self.channel, self.thread or self.ts, said(news), self.user)
        else:
            back.api.call("chat.postMessage", {"channel": self.user, "text": said(news)})


def submission_of(payload: Mapping[str, Any]) -> Submission | None:
    """Read what came back; None where it is no submission of our modal. Raises UnreadableError."""
    view = table(payload, "view")
    if payload.get("type") != "view_submission" or view.get("callback_id") != CALLBACK:
        return None
    values = table(table(view, "state"), "values")
    user, about = table(payload, "user"), _about(view)
    identity = string(view, "id")
    if not identity:
        raise UnreadableError("a submission without a view")
    mentioned = about.get("m")

    def given(block: str) -> dict[str, Any]:
        return table(table(values, block), VALUE)

    return Submission(
        view=identity,
        team=string(table(payload, "team"), "id") or string(user, "team_id"),
        user=string(user, "id"),
        name=string(user, "name"),
        title=line(string(given("title"), "value")),
        description=clean(string(given("description"), "value")),
        type=string(table(given("type"), "selected_option"), "value"),
        location=string(table(given("location"), "selected_option"), "value"),
        requester=string(given("requester"), "selected_user") or string(user, "id"),
        channel=string(about, "c"),
        ts=string(about, "ts"),
        thread=string(about, "t"),
        mentioned=tuple(filter(None, map(text, mentioned if isinstance(mentioned, list) else ()))),
    )


def _about(view: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return read_object(string(view, "private_metadata").encode())
    except UnreadableError:
        return {}
