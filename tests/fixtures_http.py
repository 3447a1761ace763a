"""Reads the recorded requests under tests/fixtures: data, from which the contract test is made.

`tests/fixtures/<source>/<outcome>__<detail>.http` is an HTTP/1.1 request byte by byte, the `.json`
beside it what must come of it (`status`, `answer`, `event`), and `channel.toml` the channel that
receives it, with `now`, the time at which the signatures were made. `duplicate__x` is what the
sender of `accepted__x` sends a second time. Where the channel's secret cannot sign, being a public
key or none, `key` in `channel.toml` is the private one. What the vendor's API answers is in `api/`: see
`tests.vendor_api`.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.core.capture import parse_http
from service.core.errors import RequestError, UnreadableError
from service.core.signing import Locks
from service.core.source import Source, SourceOptions

if TYPE_CHECKING:
    from service.core.request import InboundRequest

FIXTURES = Path(__file__).parent / "fixtures"


@dataclass(frozen=True)
class Case:
    """One recorded request: `path` is the .http file."""

    path: Path

    @property
    def source(self) -> str:
        return self.path.parent.name

    @property
    def outcome(self) -> str:
        return self.path.stem.partition("__")[0]

    @property
    def request(self) -> InboundRequest:
        return parse_http(self.path.read_bytes())

    @property
    def golden(self) -> dict[str, Any]:
        golden: dict[str, Any] = json.loads(self.path.with_suffix(".json").read_text("utf-8"))
        return golden

    @property
    def original(self) -> Case:
        """The case that a `duplicate__…` repeats."""
        return Case(self.path.with_name(self.path.name.replace("duplicate__", "accepted__", 1)))

    def __str__(self) -> str:
        return f"{self.source}/{self.path.stem}"


@dataclass(frozen=True)
class Channel:
    """The channel of a fixture folder: `table` as it would stand in bridge.toml, and the frozen clock."""

    source: str
    table: dict[str, Any]
    now: float
    key: bytes = b""

    @property
    def options(self) -> SourceOptions:
        locks = Locks(*(_as_bytes(self.table.get(name)) for name in ("secret", "basic", "token")))
        return SourceOptions(
            channel=self.table["name"],
            locks=locks,
            fields=self.table.get("fields", {}),
            redirects=tuple(self.table.get("redirects", ())),
            topics=tuple(self.table.get("topics", ())),
            certificate=self.table.get("certificate", ""),
            api_url=self.table.get("api_url", ""),
            api_token=self.table.get("api_token", ""),
            client_id=self.table.get("client_id", ""),
            reaction=self.table.get("reaction", ""),
        )

    def clock(self) -> float:
        return self.now


def cases(source: str = "*") -> list[Case]:
    """List the recorded requests of a source, or of all."""
    return [Case(path) for path in sorted(FIXTURES.glob(f"{source}/*__*.http"))]


def calls_back(source: str) -> bool:
    """Say whether the source's folder has answers of its vendor's API: `tests.vendor_api` gives them."""
    return (FIXTURES / source / "api").is_dir()


def load_channel(source: str) -> Channel:
    """Read the folder's channel.toml."""
    table = tomllib.loads((FIXTURES / source / "channel.toml").read_text("utf-8"))
    key = table.pop("key", "").encode()
    return Channel(source, table, float(table.pop("now")), key)


def channel_toml(source: str, *, api_url: str = "") -> str:
    """Give the folder's channel as it stands in bridge.toml; its vendor's API may stand elsewhere."""
    text = (FIXTURES / source / "channel.toml").read_text("utf-8")
    own = load_channel(source).table.get("api_url")
    if api_url and own:
        text = text.replace(own, api_url)
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(("now =", "key =")))


def _as_bytes(value: str | list[str] | None) -> tuple[bytes, ...]:
    values = [value] if isinstance(value, str) else value or []
    return tuple(each.encode() for each in values)


def sign_again(source: Source, request: InboundRequest) -> InboundRequest:
    """Sign a request with the channel's first secret, if it has one and the body can carry it."""
    key = load_channel(source.name).key or next(iter(source.options.locks.secrets), b"")
    if not key:
        return request
    try:
        return source.sign(request, key)
    except (RequestError, UnreadableError):
        return request
