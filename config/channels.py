"""Reads `bridge.toml` into frozen records; everything wrong with it comes out in one ConfigError."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping

    from config.secrets import Secret

# The values of `ticket.type`: https://www.spacebring.com/docs/assets/openapi.json
TICKET_TYPES = (
    "access",
    "accountAndBilling",
    "bookings",
    "cleaning",
    "discriminationAndHarassment",
    "internet",
    "mailAndPackages",
    "noiseAndAcoustics",
    "offensiveOrObjectionableContent",
    "other",
    "printing",
    "repairAndMaintenance",
    "temperatureAndVentilation",
    "websiteAndApp",
)


@dataclass(frozen=True)
class Spacebring:
    """How to talk to Spacebring: `location` is the default's uuid, `rate` in requests a second."""

    location: str | None = None
    rate: float = 10
    timeout: float = 10
    text_limit: int = 10_000


@dataclass(frozen=True)
class Rule:
    """What to set where every pattern of `match` is found; None leaves a value as it is.

    Keys of `match`: subject, body, sender, name, recipient, origin, text (everything), or
    `fields.<label or key>`.
    """

    match: Mapping[str, re.Pattern[str]]
    location: str | None = None
    type: str | None = None
    requester: str | None = None


@dataclass(frozen=True)
class Channel:
    """One configured instance of a source: its locks, defaults and rules.

    `location` is a uuid, the channel's own or the default; `requester` is `lookup`, `none` or a
    uuid; `redirects` are the origins that a form's `_next` may lead to.
    """

    name: str
    source: str
    secrets: tuple[Secret, ...] = ()
    basic: tuple[Secret, ...] = ()
    tokens: tuple[Secret, ...] = ()
    public: bool = False
    location: str | None = None
    type: str = "other"
    requester: str = "lookup"
    rules: tuple[Rule, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    redirects: tuple[str, ...] = ()
    api_url: str | None = None
    api_token: Secret | None = None
    client_id: str | None = None
    topics: tuple[str, ...] = ()
    certificate: str | None = None


@dataclass(frozen=True)
class Retention:
    """How long things are kept after an event has finished, and how long repeats are recognised."""

    bodies_days: int = 30
    summaries_days: int = 90
    dedupe_days: int = 30
    content_hours: int = 24


@dataclass(frozen=True)
class LedgerOptions:
    """Sizes in bytes; `blobs` is `redis` or `directory:PATH`."""

    blob_threshold: int = 65_536
    blob_cap: int = 256 * 1024 * 1024
    blobs: str = "redis"
    max_body: int = 60 * 1024 * 1024


@dataclass(frozen=True)
class Config:
    """The whole of `bridge.toml`; `locations` maps names to uuids."""

    spacebring: Spacebring = field(default_factory=Spacebring)
    locations: Mapping[str, str] = field(default_factory=dict)
    channels: tuple[Channel, ...] = ()
    retention: Retention = field(default_factory=Retention)
    ledger: LedgerOptions = field(default_factory=LedgerOptions)

    def channel(self, name: str) -> Channel | None:
        """Give the channel of that name, or None."""
        return next((channel for channel in self.channels if channel.name == name), None)


def load_config(text_or_path: str, *, environ: Mapping[str, str]) -> Config:
    """Read the configuration from a path or from its whole text; `environ` serves `env:NAME`."""
    raise NotImplementedError
