"""The app's own step of a workflow: `function_executed`, and the answer for which the workflow waits.

https://docs.slack.dev/reference/events/function_executed. The event brings a token of its own, which ends
after 15 minutes or with the step (https://github.com/slackapi/bolt-python/issues/1075).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from service.core.errors import UnreadableError, VendorRefused
from service.core.events import InboundEvent
from service.core.sealing import unseal
from service.core.slack.api import SlackApi
from service.core.slack.asked import hidden, said
from service.core.slack.modal import CALLBACK
from service.core.slack.mrkdwn import plain, same
from service.core.slack.values import string, table
from service.core.source import vendor_key
from service.core.text import first_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.core.slack.asked import Back
    from service.core.slack.mrkdwn import NameOf
    from service.core.slack.people import People
    from service.core.source import Key, Memory, Receipt

TOKEN = "bot_access_token"  # noqa: S105 - the name of the field
_TOKEN_LIFE = 15 * 60
_OVER = frozenset({"execution_not_in_running_state", "function_execution_not_found"})


@dataclass(frozen=True)
class Step:
    """One run of the step: `inputs` are what the workflow's author connected, `token` is sealed."""

    execution: str
    identity: str
    team: str
    inputs: Mapping[str, Any]
    token: str

    @property
    def keys(self) -> tuple[Key, ...]:
        """The run's id, and the event's."""
        run = vendor_key("function", self.execution)
        return (run, vendor_key("event", self.identity)) if self.identity else (run,)

    def event(self) -> InboundEvent:
        """Make the event; what it says of type and location is a choice."""
        inputs = self.inputs
        event = InboundEvent(
            kind="message",
            hidden=hidden(string(inputs, "requester"), "", self.team),
            origin="a workflow",
            type=string(inputs, "type"),
            location=string(inputs, "location"),
        )
        return self._written(event, same)

    def complete(self, event: InboundEvent, api: SlackApi, people: People, memory: Memory) -> InboundEvent:
        """Add the requester's name and address, and the names of those who are mentioned."""
        del api, memory
        sender = people.sender(string(self.inputs, "requester"), event.sender)
        return self._written(replace(event, sender=sender), people.name)

    def tell(self, news: Receipt, back: Back) -> None:
        """Let the workflow go on with the ticket's number, or fail; if it has ended, tell the requester."""
        own = unseal(self.token, back.secrets, back.now, seconds=_TOKEN_LIFE)
        api = SlackApi(own, back.base) if own else back.api
        if api is None:
            return
        run = {"function_execution_id": self.execution}
        try:
            if news.number is None:
                api.call("functions.completeError", {**run, "error": said(news)})
            else:
                outputs = {"ticket_number": news.number, "ref": news.marker}
                api.call("functions.completeSuccess", {**run, "outputs": json.dumps(outputs)})
        except VendorRefused as error:
            user = string(self.inputs, "requester")
            if error.code not in _OVER or back.api is None or not user:
                raise
            back.api.call("chat.postMessage", {"channel": user, "text": said(news)})

    def _written(self, event: InboundEvent, name_of: NameOf) -> InboundEvent:
        title = plain(string(self.inputs, "title"), name_of)
        text = plain(string(self.inputs, "description"), name_of)
        if not (title.strip() or text.strip()):
            raise UnreadableError("a workflow's step with neither title nor description")
        return replace(event, subject=first_line(title or text), body=text or title)


def step_of(body: Mapping[str, Any]) -> Step | None:
    """Give the run that an event is about; None where it is no step of ours. Raises UnreadableError."""
    data = table(body, "event")
    if data.get("type") != "function_executed" or table(data, "function").get("callback_id") != CALLBACK:
        return None
    execution = string(data, "function_execution_id")
    if not execution:
        raise UnreadableError("a workflow's step without function_execution_id")
    team = string(body, "team_id")
    return Step(execution, string(body, "event_id"), team, table(data, "inputs"), string(data, TOKEN))
