"""The modal in which a person writes a ticket in Slack: what it shows.

https://docs.slack.dev/surfaces/modals; the limits are those of https://docs.slack.dev/reference/views/modal-views
and https://docs.slack.dev/reference/block-kit/block-elements/select-menu-element.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from config.channels import TICKET_TYPES
from service.core.slack.mrkdwn import message_text
from service.core.slack.values import string, table
from service.core.text import first_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.core.source import Choices

CALLBACK = "bridge_ticket"
# Every block's one element has this name.
VALUE = "value"
# Of people whom the message mentions; more are not looked up either.
_MAX_MENTIONED = 10
_MAX_TITLE = 150
_MAX_TEXT = 3000
_MAX_OPTIONS = 100
_MAX_OPTION = 75
_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")


def view_of(payload: Mapping[str, Any], choices: Choices) -> dict[str, Any]:
    """Give the modal for a shortcut or a command, filled in with its message if it has one."""
    message, mentioned = table(payload, "message"), dict[str, None]()

    def noted(user: str) -> str:
        mentioned[user] = None
        return user

    text = message_text(message, noted)
    about = {
        "c": string(table(payload, "channel"), "id"),
        "ts": string(message, "ts"),
        "t": string(message, "thread_ts"),
        "m": list(mentioned)[:_MAX_MENTIONED],
    }
    author = string(message, "user") or string(table(payload, "user"), "id")
    asked = {"type": "users_select", **({"initial_user": author} if author else {})}
    blocks = [
        _input("title", "What is wrong?", _text_input(first_line(text), _MAX_TITLE), optional=False),
        _input("description", "More about it", _text_input(text, _MAX_TEXT, multiline=True)),
        _input("type", "What is it about?", _select(types(), choices.type)),
        _input("requester", "For whom?", asked),
    ]
    if locations := places(choices):
        blocks.insert(3, _input("location", "Where?", _select(locations, choices.location)))
    return {
        "type": "modal",
        "callback_id": CALLBACK,
        "private_metadata": json.dumps(about)[:_MAX_TEXT],
        "title": _plain("Support ticket"),
        "submit": _plain("Send"),
        "close": _plain("Cancel"),
        "blocks": blocks,
    }


def types() -> dict[str, str]:
    """Give each type of ticket, and how it reads: `Account and billing`."""
    return {name: _WORD.sub(" ", name).capitalize() for name in TICKET_TYPES}


def places(choices: Choices) -> dict[str, str]:
    """Give the locations that can be chosen; none where there is no choice. Slack shows a hundred at most."""
    names = [name for name in choices.locations if len(name) <= _MAX_OPTION][:_MAX_OPTIONS]
    return {name: name for name in names} if len(choices.locations) > 1 else {}


def _input(block: str, label: str, element: Mapping[str, Any], *, optional: bool = True) -> dict[str, Any]:
    return {
        "type": "input",
        "block_id": block,
        "label": _plain(label),
        "optional": optional,
        "element": {**element, "action_id": VALUE},
    }


def _text_input(initial: str, limit: int, *, multiline: bool = False) -> dict[str, Any]:
    filled = {"initial_value": initial[:limit]} if initial else {}
    return {"type": "plain_text_input", "multiline": multiline, "max_length": limit, **filled}


def _select(options: Mapping[str, str], initial: str) -> dict[str, Any]:
    shown = {value: {"text": _plain(text), "value": value} for value, text in options.items()}
    chosen = {"initial_option": shown[initial]} if initial in shown else {}
    return {
        "type": "static_select",
        "placeholder": _plain("Not sure"),
        "options": list(shown.values()),
        **chosen,
    }


def _plain(text: str) -> dict[str, str]:
    return {"type": "plain_text", "text": text}
