"""The connection to Redis or Valkey, and whether that server can be trusted with events."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ReadOnlyError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry
from redis.sentinel import Sentinel

from config.store import StoreAddress
from service.core.errors import NearlyFull, StoreUnsuitable

if TYPE_CHECKING:
    from collections.abc import Callable

PREFIX = "bridge:"
NEARLY_FULL = 0.9
# redis-py's own is not typed.
_Sentinel: Any = Sentinel


def connect(where: StoreAddress | str, *, timeout: float = 5.0) -> Redis:
    """Give a client for the server, through its Sentinels or not; nothing is sent yet.

    A bare URL is a `unix://` socket's, which has no certificate to check: others are a ValueError.
    A call is never repeated behind our back: whether a script may run twice is the ledger's to say. A
    connection that is lost is made anew by the next call.
    """
    address = where if isinstance(where, StoreAddress) else _socket(where)
    plain: dict[str, Any] = {
        "socket_connect_timeout": timeout,
        "socket_timeout": timeout,
        "retry": Retry(NoBackoff(), 0),
    }
    own = {**plain, "health_check_interval": 30}
    tls = _tls(address) if address.encrypted else {}
    found = address.sentinel
    if found is None:
        client: Redis = Redis.from_url(address.url, **own, **tls)
        return client
    encrypted = {"ssl": True, **tls} if address.encrypted else {}
    logins = {"username": found.sentinel_username, "password": found.sentinel_password}
    # To ask all of them takes about as long as one server may, however many are silent; an idle connection
    # may have broken meanwhile, and to ask a second time does no harm.
    patience = timeout / len(found.hosts)
    asking = {"socket_connect_timeout": patience, "socket_timeout": patience, "retry": Retry(NoBackoff(), 1)}
    sentinels = _Sentinel(list(found.hosts), sentinel_kwargs={**asking, **logins, **encrypted})
    logins = {"username": found.username, "password": found.password}
    primary: Redis = sentinels.master_for(found.service, db=found.db, **logins, **own, **encrypted)
    return primary


def _socket(url: str) -> StoreAddress:
    if not url.startswith("unix://"):
        raise ValueError("A server that is not a Unix socket needs a StoreAddress: see Settings.store")
    return StoreAddress(url)


def _tls(address: StoreAddress) -> dict[str, Any]:
    if address.tls == "insecure":
        # Encrypted, but to whoever answers.
        return {"ssl_cert_reqs": "none", "ssl_check_hostname": False}
    return {} if address.tls == "verify" else {"ssl_ca_certs": address.tls}


@dataclass(frozen=True)
class ServerReport:
    """What the server says of itself. `problems` make it unsafe, each with its mend."""

    version: str
    policy: str
    max_memory: int
    used_memory: int
    append_only: bool
    problems: tuple[str, ...]


def inspect(redis: Redis) -> ServerReport:
    """Ask the server; raises StoreUnsuitable for a cluster and redis.RedisError where it is away."""
    info: dict[str, Any] = redis.info()
    if info.get("cluster_enabled"):
        raise StoreUnsuitable(
            "This is a Redis Cluster: the ledger's steps touch several keys at once and need one server "
            "(or a primary with replicas). Give REDIS_URL of a server without cluster mode."
        )
    policy = str(info.get("maxmemory_policy", "unknown"))
    problems = []
    if policy != "noeviction":
        problems.append(
            f"Redis may evict events: maxmemory-policy is {policy}. Set it to noeviction "
            "(`redis-cli config set maxmemory-policy noeviction`, or your provider's setting)."
        )
    report = ServerReport(
        version=str(info.get("valkey_version") or info.get("redis_version") or "unknown"),
        policy=policy,
        max_memory=int(info.get("maxmemory", 0)),
        used_memory=int(info.get("used_memory", 0)),
        append_only=bool(info.get("aof_enabled", 0)),
        problems=tuple(problems),
    )
    if _ratio(report.used_memory, report.max_memory) >= NEARLY_FULL:
        full = "Redis is nearly full: new requests are answered 503. Raise maxmemory or shorten retention."
        return ServerReport(**{**vars(report), "problems": (*report.problems, full)})
    return report


def _ratio(used: int, limit: int) -> float:
    return used / limit if limit else 0.0


class Headroom:
    """Keeps the last tenth of the memory for recording deliveries: accept is refused before it is full."""

    def __init__(
        self, redis: Redis, *, every: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        # redis-py types answers as bytes or str; `connect` makes clients that answer bytes.
        self._redis: Any = redis
        self._every = every
        self._clock = clock
        self._asked = -every
        # How many bytes the server is beyond what may be filled.
        self.excess = 0

    def check(self) -> None:
        """Return if there is room; raises NearlyFull if not. Asks the server once in a while only."""
        now = self._clock()
        if now - self._asked >= self._every:
            memory: dict[str, Any] = self._redis.info("memory")
            used, limit = int(memory.get("used_memory", 0)), int(memory.get("maxmemory", 0))
            self.excess = used - int(limit * NEARLY_FULL) if limit else 0
            self._asked = now
        if self.excess > 0:
            raise NearlyFull("The ledger is nearly full", 60)

    def forget(self) -> None:
        """Ask the server at the next check: something was removed."""
        self._asked = -self._every


def writable(redis: Redis) -> str:
    """Give '' if the server takes a write, else why it does not."""
    try:
        redis.set(f"{PREFIX}probe", "1", px=60_000)
    except RedisError as error:
        return f"Redis does not take writes: {type(error).__name__}"
    return ""


# Redis 6 wraps what a command of a script was answered in an error of the script's.
_REFUSALS = ("OOM command not allowed", "READONLY", "MISCONF", "NOREPLICAS", "MASTERDOWN")


def takes_nothing(error: RedisError) -> bool:
    """Whether the server is away, or refuses whatever would be written: later the same call may do.

    Of a script it then ran nothing, or, where the connection broke, perhaps all.
    """
    away = (RedisConnectionError, RedisTimeoutError, OutOfMemoryError, ReadOnlyError)
    return isinstance(error, away) or any(word in str(error) for word in _REFUSALS)
