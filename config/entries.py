"""Reads single entries of `bridge.toml`: gives the value, or raises InvalidValueError with what is wrong."""

from __future__ import annotations

import re

from config import values
from config.fields import nearest

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

DURABILITIES = ("fsync", "replica", "memory")
MIN_TOKEN = 16
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_EMOJI = re.compile(r"[\w+'-]{1,100}")


def channel_name(value: str) -> str:
    """Give a channel's name: it stands in a URL."""
    if not _NAME.fullmatch(value):
        raise values.InvalidValueError(
            "may hold a-z, 0-9 and hyphens, at most 64, and starts with a letter or digit: it stands in a URL"
        )
    return value


def ticket_type(value: str) -> str:
    """Give one of Spacebring's types of tickets."""
    if value not in TICKET_TYPES:
        raise values.InvalidValueError(f"{value!r} is no ticket type; {nearest(value, TICKET_TYPES)}")
    return value


def requester(value: str) -> str:
    """Give `lookup`, `none` or a uuid."""
    if value in {"lookup", "none"}:
        return value
    if not values.is_uuid(value):
        raise values.InvalidValueError(f'{value!r} is no requester; give "lookup", "none" or a uuid')
    return value.lower()


def token(value: str) -> str:
    """Give a token that is too long to be guessed."""
    if len(value) < MIN_TOKEN:
        raise values.InvalidValueError(
            f"is shorter than {MIN_TOKEN} characters; make one with: "
            'python -c "import secrets; print(secrets.token_urlsafe(24))"'
        )
    return values.secret_text(value)


def basic(value: str) -> str:
    """Give a `user:password`."""
    user, _, password = value.partition(":")
    if not (user and password):
        raise values.InvalidValueError("must be user:password")
    return values.secret_text(value)


def emoji(value: str) -> str:
    """Give an emoji's name without colons."""
    name = value.strip(":")
    if not _EMOJI.fullmatch(name):
        raise values.InvalidValueError(f"{value!r} is no emoji's name; write it as in Slack, such as ticket")
    return name


def durability(value: str) -> str:
    """Give one of DURABILITIES."""
    if value not in DURABILITIES:
        raise values.InvalidValueError(f"{value!r} is no durability; {nearest(value, DURABILITIES)}")
    return value


def blobs(value: str) -> str:
    """Give `redis` or `directory:PATH`."""
    kind, _, path = value.partition(":")
    if value != "redis" and not (kind == "directory" and path.strip()):
        raise values.InvalidValueError(f'{value!r} is no blob store; give "redis" or "directory:PATH"')
    return value
