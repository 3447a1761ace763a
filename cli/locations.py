"""What `bridge check` asks Spacebring about the locations: are they known, are their tickets listed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from workers.spacebring.errors import SpacebringError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from config.channels import Config
    from workers.spacebring.client import SpacebringClient

_FORBIDDEN = 403
# Spacebring allows 10 requests a second.
_PAUSE = 0.1


def location_problems(client: SpacebringClient, config: Config) -> list[str]:
    """Give what is wrong with each location that a ticket may go to; SpacebringError where we are refused."""
    used = _locations(config)
    return [*_unknown(client, used), *_unlisted(client, used)]


def _locations(config: Config) -> Mapping[str, str]:
    """Give every location that a ticket may go to, by uuid, with the key that names it."""
    used = {config.spacebring.location: "spacebring.location"}
    for channel in config.channels:
        used.setdefault(channel.location, f"location of channel {channel.name}")
        for rule in channel.rules:
            used.setdefault(rule.location, f"location in a rule of channel {channel.name}")
    named = {ref: f"locations.{name}" for name, ref in config.locations.items()}
    return {ref: key for ref, key in (used | named).items() if ref is not None}


def _unknown(client: SpacebringClient, used: Mapping[str, str]) -> list[str]:
    try:
        known = {location.id.lower() for location in client.locations()}
    except SpacebringError as error:
        # Not needed for filing tickets: what is needed is tried all the same.
        if error.status == _FORBIDDEN:
            return [f"Spacebring does not let us list the locations, so that none can be checked: {error}"]
        raise
    return [f"{key}: Spacebring knows no location {ref}" for ref, key in used.items() if ref not in known]


def _unlisted(client: SpacebringClient, used: Mapping[str, str]) -> list[str]:
    """Try to read the tickets of each location: this is how the bridge looks whether one was made already."""
    problems = []
    for ref, key in used.items():
        time.sleep(_PAUSE)
        try:
            client.list_tickets(ref, limit=1)
        except SpacebringError as error:
            problems.append(
                f"{key}: Spacebring does not list this location's tickets ({error.status or 'no answer'}): "
                f"{error}; without the list, a ticket that may or may not have been made (after a time-out, "
                "say) can never be looked for: let the credentials read its support tickets"
            )
    return problems
