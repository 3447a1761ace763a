"""How safe a write must be before anyone acts on it, and what the server can do for that.

`fsync`: on the server's disk. `replica`: a second server has it. `memory`: the server has it, and may
lose what it wrote last. https://valkey.io/commands/waitaof/ and https://valkey.io/commands/wait/
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from redis.exceptions import ResponseError

from service.core.errors import StoreUnsuitable

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

Mode = Literal["fsync", "replica", "memory"]
_MEANING = {
    "fsync": "a 200 means that the event is on the disk of Redis",
    "replica": "a 200 means that a replica has the event too",
    "memory": "Redis may lose what it took in last when it dies",
}
_WAITAOF_SINCE = (7, 2)


@dataclass(frozen=True)
class Plan:
    """What is in force: the mode, and the command that waits for it; none where no wait is needed.

    `lacking` says what the server cannot do of what was asked, and how to mend it.
    """

    mode: Mode
    command: tuple[str | int, ...] = ()
    lacking: str = ""

    @property
    def told(self) -> str:
        """The mode, and what it means."""
        return f"{self.mode} ({_MEANING[self.mode]})"

    def confirms(self, answer: object) -> bool:
        """Whether this answer to the command says that the write is as safe as planned."""
        reached = answer[0] if isinstance(answer, list) else answer
        return isinstance(reached, int) and reached > 0


class Durability:
    """Finds out what the server can do, and remembers it for a while. `wanted` None: the safest it can."""

    def __init__(
        self,
        redis: Redis,
        wanted: Mode | None = None,
        *,
        within: float = 2.0,
        every: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # redis-py types answers as bytes or str; `connect` makes clients that answer bytes.
        self._redis: Any = redis
        self._wanted = wanted
        self._within = int(within * 1000)
        self._every = every
        self._clock = clock
        self._asked = 0.0
        self._plan: Plan | None = None

    def plan(self) -> Plan:
        """Give what is in force; raises redis.RedisError where the server is away."""
        if self._plan is None or self._clock() - self._asked >= self._every:
            self._asked = self._clock()
            self._plan = self._find_out()
        return self._plan

    def forget(self) -> None:
        """Ask the server anew next time: a wait that was not confirmed may mean that it has changed."""
        self._plan = None

    def refuse_lacking(self) -> None:
        """Raise StoreUnsuitable where the server can never do what was asked."""
        plan = self.plan()
        # A replica that is away may come back; a server without an append-only file will not get one.
        if plan.lacking and self._wanted == "fsync":
            raise StoreUnsuitable(plan.lacking)

    def _find_out(self) -> Plan:
        if self._wanted == "memory":
            return Plan("memory")
        info: dict[str, Any] = self._redis.info()
        if self._wanted == "replica":
            return self._on_replica(info)
        plan = self._on_disk(info)
        return plan if self._wanted == "fsync" or not plan.lacking else Plan("memory")

    def _on_replica(self, info: dict[str, Any]) -> Plan:
        lacking = ""
        if not info.get("connected_slaves"):
            lacking = (
                'ledger.durability is "replica", but no replica is connected: requests are answered 503. '
                "Bring the replica back, or choose another durability."
            )
        return Plan("replica", ("WAIT", 1, self._within), lacking)

    def _on_disk(self, info: dict[str, Any]) -> Plan:
        wait = ("WAITAOF", 1, 0, self._within)
        if not info.get("aof_enabled"):
            lacking = (
                'ledger.durability is "fsync", but Redis keeps no append-only file. Switch it on '
                "(`redis-cli config set appendonly yes`, and in redis.conf), or choose another durability."
            )
            return Plan("fsync", wait, lacking)
        major, minor = str(info["redis_version"]).split(".")[:2]
        if (int(major), int(minor)) >= _WAITAOF_SINCE:
            return Plan("fsync", wait)
        if self._fsyncs_always():
            return Plan("fsync")
        lacking = (
            'ledger.durability is "fsync", but this Redis has no WAITAOF (it came with 7.2) and its '
            "appendfsync is not `always`. Set that, use a newer server, or choose another durability."
        )
        return Plan("fsync", wait, lacking)

    def _fsyncs_always(self) -> bool:
        try:
            found: dict[str, str] = self._redis.config_get("appendfsync")
        except ResponseError:
            # Providers may forbid CONFIG: then nothing is known.
            return False
        return found.get("appendfsync") == "always"
