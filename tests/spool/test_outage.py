"""The web side while Redis is away or full: what it answers, and what is in the ledger afterwards."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from config.channels import load_config
from config.settings import load_settings
from service.app import create_app
from service.core.capture import ORIGIN
from service.core.drainer import Drainer
from service.core.ledger.ids import marker_of
from tests.fixtures_http import Case, cases, channel_toml, load_channel
from tests.sources.test_contract import parsed
from tests.vendor_api import vendors_running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from service.web import Web
    from tests.spool.conftest import Outage
    from tests.vendor_api import VendorStandIn

TOKEN = "the-api-token"
CONFIG = """
[spacebring]
location = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
[[channels]]
name = "website"
source = "form"
public = true
"""


class Door:
    """The app on the server of an outage, with a spool in a folder of its own."""

    def __init__(self, outage: Outage, folder: Path, config: str, clock: Callable[[], float]) -> None:
        environ = {
            "BRIDGE_DATA": str(folder),
            "BRIDGE_DATA_PERSISTENT": "true",
            "BRIDGE_PUBLIC_URL": ORIGIN,
            "BRIDGE_API_TOKEN": TOKEN,
        }
        app = create_app(load_settings(environ), load_config(config, environ={}), outage.redis, clock=clock)
        self.client: FlaskClient = app.test_client()
        self.web: Web = app.extensions["bridge"]

    def post(self, text: str = "Cold room") -> TestResponse:
        form = {"email": "ann@example.com", "message": text}
        return self.client.post("/hooks/website", data=form, headers={"Accept": "application/json"})

    def api(self, path: str) -> Any:  # noqa: ANN401 - as JSON is
        return self.client.get(f"/api/{path}", headers={"Authorization": f"Bearer {TOKEN}"}).get_json()

    def events(self) -> set[str]:
        return {event["id"] for event in self.api("events?limit=200")["events"]}

    def drain(self) -> None:
        Drainer(self.web.spool, self.web.ledger).drain()
        assert self.web.spool.waiting() == 0


@pytest.fixture
def doors(outage: Outage, tmp_path: Path) -> Callable[..., Door]:
    def build(config: str = CONFIG, clock: Callable[[], float] = time.time) -> Door:
        return Door(outage, tmp_path / "data", config, clock)

    return build


@pytest.fixture
def door(doors: Callable[..., Door]) -> Door:
    return doors()


def said(response: TestResponse) -> tuple[int, str, str]:
    body = response.get_json()
    assert response.headers["X-Bridge-Event"] == body["event"]
    assert response.headers["X-Bridge-Status"] == body["status"]
    return response.status_code, body["status"], body["event"]


def test_what_comes_in_an_outage_is_in_the_ledger_once_with_every_repeat(door: Door, outage: Outage) -> None:
    _, _, before = said(door.post("before"))
    outage.begin()

    first = said(door.post("during"))
    again = said(door.post("during"))
    repeat = said(door.post("before"))

    assert (first[:2], again) == ((200, "accepted"), (200, "duplicate", first[2]))
    assert repeat[:2] == (200, "accepted")
    outage.end()
    door.drain()
    assert said(door.post("during")) == (200, "duplicate", first[2])
    assert said(door.post("before")) == (200, "duplicate", before)
    assert door.events() == {before, first[2]}
    assert door.api(f"events/{repeat[2]}")["id"] == before
    assert door.web.ledger.event(before).repeats == 2


def test_a_repeat_that_overtakes_the_spool_makes_one_event(
    door: Door, outage: Outage, monkeypatch: pytest.MonkeyPatch
) -> None:
    outage.begin()
    _, _, spooled = said(door.post())
    outage.end()
    monkeypatch.setattr(door.web.intake, "_clock", lambda: time.monotonic() + 3600)
    _, status, first = said(door.post())
    assert (status, first) != ("duplicate", spooled)

    door.drain()

    assert door.events() == {first}
    assert door.api(f"events/{spooled}")["id"] == first


def test_what_the_broken_call_had_kept_is_not_kept_twice(
    door: Door, outage: Outage, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = door.web.ledger._write

    def broken(name: str, *arguments: str | bytes | float) -> object:
        write(name, *arguments)
        outage.begin()
        return write(name, *arguments)

    monkeypatch.setattr(door.web.ledger, "_write", broken)

    _, status, event = said(door.post())

    monkeypatch.undo()
    assert status == "accepted"
    outage.end()
    assert door.events() == {event}
    door.drain()
    assert door.events() == {event}
    assert door.web.ledger.event(event).repeats == 0


def test_after_redis_was_away_nobody_waits_for_it_until_the_spool_is_drained(
    door: Door, outage: Outage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door.web.intake, "_clock", lambda: 0.0)
    outage.begin()
    said(door.post("one"))
    outage.end()

    second = said(door.post("two"))

    assert door.web.spool.waiting() == 2
    door.drain()
    third = said(door.post("three"))
    assert door.events() >= {second[2], third[2]}


def test_while_nobody_waits_for_redis_a_spool_that_takes_nothing_is_no_reason_to_refuse(
    doors: Callable[..., Door], outage: Outage, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = doors("[spool]\nmax_bytes = 4000\n" + CONFIG)
    monkeypatch.setattr(door.web.intake, "_clock", lambda: 0.0)
    outage.begin()
    said(door.post("one"))
    assert door.post("x" * 4000).status_code == 503
    outage.end()

    large = said(door.post("x" * 4000))

    assert large[1] == "accepted"
    assert door.events() == {large[2]}


def test_a_redis_that_is_nearly_full_spools(door: Door, outage: Outage) -> None:
    outage.redis.config_set("maxmemory", "1")

    answer = said(door.post())

    outage.redis.config_set("maxmemory", "0")
    assert answer[:2] == (200, "accepted")
    assert door.web.spool.waiting() == 1


def test_an_error_that_is_not_redis_being_away_is_503_and_not_spooled(door: Door, outage: Outage) -> None:
    outage.redis.set("bridge:channel:website", "damaged")

    answer = door.post()

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    assert door.web.spool.waiting() == 0


@pytest.fixture
def vendors() -> Iterator[VendorStandIn]:
    with vendors_running() as stand_in:
        yield stand_in


def test_every_source_answers_as_ever_and_what_it_kept_is_what_came(
    doors: Callable[..., Door], outage: Outage, vendors: VendorStandIn
) -> None:
    kept = sorted((case for case in cases() if case.outcome in {"accepted", "duplicate"}), key=str)
    head = CONFIG.partition("[[channels]]")[0] + "[[channels]]\n"
    opened = {
        name: doors(head + channel_toml(name, api_url=vendors.url(name)), load_channel(name).clock)
        for name in {case.source for case in kept}
    }
    given: list[tuple[Case, Door, str]] = []
    outage.begin()

    for case in kept:
        request, door = case.request, opened[case.source]
        answer = door.client.open(
            request.url.removeprefix(ORIGIN),
            method=request.method,
            headers=list(request.headers),
            data=request.body,
        )
        assert answer.status_code == case.golden["status"], case
        # Recorded requests of one source may tell of the same message.
        said = answer.headers["X-Bridge-Status"]
        assert said in {case.golden["answer"], "duplicate"}, case
        event = answer.headers["X-Bridge-Event"]
        if said == "accepted":
            given.append((case, door, event))
            # A command is answered with its marker, an event of Slack's with nothing.
            assert case.source != "slack" or answer.text == "" or marker_of(event) in answer.text

    outage.end()
    next(iter(opened.values())).drain()
    for case, door, event in given:
        assert parsed(door.client, event) == case.golden["event"], case
