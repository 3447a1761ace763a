"""What every way of asking for a ticket in Slack can do: `Asked`; and the ways back to whoever asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from service.core.errors import VendorRefused
from service.core.events import Answer
from service.core.slack.mrkdwn import escape

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.core.events import InboundEvent
    from service.core.slack.api import SlackApi
    from service.core.slack.people import People
    from service.core.source import Key, Memory, Receipt

# Of what Slack says where the app cannot see a channel.
UNSEEN = frozenset({"not_in_channel", "channel_not_found", "is_archived"})
_TOLD = {"user_id": "Slack user", "channel_id": "Slack channel", "team_id": "Slack team"}


class Asked(Protocol):
    """One request for a ticket: a command, a submission of the modal, a message, a workflow's step."""

    @property
    def team(self) -> str:
        """The workspace's id."""
        ...

    @property
    def keys(self) -> tuple[Key, ...]:
        """What it is known by, however often it comes."""
        ...

    def event(self) -> InboundEvent:
        """Make the event of what is in the request alone."""
        ...

    def complete(self, event: InboundEvent, api: SlackApi, people: People, memory: Memory) -> InboundEvent:
        """Add what only Slack knows. Raises VendorAway, or UnreadableError where it can never be known."""
        ...

    def tell(self, news: Receipt, back: Back) -> None:
        """Say what became of it. Raises VendorAway or VendorRefused."""
        ...


@dataclass(frozen=True)
class Back:
    """The ways back: the API where the channel has a token for it, and its base for what has another.

    `secrets` open what was sealed, `now` tells how old it is.
    """

    api: SlackApi | None
    base: str
    memory: Memory
    secrets: tuple[bytes, ...]
    now: float


def hidden(user: str, channel: str, team: str) -> tuple[Answer, ...]:
    """Give Slack's ids as an event's hidden answers."""
    told = {"user_id": user, "channel_id": channel, "team_id": team}
    return tuple(Answer(label, told[name], name) for name, label in _TOLD.items() if told[name])


def said(news: Receipt) -> str:
    """Give the sentence that a person gets, with the ticket's number, or with what happens without one."""
    if news.number is not None:
        return f"Ticket #{news.number} is made of your request. Ref: {escape(news.marker)}"
    return (
        "We have your request, but could not make a ticket of it. It is kept, and waits for a person of our "
        f"team to look at it: there is no need to send it again. Ref: {escape(news.marker)}"
    )


def post(api: SlackApi, method: str, message: Mapping[str, str], user: str) -> None:
    """Post a message where it belongs; where the app cannot see that channel, to the person."""
    try:
        api.call(method, message)
    except VendorRefused as error:
        if error.code not in UNSEEN or not user:
            raise
        api.call("chat.postMessage", {"channel": user, "text": message["text"]})
