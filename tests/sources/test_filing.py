"""Every recorded request, through the real app and a worker's delivery, to the sandbox over HTTP."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import requests

from sandbox.app import create_app
from sandbox.options import SandboxOptions
from sandbox.server import running
from service.core.ledger import State
from tests.fixtures_http import Case, calls_back, cases
from tests.slack_api import SlackStandIn, slack_running
from tests.sources.test_contract import client_of, post
from tests.workers.bench import LOCATION, Bench

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from redis import Redis

    from service.core.wiring import Door
    from service.web import Web
    from tests.vendor_api import VendorStandIn

RECORDED = [case for case in cases() if case.outcome not in {"duplicate", "handshake"}]
ENDS = {
    "accepted": {State.DELIVERED, State.DEAD, State.IGNORED},
    "ignored": {State.IGNORED},
    "malformed": {State.DEAD},
}


class Works(Bench):
    """A bench whose worker serves the channels of a web side."""

    web: Web

    def doors(self) -> Mapping[str, Door]:
        return self.web.doors


@pytest.fixture(scope="module")
def sandbox() -> Iterator[str]:
    with running(create_app(SandboxOptions(locations={LOCATION: "Downtown"}, rate=0))) as base:
        yield base


@pytest.fixture(scope="module")
def slack() -> Iterator[SlackStandIn]:
    with slack_running() as stand_in:
        yield stand_in


@pytest.mark.parametrize("case", RECORDED, ids=str)
def test_a_recorded_request_sent_twice_ends_once_as_its_name_says(
    case: Case, redis: Redis, sandbox: str, slack: SlackStandIn, vendors: VendorStandIn
) -> None:
    requests.delete(f"{sandbox}/sandbox/tickets", timeout=5).raise_for_status()
    slack.messages = [reacted_to(case)]
    api_url = vendors.url(case.source) if calls_back(case.source) else slack.base
    client = client_of(case.source, redis, api_url=api_url)
    web: Web = client.application.extensions["bridge"]
    works = Works(sandbox, redis, web.ledger, timeout=5)
    works.web = web

    answers = [post(client, case.request) for _ in range(2)]
    events = [works.deliver(event.id) for event in web.ledger.events(limit=100).events]

    again = {answer.headers.get("X-Bridge-Status") for answer in answers[1:]}
    assert {event.state for event in events} <= ENDS.get(case.outcome, set())
    assert ("duplicate" in again) == bool(events)
    tickets = works.tickets()
    delivered = [event for event in events if event.state is State.DELIVERED]
    assert len(tickets) == len(delivered)
    assert bool(delivered) == (case.outcome == "accepted")
    assert all(any(event.marker in ticket["text"] for ticket in tickets) for event in delivered)


def reacted_to(case: Case) -> dict[str, Any]:
    try:
        item = json.loads(case.request.body)["event"]["item"]
    except (ValueError, KeyError, TypeError):
        return {}
    return {"ts": item.get("ts"), "user": "U1", "text": "The printer is on fire"}
