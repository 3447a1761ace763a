"""The channel of a Slack app on the bench: posts to it as Slack does, and works off what came of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from config.channels import load_config
from config.settings import load_settings
from service.app import create_app
from service.core.capture import ORIGIN
from service.core.request import Headers, InboundRequest
from service.core.wiring import open_doors
from tests.workers.bench import CONFIG, URLENCODED
from workers.receipts import Teller

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

    from service.core.ledger import Event
    from tests.workers.bench import Bench

JSON = "application/json"
CHANNEL = """
[locations]
downtown = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
elsewhere = "9a0e8d35-2b2a-4f6e-8d16-1f6f6d1f2c11"
[[channels]]
name = "slack"
source = "slack"
secret = "signing-secret"
api_url = "{base}"
api_token = "xoxb"
reaction = "ticket"
"""


def post(bench: Bench, kind: str, body: bytes, **headers: str) -> TestResponse:
    """Post a body, signed, to the real app."""
    config = load_config(CONFIG + bench.channels, environ={})
    app = create_app(load_settings({"BRIDGE_PUBLIC_URL": ORIGIN}), config, bench.redis)
    door = open_doors(config)["slack"]
    request = InboundRequest("POST", f"{ORIGIN}/hooks/slack", Headers.of([("Content-Type", kind)]), body)
    signed = door.source.sign(request, b"signing-secret")
    more = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return app.test_client().post("/hooks/slack", headers=[*signed.headers, *more], data=body)


def send(bench: Bench, inner: dict[str, Any], event_id: str = "Ev1", **headers: str) -> TestResponse:
    """Post an event of the Events API."""
    grants = [{"user_id": "UBOT", "team_id": "T1", "is_bot": True}]
    body = {"type": "event_callback", "team_id": "T1", "event_id": event_id, "authorizations": grants}
    return post(bench, JSON, json.dumps({**body, "event": inner}).encode(), **headers)


def interact(bench: Bench, payload: dict[str, Any]) -> TestResponse:
    """Post a shortcut or a submission."""
    return post(bench, URLENCODED, urlencode({"payload": json.dumps(payload)}).encode())


def teller(bench: Bench, now: float = 0, stops: int = 0) -> Teller:
    """Give a teller whose clock stands still, and who stops after so many rounds."""
    rounds = iter(range(stops + 1))
    return Teller(
        bench.ledger,
        bench.redis,
        bench.doors(),
        stopping=lambda: next(rounds) >= stops,
        sleep=bench.slept.append,
        clock=lambda: now,
    )


def work(bench: Bench) -> list[Event]:
    """Deliver every event that there is once, and give every receipt that is owed."""
    events = [bench.deliver(event.id) for event in bench.ledger.events(limit=100).events]
    telling = teller(bench)
    while telling.step():
        continue
    return events
