"""Who is who in a workspace, by `users.info`, remembered for a day.

https://docs.slack.dev/reference/methods/users.info: the address is there with `users:read.email` only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.core.errors import VendorAway, VendorRefused
from service.core.events import Sender
from service.core.slack.values import string, table
from service.core.text import is_address

if TYPE_CHECKING:
    from service.core.slack.api import SlackApi
    from service.core.source import Memory

_DAY = 24 * 3600
_TEN_MINUTES = 600
# A text may mention a whole workspace; whoever is beyond this stays an id.
MAX_LOOKUPS = 5


class People:
    """The people of one workspace, for one event. Whoever cannot be looked up holds nothing up."""

    def __init__(self, api: SlackApi, memory: Memory, team: str) -> None:
        self._api = api
        self._memory = memory
        self._team = team
        self._left = MAX_LOOKUPS

    def sender(self, user: str, known: Sender) -> Sender:
        """Give a person's name and address, or what is known of them already."""
        found = self._find(user) if user else None
        return known if found is None else Sender(found.name or known.name, found.email)

    def name(self, user: str) -> str:
        """Give the name of somebody who is mentioned, or the id; a few of a text only are asked for."""
        if not self._left and self._memory.get(self._key(user)) is None:
            return user
        found = self._find(user)
        return user if found is None else found.name or user

    def _key(self, user: str) -> str:
        return f"user {self._team} {user}"

    def _find(self, user: str) -> Sender | None:
        kept = self._memory.get(self._key(user))
        if kept is not None:
            name, _, email = kept.partition("\n")
            return Sender(name, email)
        self._left -= 1
        try:
            found = table(self._api.call("users.info", {"user": user}), "user")
        except VendorAway:
            # It will not answer for the next one either.
            self._left = 0
            return None
        except VendorRefused:
            self._memory.put(self._key(user), "", _TEN_MINUTES)
            return None
        person = _person(found)
        self._memory.put(self._key(user), f"{person.name}\n{person.email}", _DAY)
        return person


def _person(found: dict[str, object]) -> Sender:
    profile = table(found, "profile")
    email = string(profile, "email")
    name = string(profile, "real_name") or string(found, "real_name") or string(found, "name")
    return Sender(name, email if is_address(email) else "")
