"""While Redis is away or full, a declared disk takes the requests; the sender sees no difference."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from config.channels import Channel, Config, SpoolOptions
from service.app import create_app
from service.core.drainer import Drainer
from service.core.source import Key, Part
from service.web import EXTENSION
from tests.ledger.steps import REQUEST
from tests.web.conftest import BEARER, SETTINGS
from tests.web.test_hooks import FORM

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flask import Flask
    from flask.testing import FlaskClient
    from redis import Redis
    from werkzeug.test import TestResponse

    from service.web import Web
    from tests.web.conftest import Browser

PLACE = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
CONFIG = Config(channels=(Channel("site", "form", public=True, location=PLACE),))


@pytest.fixture
def on(tmp_path: Path) -> Callable[..., Flask]:
    """Build apps on one data directory that is declared persistent."""

    def build(redis: Redis, spool: SpoolOptions | None = None) -> Flask:
        settings = replace(SETTINGS, data=tmp_path / "data", data_persistent=True)
        return create_app(settings, replace(CONFIG, spool=spool or SpoolOptions()), redis)

    return build


def post(app: Flask, message: str = "Cold room") -> TestResponse:
    return app.test_client().post(
        "/hooks/site", data={**FORM, "message": message}, headers={"Accept": "application/json"}
    )


def parts(app: Flask) -> Web:
    web: Web = app.extensions[EXTENSION]
    return web


def test_what_comes_while_redis_is_away_is_found_under_its_id_afterwards(
    on: Callable[..., Flask], away: Redis, redis: Redis
) -> None:
    answer = post(on(away))
    again = post(on(away))
    app = on(redis)
    Drainer(parts(app).spool, parts(app).ledger).drain()

    event = answer.headers["X-Bridge-Event"]
    assert (answer.status_code, answer.get_json()) == (200, {"status": "accepted", "event": event})
    assert (again.status_code, again.get_json()) == (200, {"status": "duplicate", "event": event})
    assert app.test_client().get(f"/api/events/{event}", headers=BEARER).get_json()["id"] == event
    assert post(app).get_json() == {"status": "duplicate", "event": event}


def test_a_repeat_that_redis_knows_is_one_event_under_both_ids(
    on: Callable[..., Flask], away: Redis, redis: Redis
) -> None:
    app = on(redis)
    first, told = post(app).get_json()["event"], post(on(away)).get_json()["event"]
    Drainer(parts(app).spool, parts(app).ledger).drain()

    client = app.test_client()

    assert told != first
    assert client.get(f"/api/events/{told}", headers=BEARER).get_json()["id"] == first
    assert client.get("/api/stats", headers=BEARER).get_json()["states"]["queued"] == 1
    discarded = client.post(f"/api/events/{told}/discard", headers=BEARER)
    assert (discarded.status_code, discarded.get_json()["id"]) == (200, first)


@pytest.mark.parametrize("spool", [SpoolOptions(enabled=False), SpoolOptions(max_bytes=1)])
def test_without_a_spool_or_room_in_it_the_sender_is_asked_to_come_again(
    on: Callable[..., Flask], away: Redis, spool: SpoolOptions
) -> None:
    answer = post(on(away, spool))

    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0


def test_a_full_redis_spools_and_writes_nothing(
    on: Callable[..., Flask], redis: Redis, configured: Callable[[str, str], None]
) -> None:
    app = on(redis)
    before = post(app).get_json()["event"]
    configured("maxmemory", "1")
    between_two_looks = post(app, "Second")
    parts(app).ledger._room.headroom._asked = -1e9
    after_a_look = post(app, "Third")

    assert [one.get_json()["status"] for one in (between_two_looks, after_a_look)] == ["accepted"] * 2
    assert parts(app).spool.waiting() == 2
    assert redis.zrange("bridge:events", 0, -1) == [before.encode()]


def test_a_full_redis_without_a_spool_is_503(
    on: Callable[..., Flask], redis: Redis, configured: Callable[[str, str], None]
) -> None:
    app = on(redis, SpoolOptions(enabled=False))
    configured("maxmemory", "1")

    assert post(app).status_code == 503
    assert redis.zcard("bridge:events") == 0


def test_an_unconfirmed_wait_is_503_all_the_same(on: Callable[..., Flask], redis: Redis) -> None:
    app = on(redis)
    parts(app).ledger.durability._wanted = "fsync"

    answer = post(app)

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert parts(app).spool.waiting() == 0


def test_probes_and_metrics_tell_what_waits(on: Callable[..., Flask], away: Redis, redis: Redis) -> None:
    post(on(away))

    lost, back = on(away).test_client().get("/readyz"), on(redis).test_client().get("/readyz")

    assert lost.status_code == 503
    assert lost.get_json()["checks"]["spool"]["detail"].startswith("takes requests while Redis does not; 1 w")
    assert (back.status_code, back.get_json()["status"]) == (200, "warning")
    assert "bridge_spooled 1.0" in on(redis).test_client().get("/metrics").text


def test_a_spool_that_cannot_be_read_is_a_warning(
    on: Callable[..., Flask], redis: Redis, tmp_path: Path
) -> None:
    (tmp_path / "data" / "spool" / "spool.db").mkdir(parents=True)

    answer = on(redis).test_client().get("/readyz")

    assert answer.status_code == 200
    assert "cannot be read" in answer.get_json()["checks"]["spool"]["detail"]
    assert "bridge_spooled -1.0" in on(redis).test_client().get("/metrics").text


def test_the_overview_tells_what_waits(
    operator: Browser, app: Flask, client: FlaskClient, tmp_path: Path
) -> None:
    web = parts(app)
    web.spool.folder, web.spool._path = tmp_path, tmp_path / "spool.db"
    assert "Spool" not in operator.get("/").text
    web.spool.enabled = True
    web.spool.put(
        web.ledger.parcel(REQUEST, channel="web", source="json", lane="backlog", parts=[Part((Key("k"),))])
    )

    assert "1 accepted while Redis was away" in operator.get("/").text
    (tmp_path / "spool.db").write_bytes(b"no database" * 1000)
    assert "cannot be read" in operator.get("/").text
