"""Puts the kernel's parts together from the configuration, for web, worker and CLI alike."""

from __future__ import annotations

import time
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from config.fields import unknown_key
from service.core.blobs import DirectoryBlobs, RedisBlobs
from service.core.durability import Durability
from service.core.errors import ConfigError
from service.core.ledger import Keeping, Ledger
from service.core.registry import discover
from service.core.signing import Locks
from service.core.source import Choices, SourceOptions
from service.core.spool import Spool
from service.core.store import PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from redis import Redis

    from config.channels import Channel, Config
    from config.secrets import Secret
    from config.settings import Settings
    from service.core.blobs import Blobs
    from service.core.ledger import Timings
    from service.core.source import Source

_DIRECTORY = "directory:"
# Keys of a channel that only some sources make use of.
_PARTICULAR = ("fields", "redirects", "topics", "certificate", "reaction")
# What `fields` may name; `id` is for mails that a parser took apart.
_FOUND = ("email", "name", "subject", "body", "id")


@dataclass(frozen=True)
class Door:
    """A channel with the source that serves it."""

    channel: Channel
    source: Source


def open_ledger(redis: Redis, config: Config, *, timings: Timings | None = None) -> Ledger:
    """Give the ledger as the configuration wants it; nothing is sent to Redis yet."""
    options, retention = config.ledger, config.retention
    blobs: Blobs = RedisBlobs(redis, prefix=PREFIX, cap=options.blob_cap)
    if options.blobs.startswith(_DIRECTORY):
        blobs = DirectoryBlobs(Path(options.blobs.removeprefix(_DIRECTORY)))
    keeping = Keeping(
        bodies_days=retention.bodies_days,
        summaries_days=retention.summaries_days,
        dedupe_days=retention.dedupe_days,
        content_hours=retention.content_hours,
        blob_threshold=options.blob_threshold,
    )
    durability = Durability(redis, options.durability, within=options.durability_timeout)
    return Ledger(redis, blobs, keeping=keeping, timings=timings, durability=durability)


def open_spool(settings: Settings, config: Config) -> Spool:
    """Give the spool below BRIDGE_DATA; on where that is persistent, or bridge.toml says so."""
    enabled, options = config.spool.enabled, config.spool
    return Spool(
        settings.data / "spool",
        enabled=settings.data_persistent if enabled is None else enabled,
        max_bytes=options.max_bytes,
    )


def open_doors(config: Config, *, clock: Callable[[], float] = time.time) -> Mapping[str, Door]:
    """Give every channel with its source, by name.

    Raises ConfigError for a source that does not exist, lacks a key, has one that it makes no use of, or
    has a `secret` and does not sign.
    """
    sources = discover()
    doors: dict[str, Door] = {}
    problems: list[str] = []
    for index, channel in enumerate(config.channels):
        where = f"channels[{index}] ({channel.name})"
        kind = sources.get(channel.source)
        if kind is None:
            near = get_close_matches(channel.source, sources, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(sources))}"
            problems.append(f"{where}.source: no source {channel.source!r}; {hint}")
            continue
        locks = Locks(_bytes(channel.secrets), _bytes(channel.basic), _bytes(channel.tokens))
        problems += [f"{where}.{problem}" for problem in _useless(channel, kind)]
        missing = [key for key in kind.needs if not getattr(channel, key)]
        if missing:
            problems += [f"{where}.{key}: is missing; {kind.label} needs it" for key in missing]
            continue
        try:
            source = kind(_options(channel, locks, config.ledger.max_body), clock=clock)
        except ConfigError as error:
            problems += [f"{where}.{problem}" for problem in error.problems]
            continue
        if locks.secrets and source.scheme() is None:
            problems.append(
                f"{where}.secret: {kind.label} does not sign its requests; lock the channel with `token` "
                "or `basic` instead"
            )
        doors[channel.name] = Door(channel, source)
    if problems:
        raise ConfigError(problems)
    return doors


def _useless(channel: Channel, kind: type[Source]) -> Iterator[str]:
    """Say what the channel sets to no effect."""
    for key in _PARTICULAR:
        if getattr(channel, key) and key not in (*kind.takes, *kind.needs):
            yield f"{key}: {kind.label} makes no use of it; remove it"
    for key in channel.fields:
        if "fields" in kind.takes and key not in _FOUND:
            yield f"fields.{key}: {unknown_key(key, _FOUND)}"


def _options(channel: Channel, locks: Locks, max_body: int) -> SourceOptions:
    return SourceOptions(
        channel=channel.name,
        locks=locks,
        fields=channel.fields,
        redirects=channel.redirects,
        topics=channel.topics,
        certificate=channel.certificate or "",
        api_url=channel.api_url or "",
        api_token=channel.api_token.reveal() if channel.api_token else "",
        client_id=channel.client_id or "",
        max_body=max_body,
        reaction=channel.reaction or "",
        choices=_choices(channel),
    )


def _choices(channel: Channel) -> Choices:
    usual = next((name for name, uuid in channel.locations.items() if uuid == channel.location), "")
    return Choices(
        locations=tuple(channel.locations),
        type="" if any(rule.type for rule in channel.rules) else channel.type,
        location="" if any(rule.location for rule in channel.rules) else usual,
    )


def _bytes(secrets: Iterable[Secret]) -> tuple[bytes, ...]:
    return tuple(secret.bytes for secret in secrets)
