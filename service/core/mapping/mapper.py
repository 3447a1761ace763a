"""Makes the draft of one event, and says why each of its values is what it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.core.errors import UnmappableError
from service.core.mapping.draft import TicketDraft, load_draft
from service.core.mapping.rules import choose
from service.core.mapping.text import person, render
from service.core.text import is_address

if TYPE_CHECKING:
    from collections.abc import Mapping

    from config.channels import Channel
    from service.core.events import InboundEvent

# Location and e-mail address in, the user's uuid out, or None where that location has no such member.
FindRequester = Callable[[str, str], str | None]


@dataclass(frozen=True)
class Mapped:
    """A draft; `why` holds a reason for `type`, `location` and `requester`."""

    draft: TicketDraft
    why: Mapping[str, str]


@dataclass(frozen=True)
class _Requester:
    user: str | None
    why: str
    note: str = ""


def map_event(
    event: InboundEvent,
    *,
    channel: Channel,
    marker: str,
    source_label: str,
    text_limit: int,
    find_requester: FindRequester | None,
    refused_requester: bool = False,
) -> Mapped:
    """Make the draft; `refused_requester` leaves out a requester that Spacebring would not take.

    Without `find_requester`, as in a preview, nobody is looked up, and the draft has no requester yet.
    Raises UnmappableError where no valid ticket can be made of it. What `find_requester` raises goes
    through: it is no fault of the event.
    """
    choice = choose(event, channel)
    if choice.location is None:
        raise UnmappableError(
            f"No location for channel {channel.name!r}: set location in [spacebring], "
            "in the channel or in a rule"
        )
    requester = _requester(
        event, choice.location, choice.requester, find_requester, refused=refused_requester
    )
    text = render(
        event,
        marker=marker,
        channel_name=channel.name,
        source_label=source_label,
        limit=text_limit,
        notes=(requester.note,),
    )
    draft = load_draft(
        {
            "locationRef": choice.location,
            "text": text,
            "type": choice.type,
            "userRefRequester": requester.user,
        }
    )
    return Mapped(draft, {**choice.why, "requester": f"{choice.why['requester']}: {requester.why}"})


def _requester(
    event: InboundEvent, location: str, wanted: str, find: FindRequester | None, *, refused: bool
) -> _Requester:
    """Find who asks. Whoever is not taken is named in the text: the ticket shows the token's user instead."""
    email = event.sender.email.strip().lower()
    if wanted == "none":
        return _Requester(None, "none wanted")
    if wanted == "lookup" and not email:
        return _Requester(None, "none, the sender gave no e-mail address")
    if refused:
        who = person(event) if wanted == "lookup" else f"user {wanted}"
        return _Requester(
            None, "none, Spacebring refused the requester", f"Requester refused by Spacebring: {who}"
        )
    if wanted == "lookup":
        if find is None:
            return _Requester(None, "not known yet, the sender's address is looked up at delivery")
        return _looked_up(email, find(location, email) if is_address(email) else None)
    return _Requester(wanted, "set by uuid")


def _looked_up(email: str, user: str | None) -> _Requester:
    if user is None:
        return _Requester(
            None,
            "none, no member of the location has the sender's address",
            f"Requester not known to Spacebring: {email}",
        )
    return _Requester(user, "the member with the sender's address")
