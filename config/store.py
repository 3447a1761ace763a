"""Where Redis is and how its certificate is checked: one record, so that no part can forget the second.

Sentinel URLs have the form that redis-sentinel-url and limits use:
`redis+sentinel://[user:password@]host[:port][,host[:port]…]/service[/db]`
(https://github.com/exponea/redis-sentinel-url). User and password are the servers' own; those of the
Sentinels are `?sentinel_username=` and `?sentinel_password=`.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

from config import values

SENTINEL_SCHEMES = ("redis+sentinel", "rediss+sentinel")
_SENTINEL_PORT = 26379
_MAX_PORT = 65_535
_QUERY = frozenset({"sentinel_username", "sentinel_password"})
_URL = re.compile(
    r"(?P<scheme>rediss?\+sentinel)://(?:(?P<user>[^:@/?]*)(?::(?P<password>[^@/?]*))?@)?"
    r"(?P<hosts>[^/?@]+)/(?P<service>[^/?]+)(?:/(?P<db>\d{1,4}))?/?(?:\?(?P<query>.*))?"
)
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]+))(?::(\d{1,5}))?")
_FORM = (
    "is not the URL of Sentinels; write redis+sentinel://host:26379,host:26379/service/0, with % codes for "
    "special characters of a password"
)


@dataclass(frozen=True)
class SentinelAddress:
    """The Sentinels, the service they watch, and what its servers want to know."""

    hosts: tuple[tuple[str, int], ...]
    service: str
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class StoreAddress:
    """The URL of Redis, and `tls`: `verify`, `insecure`, or the path of a CA's certificate."""

    url: str = field(repr=False)
    tls: str = "verify"

    @property
    def encrypted(self) -> bool:
        """Whether the connection is encrypted."""
        return self.url.startswith("rediss")

    @property
    def sentinel(self) -> SentinelAddress | None:
        """The Sentinels that name the server, or None where the URL does."""
        return parse_sentinel(self.url) if self.url.partition("://")[0] in SENTINEL_SCHEMES else None


def parse_sentinel(url: str) -> SentinelAddress:
    """Take a Sentinel URL apart; raises InvalidValueError."""
    found = _URL.fullmatch(url)
    if found is None or any(character <= " " for character in url):
        raise values.InvalidValueError(_FORM)
    query = dict(parse_qsl(found["query"] or ""))
    if query.keys() - _QUERY:
        raise values.InvalidValueError(f"may hold only {' and '.join(sorted(_QUERY))} after the ?")
    return SentinelAddress(
        hosts=tuple(_host(text) for text in found["hosts"].split(",")),
        service=unquote(found["service"]),
        db=int(found["db"] or 0),
        username=unquote(found["user"] or "") or None,
        password=unquote(found["password"] or "") or None,
        sentinel_username=query.get("sentinel_username"),
        sentinel_password=query.get("sentinel_password"),
    )


def _host(text: str) -> tuple[str, int]:
    found = _HOST.fullmatch(text)
    port = int(found[3] or _SENTINEL_PORT) if found else 0
    if found is None or not 0 < port <= _MAX_PORT:
        raise values.InvalidValueError(_FORM)
    return found[1] or found[2], port


def store_url(value: str) -> str:
    """Give the URL of a Redis or Valkey server, or of its Sentinels; raises InvalidValueError."""
    if value.partition("://")[0] in SENTINEL_SCHEMES:
        parse_sentinel(value)
        return value
    return values.redis_url(value)


def store_tls(value: str) -> str:
    """Give how the certificate of Redis is checked; raises InvalidValueError."""
    if value in {"verify", "insecure"}:
        return value
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=value)
    except (OSError, ValueError) as error:
        raise values.InvalidValueError(
            f"{value!r} is neither verify nor insecure, and no file of PEM certificates that can be read; "
            "give one, or a CA certificate's path"
        ) from error
    return value
