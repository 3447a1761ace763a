"""Chooses type, location and requester, each by itself: the sender, the first rule that fits, a default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from service.core.errors import UnmappableError

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Mapping

    from config.channels import Channel, Rule
    from service.core.events import InboundEvent

_T = TypeVar("_T", str, str | None)

# A pattern sees the beginning of a value only: it is the operator's, but the text is a stranger's,
# and a pattern that is slow on long texts must not stop the worker.
MATCHED_CHARACTERS = 20_000

_DEFAULT = "channel default"
_CHOSEN = "chosen by the sender"


@dataclass(frozen=True)
class Choice:
    """The three values. `requester` is a uuid, `lookup` or `none`; `why` has a reason for each."""

    type: str
    location: str | None
    requester: str
    why: Mapping[str, str]


def choose(event: InboundEvent, channel: Channel) -> Choice:
    """Give what the sender chose, else what the channel's rules, in their order, and its defaults make of it.

    Raises UnmappableError where the sender chose a location that the configuration no longer has.
    """
    texts = _texts(event)
    matching = [
        (f"rule {number}: {_reason(rule)}", rule)
        for number, rule in enumerate(channel.rules, start=1)
        if all(_found(pattern, texts.get(_name(key), [])) for key, pattern in rule.match.items())
    ]

    def first(value_of: Callable[[Rule], str | None], default: _T) -> tuple[str | _T, str]:
        set_here = ((value, why) for why, rule in matching if (value := value_of(rule)) is not None)
        return next(set_here, (default, _DEFAULT))

    kind, kind_why = first(lambda rule: rule.type, channel.type)
    location, location_why = first(lambda rule: rule.location, channel.location)
    if event.type:
        kind, kind_why = event.type, _CHOSEN
    if event.location:
        location, location_why = _located(event.location, channel), _CHOSEN
    requester, requester_why = first(lambda rule: rule.requester, channel.requester)
    why = {"type": kind_why, "location": location_why, "requester": requester_why}
    return Choice(type=kind, location=location, requester=requester, why=why)


def _located(name: str, channel: Channel) -> str:
    if name not in channel.locations:
        raise UnmappableError(
            f"The sender chose location {name!r}, which is not in [locations]: name it there, and replay this"
        )
    return channel.locations[name]


def _reason(rule: Rule) -> str:
    return " and ".join(f"{key} matches {pattern.pattern!r}" for key, pattern in rule.match.items())


def _found(pattern: re.Pattern[str], values: list[str]) -> bool:
    return any(pattern.search(value[:MATCHED_CHARACTERS]) for value in values)


def _name(key: str) -> str:
    return " ".join(key.casefold().split())


def _texts(event: InboundEvent) -> dict[str, list[str]]:
    """Give what each match key looks at. A field that the event does not have matches nothing."""
    answers = (*event.answers, *event.hidden)
    everything = (
        event.subject,
        event.body,
        *(answer.value for answer in answers),
        *(file.name for file in event.files),
    )
    texts = {
        "subject": [event.subject],
        "body": [event.body],
        "sender": [event.sender.email],
        "name": [event.sender.name],
        "recipient": [event.recipient],
        "origin": [event.origin],
        "text": ["\n".join(filter(None, everything))],
    }
    for answer in (*answers, *event.placed):
        for name in {_name(answer.label), _name(answer.key)} - {""}:
            texts.setdefault(f"fields.{name}", []).append(answer.value)
    return texts
