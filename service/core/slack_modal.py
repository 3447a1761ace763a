"""The modal in which a person writes a ticket in Slack: what it shows, and what comes back of it.

https://docs.slack.dev/surfaces/modals; the limits are those of https://docs.slack.dev/reference/views/modal-views.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from service.core.errors import UnreadableError
from service.core.json_body import read_object
from service.core.mrkdwn import message_text
from service.core.text import clean, first_line, line

if TYPE_CHECKING:
    from collections.abc import Mapping

CALLBACK = "bridge_ticket"
_VALUE = "value"
_MAX_TITLE = 150
_MAX_TEXT = 3000


@dataclass(frozen=True)
class Submission:
    """What a person wrote in the modal; channel and ts are of the message that it is about, if any."""

    view: str
    team: str
    user: str
    name: str
    title: str
    description: str
    requester: str
    channel: str
    ts: str
    thread: str

    @property
    def errors(self) -> dict[str, str]:
        """What is wrong, by the block that shows it."""
        if not self.title:
            return {"title": "Please say in a few words what is wrong"}
        return {}


def view_of(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Give the modal for a shortcut, filled in with its message if it has one."""
    message = _table(payload, "message")
    text = message_text(message)
    about = {
        "c": _string(_table(payload, "channel"), "id"),
        "ts": _string(message, "ts"),
        "t": _string(message, "thread_ts"),
    }
    author = _string(message, "user") or _string(_table(payload, "user"), "id")
    return {
        "type": "modal",
        "callback_id": CALLBACK,
        "private_metadata": json.dumps(about)[:_MAX_TEXT],
        "title": _plain("Support ticket"),
        "submit": _plain("Send"),
        "close": _plain("Cancel"),
        "blocks": [
            _input("title", "What is wrong?", _text_input(first_line(text), _MAX_TITLE)),
            {
                **_input("description", "More about it", _text_input(text, _MAX_TEXT, multiline=True)),
                "optional": True,
            },
            {
                **_input(
                    "requester",
                    "For whom?",
                    {"type": "users_select", **({"initial_user": author} if author else {})},
                ),
                "optional": True,
            },
        ],
    }


def submission_of(payload: Mapping[str, Any]) -> Submission | None:
    """Read what came back; None where it is no submission of our modal. Raises UnreadableError."""
    view = _table(payload, "view")
    if payload.get("type") != "view_submission" or view.get("callback_id") != CALLBACK:
        return None
    values = _table(_table(view, "state"), "values")
    user, about = _table(payload, "user"), _about(view)
    identity = _string(view, "id")
    if not identity:
        raise UnreadableError("a submission without a view")

    def value(block: str, name: str) -> str:
        return _string(_table(_table(values, block), _VALUE), name)

    return Submission(
        view=identity,
        team=_string(_table(payload, "team"), "id") or _string(user, "team_id"),
        user=_string(user, "id"),
        name=_string(user, "name"),
        title=line(value("title", "value")),
        description=clean(value("description", "value")),
        requester=value("requester", "selected_user") or _string(user, "id"),
        channel=_string(about, "c"),
        ts=_string(about, "ts"),
        thread=_string(about, "t"),
    )


def _about(view: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return read_object(_string(view, "private_metadata").encode())
    except UnreadableError:
        return {}


def _input(block: str, label: str, element: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "input",
        "block_id": block,
        "label": _plain(label),
        "element": {**element, "action_id": _VALUE},
    }


def _text_input(initial: str, limit: int, *, multiline: bool = False) -> dict[str, Any]:
    filled = {"initial_value": initial[:limit]} if initial else {}
    return {"type": "plain_text_input", "multiline": multiline, "max_length": limit, **filled}


def _plain(text: str) -> dict[str, str]:
    return {"type": "plain_text", "text": text}


def _table(table: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = table.get(name)
    return value if isinstance(value, dict) else {}


def _string(table: Mapping[str, Any], name: str) -> str:
    value = table.get(name)
    return value if isinstance(value, str) else ""
