"""What the tests of the ledger do to it: the steps of service and worker, and letting time pass."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, Literal

from service.core.ledger import Attempt, Failing, Outcome, State
from service.core.ledger.model import moment
from service.core.request import Headers, InboundRequest
from service.core.source import Key, Part
from service.core.store import PREFIX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis

    from service.core.ledger import Acceptance, Claim, Ledger
    from service.core.source import Lane

REQUEST = InboundRequest(
    "POST", "https://bridge.example/hooks/web", Headers((("Content-Type", "text/plain"),)), b"hello"
)
DRAFT = {"locationRef": "l", "text": "t", "type": "other"}
DONE = Outcome(
    State.DELIVERED,
    attempt=Attempt(at=moment(0), outcome="delivered", status=201, duration_ms=12),
    fields={"ticket_id": "T", "ticket_number": 7},
    answered=True,
)
GRACE = 10
UNKNOWN = Outcome(State.RETRYING, code="unknown", reason="a ticket may exist", grace=GRACE)
LOOKED_IN_VAIN = Outcome(State.DEAD, code="unknown", reason="a ticket may exist: the list is refused")
REFUSED = Outcome(State.DEAD, code="refused", reason="422: no such location")
IGNORED = Outcome(State.IGNORED, code="ignored", reason="auto-reply")
BACK = Outcome(State.QUEUED, reason="its worker stops")
FORBIDDEN = Outcome(
    State.RETRYING, code="credentials", reason="403", delay=30, failing=Failing("credentials", 1, 30, "l")
)
HOUR = 3600.0
DAY = 24 * HOUR
CAP = 100

# Shifts all that the ledger has stored: the scripts know no time but what Redis's clock says and what
# they wrote.
_SHIFT = """
local P, by = ARGV[1], tonumber(ARGV[2])
local fields = {'received', 'updated', 'lease', 'deadline', 'finished', 'begun_at', 'until', 'since',
  'look_after', 'look_from', 'at'}
for _, key in ipairs(redis.call('KEYS', P .. '*')) do
  local kind = redis.call('TYPE', key).ok
  if kind == 'zset' then
    local unit = key == P .. 'blobs:time' and 1000 or 1
    local entries = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
    for at = 1, #entries, 2 do redis.call('ZADD', key, entries[at + 1] - by / unit, entries[at]) end
  elseif kind == 'hash' then
    for _, name in ipairs(key == P .. 'closed' and redis.call('HKEYS', key) or {}) do
      local gate = cjson.decode(redis.call('HGET', key, name))
      gate['until'], gate.since = gate['until'] - by, gate.since - by
      redis.call('HSET', key, name, cjson.encode(gate))
    end
    for _, name in ipairs(fields) do
      local value = tonumber(redis.call('HGET', key, name) or '0')
      if value > 0 then redis.call('HSET', key, name, value - by) end
    end
  end
  local left = redis.call('PTTL', key)
  if left > by then
    redis.call('PEXPIRE', key, left - by)
  elseif left >= 0 then
    redis.call('DEL', key)
  end
end
"""


def retry(delay: float, failing: Failing | None = None) -> Outcome:
    """Give the outcome of a failure that passes."""
    attempt = Attempt(at=moment(0), outcome="failed", status=503, error="503: busy")
    return Outcome(
        State.RETRYING, code="retry", reason="503: busy", delay=delay, attempt=attempt, failing=failing
    )


@dataclass
class Steps:
    """A ledger and its Redis."""

    ledger: Ledger
    redis: Redis
    _numbers: count[int] = field(default_factory=lambda: count(1))

    def accept(self, *keys: str, lane: Lane = "backlog", channel: str = "web") -> str:
        """Keep a request of one part, under these keys or one of its own; gives the event."""
        return self.accept_parts([keys or (f"key-{next(self._numbers)}",)], lane, channel).events[0]

    def accept_parts(
        self, parts: Sequence[Sequence[str]], lane: Lane = "backlog", channel: str = "web"
    ) -> Acceptance:
        """Keep a request; keys that begin with `content` are hashes of content."""
        return self.ledger.accept(
            REQUEST,
            channel=channel,
            source="form",
            lane=lane,
            parts=[
                Part(tuple(Key(key, content=key.startswith("content")) for key in part)) for part in parts
            ],
        )

    def take(self, most: int = 1, cap: int = CAP) -> list[str]:
        """Hand out what is due."""
        return [handed.event for handed in self.ledger.take(most, cap=cap)]

    def claim(self, event: str = "", worker: str = "w1") -> Claim:
        """Hand out everything that is due, and claim this event, or the first."""
        handed = self.take(CAP, CAP)
        claim = self.ledger.claim(event or handed[0], worker)
        assert claim is not None
        return claim

    def begin(self, event: str = "") -> Claim:
        """Claim and begin an attempt."""
        claim = self.claim(event)
        self.ledger.begin(claim, DRAFT, {"name": "Ada", "email": "ada@example.com", "subject": "Wi-Fi"})
        return claim

    def looked(self) -> int:
        """Give when a look began that begins now."""
        return self.ledger.now()

    def record(self, outcome: Outcome, event: str = "") -> str:
        """Bring an event, new if none is named, through an attempt to this end; gives the event."""
        event = event or self.accept()
        self.ledger.record(self.begin(event), outcome)
        return event

    def pause(self, kind: Literal["credentials", "outage"] = "credentials", probe: float = 30) -> str:
        """Begin a pause; gives the event that failed."""
        return self.record(retry(0, Failing(kind, 1, probe)))

    def pass_time(self, seconds: float) -> None:
        """Let so much time pass for the ledger."""
        self.redis.eval(_SHIFT, 0, PREFIX, int(seconds * 1000))

    def state(self, event: str) -> State:
        """Give the state of an event."""
        return self.ledger.event(event).state

    def field(self, event: str, name: str) -> str | None:
        """Give a field of the event's hash as it stands in Redis."""
        value: Any = self.redis.hget(f"{PREFIX}event:{event}", name)
        return None if value is None else value.decode()

    def ttl(self, key: str, channel: str = "web") -> float | None:
        """Give the seconds for which a dedupe key lives on: None for ever, 0 where there is none."""
        ((name, _),) = self.ledger._keys(channel, [Key(key)])
        left: Any = self.redis.pttl(f"{PREFIX}dedupe:{name}")
        if left < 0:
            return None if left == -1 else 0
        return float(left) / 1000

    def index(self, name: str) -> set[str]:
        """Give the members of a sorted set of the ledger."""
        members: Any = self.redis.zrange(f"{PREFIX}{name}", 0, -1)
        return {member.decode() for member in members}

    def dump(self) -> dict[str, bytes]:
        """Give everything in Redis, to see whether anything changed."""
        keys: Any = self.redis.keys("*")
        values: Any = [self.redis.dump(key) for key in keys]
        return dict(zip((key.decode() for key in keys), values, strict=True))
