"""What a sandbox is made with, and who and what exists in its network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

DEFAULT_NETWORK_ID = "5b1d4a52-6f0c-4c39-9d53-0a6e5d0c7b11"


class Membership(NamedTuple):
    """One person's membership in one location."""

    email: str
    name: str
    location: str
    user: str
    id: str


class User(NamedTuple):
    """A person with an account, whatever their memberships."""

    id: str
    email: str
    name: str


# Who a bearer token acts for: the administrator who consented, and so the requester
# of a ticket that names none.
ADMINISTRATOR = User("0ad0c3f4-3f1b-4c7e-8a55-4d1f7a1e90aa", "admin@sandbox.example", "Sandbox Administrator")


@dataclass(frozen=True)
class SandboxOptions:
    """All that a sandbox can be told.

    `locations` maps a location's uuid to its title. `memberships` are tuples of e-mail address, name,
    location uuid, user uuid, membership uuid. `token` is the bearer token, `client_id` and `client_secret`
    the Basic credentials, and those of the OAuth2 client; with `basic_may_create` off, filing a ticket with
    Basic answers 403. An access token got by OAuth2 lives for `access_life` seconds; with `rotate_refresh` a
    refresh token is good once, and the answer to it holds the next. `rate` is the
    number of requests a second for the network (0 = no limit), counted by a token bucket, or with
    `strict_window` by a sliding window. `data` is a SQLite file that keeps tickets and faults across a
    restart or a SIGKILL; None keeps them in memory.
    """

    locations: Mapping[str, str]
    memberships: Sequence[tuple[str, str, str, str, str]] = ()
    token: str = field(default="sandbox-token", repr=False)
    network_id: str = DEFAULT_NETWORK_ID
    client_id: str = "sandbox-client"
    client_secret: str = field(default="sandbox-secret", repr=False)
    basic_may_create: bool = False
    access_life: int = 3600
    rotate_refresh: bool = True
    rate: int = 10
    strict_window: bool = False
    data: Path | None = None


class Directory:
    """Looks up the places and people that a sandbox was made with; uuids in any letter case."""

    def __init__(self, options: SandboxOptions) -> None:
        self.locations = {ref.lower(): title for ref, title in options.locations.items()}
        self._memberships = [
            Membership(email, name, location.lower(), user.lower(), ref.lower())
            for email, name, location, user, ref in options.memberships
        ]
        self._users = {ADMINISTRATOR.id: ADMINISTRATOR} | {
            membership.user: User(membership.user, membership.email, membership.name)
            for membership in self._memberships
        }

    def user(self, ref: str) -> User | None:
        """Give the person with this user id, or None."""
        return self._users.get(ref)

    def members(self, location: str, email: str | None = None) -> list[Membership]:
        """Give the memberships of a location, or only those of one address, in any letter case."""
        return [
            membership
            for membership in self._memberships
            if membership.location == location
            and (email is None or membership.email.casefold() == email.casefold())
        ]

    def membership_of(self, user: str, location: str) -> Membership | None:
        """Give the membership that a person holds in a location, or None."""
        return next((found for found in self.members(location) if found.user == user), None)
