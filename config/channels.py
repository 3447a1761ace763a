"""Reads `bridge.toml` into frozen records; everything wrong with it comes out in one ConfigError."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from marshmallow import ValidationError

from config.entries import TICKET_TYPES
from config.errors import ConfigError
from config.references import Resolver
from config.schema import BODIES_DAYS, SUMMARIES_DAYS, BridgeTable
from config.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = [
    "TICKET_TYPES",
    "Channel",
    "Config",
    "Delivery",
    "LedgerOptions",
    "Retention",
    "Rule",
    "Spacebring",
    "SpoolOptions",
    "load_config",
]

_BARE_KEY = re.compile(r"[A-Za-z0-9_.-]+")


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

    `location` is a uuid, the channel's own or the default; `locations` are those that a sender may choose
    from, uuids by name; `requester` is `lookup`, `none` or a
    uuid; `redirects` are the origins that a form's `_next` may lead to, `origins` those whose scripts may
    read our answer; `capture` is how many requests are kept as fixture files.
    """

    name: str
    source: str
    secrets: tuple[Secret, ...] = ()
    basic: tuple[Secret, ...] = ()
    tokens: tuple[Secret, ...] = ()
    public: bool = False
    location: str | None = None
    locations: Mapping[str, str] = field(default_factory=dict)
    type: str = "other"
    requester: str = "lookup"
    rules: tuple[Rule, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    redirects: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    capture: int = 0
    api_url: str | None = None
    api_token: Secret | None = None
    client_id: str | None = None
    topics: tuple[str, ...] = ()
    certificate: str | None = None
    reaction: str | None = None


@dataclass(frozen=True)
class Retention:
    """How long things are kept after an event has finished, and how long repeats are recognised."""

    bodies_days: int = BODIES_DAYS
    summaries_days: int = SUMMARIES_DAYS
    dedupe_days: int = 30
    content_hours: int = 24


@dataclass(frozen=True)
class LedgerOptions:
    """Sizes in bytes; `blobs` is `redis` or `directory:PATH`; no `durability`: the safest there is."""

    blob_threshold: int = 65_536
    blob_cap: int = 256 * 1024 * 1024
    blobs: str = "redis"
    max_body: int = 60 * 1024 * 1024
    durability: Literal["fsync", "replica", "memory"] | None = None
    durability_timeout: float = 2


@dataclass(frozen=True)
class SpoolOptions:
    """Whether requests go to a spool on disk while Redis is away; None: where BRIDGE_DATA is persistent."""

    enabled: bool | None = None
    max_bytes: int = 256 * 1024 * 1024


@dataclass(frozen=True)
class Delivery:
    """How patient delivery is, in seconds.

    A worker that dies is noticed after `lease`, a lost job after `handover`. While delivery is paused an
    event tries every `probe` seconds; it pauses after `outage_after` failures in a row. The n-th retry
    comes at random within min(`retry_cap`, `retry_base` * 2**(n-1)), at most `tries` times in all.
    """

    lease: float = 10
    handover: float = 10
    probe: float = 10
    outage_after: int = 5
    retry_base: float = 5
    retry_cap: float = 3600
    tries: int = 18


@dataclass(frozen=True)
class Config:
    """The whole of `bridge.toml`; `locations` maps names to uuids."""

    spacebring: Spacebring = field(default_factory=Spacebring)
    locations: Mapping[str, str] = field(default_factory=dict)
    channels: tuple[Channel, ...] = ()
    retention: Retention = field(default_factory=Retention)
    ledger: LedgerOptions = field(default_factory=LedgerOptions)
    delivery: Delivery = field(default_factory=Delivery)
    spool: SpoolOptions = field(default_factory=SpoolOptions)

    def channel(self, name: str) -> Channel | None:
        """Give the channel of that name, or None."""
        return next((channel for channel in self.channels if channel.name == name), None)


def load_config(text_or_path: str, *, environ: Mapping[str, str]) -> Config:
    """Read the configuration from a file, or from its whole text.

    An existing path is a path; else what holds a line break or a `=` is the TOML itself. `env:NAME`
    is looked up in `environ`, `file:PATH` from the file's folder on (for a text, the current one).
    Raises ConfigError with every problem, each with the path to its key.
    """
    text, folder, name = _read(text_or_path)
    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "tables or lists are nested too deeply" if isinstance(error, RecursionError) else error
        raise ConfigError([f"{name}: not TOML: {reason}"]) from error
    resolved, unresolved = Resolver(folder, environ).channels(raw)
    try:
        valid = BridgeTable().load(resolved)
        wrong: dict[str, Any] = {}
    except ValidationError as error:
        valid, wrong = {}, error.messages_dict
    problems = [*_problems("", wrong, raw), *_problems("", {"channels": unresolved}, raw)]
    if problems:
        # Without the cause: its data holds the secrets.
        raise ConfigError(problems) from None
    return _config(valid)


def _read(text_or_path: str) -> tuple[str, Path, str]:
    path = Path(text_or_path)
    try:
        is_path = path.exists()
    except OSError:
        # Too long for a name: the text itself.
        is_path = False
    if is_path:
        try:
            return path.read_text(encoding="utf-8"), path.parent, str(path)
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise ConfigError([f"BRIDGE_CONFIG: cannot read {str(path)!r}: {reason}"]) from error
    if "\n" in text_or_path or "=" in text_or_path:
        return text_or_path, Path(), "BRIDGE_CONFIG"
    raise ConfigError([f"BRIDGE_CONFIG: no such file: {text_or_path!r}; give a path, or the whole TOML text"])


def _problems(path: str, errors: object, raw: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(errors, dict):
        for key, inner in errors.items():
            yield from _problems(_step(path, key, raw), inner, raw)
    else:
        messages: Sequence[str] = errors if isinstance(errors, list) else [str(errors)]
        yield from (f"{path}: {message}" for message in messages)


def _step(path: str, key: str | int, raw: Mapping[str, Any]) -> str:
    if isinstance(key, int):
        name = raw["channels"][key] if path == "channels" else None
        name = name.get("name") if isinstance(name, dict) else None
        return f"{path}[{key}]" + (f" ({_shown(name)})" if isinstance(name, str) else "")
    if key == "_schema":
        return path
    return f"{path}.{_shown(key)}" if path else _shown(key)


def _shown(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else repr(key)


def _config(valid: Mapping[str, Any]) -> Config:
    locations = valid.get("locations", {})
    spacebring = dict(valid.get("spacebring", {}))
    default = _location(spacebring.pop("location", None), locations)
    return Config(
        spacebring=Spacebring(location=default, **spacebring),
        locations=locations,
        channels=tuple(_channel(table, locations, default) for table in valid.get("channels", ())),
        retention=Retention(**valid.get("retention", {})),
        ledger=LedgerOptions(**valid.get("ledger", {})),
        delivery=Delivery(**valid.get("delivery", {})),
        spool=SpoolOptions(**valid.get("spool", {})),
    )


def _channel(table: Mapping[str, Any], locations: Mapping[str, str], default: str | None) -> Channel:
    rest = dict(table)
    token = rest.pop("api_token", None)
    return Channel(
        secrets=_secrets(rest.pop("secret", ())),
        basic=_secrets(rest.pop("basic", ())),
        tokens=_secrets(rest.pop("token", ())),
        location=_location(rest.pop("location", None), locations) or default,
        locations=locations,
        rules=tuple(_rule(rule, locations) for rule in rest.pop("rules", ())),
        fields=rest.pop("labels", {}),
        api_token=None if token is None else Secret(token),
        **rest,
    )


def _rule(table: Mapping[str, Any], locations: Mapping[str, str]) -> Rule:
    return Rule(**{**table, "location": _location(table.get("location"), locations)})


def _secrets(texts: Sequence[str]) -> tuple[Secret, ...]:
    return tuple(Secret(text) for text in texts)


def _location(value: str | None, locations: Mapping[str, str]) -> str | None:
    return None if value is None else locations.get(value, value.lower())
