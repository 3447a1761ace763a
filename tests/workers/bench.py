"""A sandbox over HTTP, a real ledger and a worker's deliverer: what the tests of delivery do things to."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import requests

from config.channels import load_config
from sandbox.options import DEFAULT_NETWORK_ID
from service.core.memory import RedisMemory
from service.core.request import Headers, InboundRequest
from service.core.source import Key, Part
from service.core.wiring import open_doors
from workers.delivery import Deliverer
from workers.reconcile import Reconciler
from workers.schedule import Schedule
from workers.spacebring.auth import BearerAuth
from workers.spacebring.client import SpacebringClient
from workers.spacebring.limiter import Limiter
from workers.verdicts import Options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis import Redis

    from service.core.ledger import Event, Ledger
    from service.core.source import Lane
    from service.core.wiring import Door

LOCATION = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
ELSEWHERE = "9a0e8d35-2b2a-4f6e-8d16-1f6f6d1f2c11"
ANN = "0b0e7a3e-2a55-4a3e-9f6a-6f0a1c2d3e4f"
CONFIG = f"""
[spacebring]
location = "{LOCATION}"
[[channels]]
name = "web"
source = "form"
public = true
[[channels]]
name = "north"
source = "form"
public = true
location = "9a0e8d35-2b2a-4f6e-8d16-1f6f6d1f2c11"
[[channels]]
name = "mail"
source = "postmark"
basic = "user:password"
"""
URLENCODED = "application/x-www-form-urlencoded"
FORM = b"email=ann%40example.com&message=Cold+room"


@dataclass
class Bench:
    """A sandbox, a ledger and a worker's deliverer; `settings` are passed on to it."""

    base: str
    redis: Redis
    ledger: Ledger
    settings: dict[str, Any] = field(default_factory=dict)
    slept: list[float] = field(default_factory=list)
    client: SpacebringClient | None = None
    timeout: float = 1
    channels: str = ""

    def fault(self, **fault: object) -> None:
        answer = requests.put(f"{self.base}/sandbox/faults", json=[fault] if fault else [], timeout=5)
        answer.raise_for_status()

    def tickets(self) -> list[dict[str, Any]]:
        answer = requests.get(f"{self.base}/sandbox/tickets", timeout=5)
        tickets: list[dict[str, Any]] = answer.json()["tickets"]
        return tickets

    def accept(
        self,
        body: bytes = FORM,
        channel: str = "web",
        kind: str = URLENCODED,
        key: str = "k",
        lane: Lane = "backlog",
    ) -> str:
        request = InboundRequest(
            "POST", f"https://bridge.example/hooks/{channel}", Headers.of([("Content-Type", kind)]), body
        )
        source = {"web": "form", "north": "form", "mail": "postmark"}.get(channel, channel)
        return self.ledger.accept(
            request, channel=channel, source=source, lane=lane, parts=[Part((Key(key),))]
        ).events[0]

    def deliverer(self) -> Deliverer:
        credentials = BearerAuth("sandbox-token", DEFAULT_NETWORK_ID)
        self.client = SpacebringClient(self.base, credentials, timeout=self.timeout)
        given: dict[str, Any] = {
            "find_requester": lambda _location, _email: None,
            "reconciler": Reconciler(self.ledger, self.redis, self.client),
            "limiter": Limiter(self.redis, rate=1000, max_wait=5),
            "worker": "w1",
            "options": Options(schedule=Schedule(base=0.001, floor=0.001)),
            "sleep": self.slept.append,
            "memory": partial(RedisMemory, self.redis),
        }
        return Deliverer(self.ledger, self.doors(), self.client, **{**given, **self.settings})

    def doors(self) -> Mapping[str, Door]:
        return open_doors(load_config(CONFIG + self.channels, environ={}))

    def location_may_be_tried(self) -> None:
        """Let a closed location be due for a probe."""
        redis: Any = self.redis
        for location, gate in redis.hgetall("bridge:closed").items():
            redis.hset("bridge:closed", location, json.dumps({**json.loads(gate), "until": 0}))

    def grace_passes(self, event: str) -> None:
        """Let the look that begins now be late enough."""
        redis: Any = self.redis
        redis.hset(f"bridge:event:{event}", "look_after", self.ledger.now())

    def deliver(self, event: str) -> Event:
        """Hand the event out and deliver it once, whatever is due when."""
        lane: Any = self.redis
        lane.zadd(f"bridge:due:{self.ledger.event(event).lane}", {event: 0})
        lane.hdel("bridge:pause", "until")
        self.ledger.take(10, cap=100)
        self.deliverer().deliver(event)
        return self.ledger.event(event)
