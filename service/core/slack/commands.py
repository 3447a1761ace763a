"""A slash command with a text: `/ticket The printer is on fire`.

https://docs.slack.dev/interactivity/implementing-slash-commands
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from service.core.errors import UnreadableError, VendorRefused
from service.core.events import InboundEvent, Sender
from service.core.sealing import unseal
from service.core.slack.api import respond
from service.core.slack.asked import hidden, post, said
from service.core.slack.mrkdwn import plain, same
from service.core.source import content_key, vendor_key
from service.core.text import first_line

if TYPE_CHECKING:
    from service.core.forms import Form
    from service.core.request import InboundRequest
    from service.core.slack.api import SlackApi
    from service.core.slack.asked import Back
    from service.core.slack.mrkdwn import NameOf
    from service.core.slack.people import People
    from service.core.source import Key, Memory, Receipt

# A response_url works for half an hour.
_ANSWERABLE = 1800


@dataclass(frozen=True)
class Command:
    """What somebody wrote after a command; `form` has it in Slack's own fields."""

    request: InboundRequest
    form: Form

    @property
    def text(self) -> str:
        """What stands after the command, as Slack sent it."""
        return self.form.text("text").strip()

    @property
    def filled(self) -> bool:
        """Whether there is a text that a ticket can be made of."""
        return self.text.lower() not in {"", "help"}

    @property
    def team(self) -> str:
        """The workspace's id."""
        return self.form.text("team_id")

    @property
    def keys(self) -> tuple[Key, ...]:
        """Its trigger, which it has once."""
        trigger = self.form.text("trigger_id")
        return (vendor_key("trigger", trigger) if trigger else content_key(self.request),)

    def event(self) -> InboundEvent:
        """Make the event; raises UnreadableError where nothing is written."""
        form = self.form
        place, team = form.text("channel_name"), form.text("team_domain")
        event = InboundEvent(
            kind="message",
            sender=Sender(name=form.text("user_name")),
            hidden=hidden(form.text("user_id"), form.text("channel_id"), self.team),
            origin=" in ".join(filter(None, (f"#{place}" if place else "", team))),
        )
        return self._written(event, same)

    def complete(self, event: InboundEvent, api: SlackApi, people: People, memory: Memory) -> InboundEvent:
        """Add the person's name and address, and the names of those who are mentioned."""
        del api, memory
        sender = people.sender(self.form.text("user_id"), event.sender)
        return self._written(replace(event, sender=sender), people.name)

    def tell(self, news: Receipt, back: Back) -> None:
        """Answer to the person alone: for half an hour by the command's own URL, else by the token."""
        url = unseal(self.form.text("response_url"), back.secrets, back.now, seconds=_ANSWERABLE)
        if url:
            try:
                respond(url, said(news), back.base)
            except VendorRefused:
                # It is used up, or the app was installed anew.
                if back.api is None:
                    raise
            else:
                return
        if back.api is not None:
            user = self.form.text("user_id")
            message = {"channel": self.form.text("channel_id"), "user": user, "text": said(news)}
            post(back.api, "chat.postEphemeral", message, user)

    def _written(self, event: InboundEvent, name_of: NameOf) -> InboundEvent:
        text = plain(self.text, name_of)
        if not text:
            raise UnreadableError("a slash command without a text")
        return replace(event, subject=first_line(text), body=text)
