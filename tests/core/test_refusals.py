"""What was turned away at the door is counted, and told as long as nothing else comes in."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from config.channels import load_config
from config.settings import Settings
from service.app import create_app
from service.core.overview import overview
from service.core.refusals import FULL, Refusals, TurnedAway

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask.testing import FlaskClient
    from redis import Redis

    from service.core.ledger import Ledger
    from service.web import Web

CONFIG = """
[spacebring]
location = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
[ledger]
blob_threshold = 10
blob_cap = 100
[[channels]]
name = "mail"
source = "postmark"
basic = "user:password"
[[channels]]
name = "hooks"
source = "json"
token = "a-token-for-these-tests"
"""
DAY = 24 * 3600


@pytest.fixture
def client(redis: Redis) -> FlaskClient:
    return create_app(Settings(), load_config(CONFIG, environ={}), redis).test_client()


def web_of(client: FlaskClient) -> Web:
    web: Web = client.application.extensions["bridge"]
    return web


def told(client: FlaskClient) -> Sequence[TurnedAway]:
    web = web_of(client)
    return overview(web.ledger, web.redis).turned_away


def mail(client: FlaskClient, password: str, message: str = "1") -> int:
    pair = base64.b64encode(f"user:{password}".encode()).decode()
    body = {"MessageID": message, "From": "ann@example.com", "Subject": "Cold", "TextBody": "Cold."}
    return client.post("/hooks/mail", json=body, headers={"Authorization": f"Basic {pair}"}).status_code


def test_a_channel_that_turns_away_what_comes_is_told_until_it_takes_something(client: FlaskClient) -> None:
    assert [mail(client, "wrong"), mail(client, "wrong")] == [401, 401]
    (found,) = told(client)

    assert mail(client, "password") == 200

    assert (found.channel, found.reason, found.count) == ("mail", "basic", 2)
    assert "Channel mail turned away a request" in found.why
    assert told(client) == []
    assert web_of(client).refusals.counts() == {("mail", "basic"): 2}


def test_what_finds_no_room_is_told_as_such(client: FlaskClient) -> None:
    answer = client.post(
        "/hooks/hooks", json={"message": "x" * 200}, headers={"X-Bridge-Token": "a-token-for-these-tests"}
    )

    (found,) = told(client)
    assert answer.status_code == 503
    assert (found.channel, found.reason) == ("hooks", FULL)
    assert "raise ledger.blob_cap" in found.why


def test_after_a_day_nothing_is_told_and_the_last_comes_first(redis: Redis, ledger: Ledger) -> None:
    Refusals(redis, clock=lambda: 1000.0).note("old", "signature")
    Refusals(redis, clock=lambda: 2000.0).note("older", "token")
    Refusals(redis, clock=lambda: 3000.0).note("new", "stale")

    found = Refusals(redis, clock=lambda: 1500.0 + DAY).unanswered(ledger)

    assert [each.channel for each in found] == ["new", "older"]


def test_without_redis_a_refusal_is_answered_all_the_same(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_channel: str, _reason: str) -> None:
        raise RedisConnectionError

    monkeypatch.setattr(web_of(client).refusals, "note", away)

    assert mail(client, "wrong") == 401


def test_a_channel_that_does_not_exist_is_not_counted(client: FlaskClient) -> None:
    client.post("/hooks/nowhere", json={})
    client.post("/hooks/mail", data=b"x", auth=("user", "password"))

    assert web_of(client).refusals.counts() == {}


def test_a_refusal_is_seen_in_the_figures(client: FlaskClient) -> None:
    mail(client, "wrong")

    assert 'bridge_refused_total{channel="mail",reason="basic"} 1.0' in client.get("/metrics").text
