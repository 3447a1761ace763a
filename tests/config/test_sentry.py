"""What reaches Sentry when the bridge crashes: read at a server that stands for Sentry's, over real HTTP."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import pytest
import sentry_sdk
from flask import Flask, request
from rq import Queue
from sentry_sdk.integrations.rq import RqIntegration

from config.secrets import Secret
from config.sentry import report_errors
from config.settings import Settings
from sandbox.server import running
from service.app import create_app
from service.core.store import connect
from tests.web.conftest import CONFIG
from workers.process import DeliveryWorker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from tests.conftest import Valkey

ROOT = Path(__file__).parents[2]
PRIVATE = "ann-at-example"


class Sentry:
    """Takes envelopes as Sentry does, and keeps what they hold."""

    def __init__(self) -> None:
        self.received: SimpleQueue[bytes] = SimpleQueue()
        self.app = Flask("sentry")
        self.app.add_url_rule("/api/1/envelope/", view_func=self._take, methods=["POST"])

    def _take(self) -> str:
        body = request.get_data()
        self.received.put(gzip.decompress(body) if request.headers.get("Content-Encoding") else body)
        return "{}"

    def event(self) -> dict[str, Any]:
        self.raw = self.received.get(timeout=30)
        event: dict[str, Any] = json.loads(self.raw.splitlines()[2])
        return event


@pytest.fixture
def sentry() -> Iterator[tuple[Sentry, Secret]]:
    server = Sentry()
    with running(server.app) as base:
        yield server, Secret(base.replace("://", "://key@") + "/1")
        sentry_sdk.get_client().close()
        sentry_sdk.get_global_scope().set_client(None)


def crash(**_values: str) -> str:
    text = f"cannot read {PRIVATE}"
    raise ValueError(text)


def test_a_crash_of_the_web_side_tells_where_and_nothing_of_the_request(
    sentry: tuple[Sentry, Secret], redis: Redis
) -> None:
    server, dsn = sentry
    app = create_app(Settings(sentry_dsn=dsn), CONFIG, redis)
    app.add_url_rule("/crash/<token>", view_func=crash, methods=["POST"])
    client = app.test_client()
    client.set_cookie("session", PRIVATE)

    answer = client.post(
        f"/crash/{PRIVATE}?email={PRIVATE}",
        data={"body": PRIVATE},
        headers={"X-Private": PRIVATE, "Authorization": f"Bearer {PRIVATE}", "User-Agent": PRIVATE},
    )

    event = server.event()
    (error,) = event["exception"]["values"]
    assert answer.status_code == 500
    assert (error["type"], error["stacktrace"]["frames"][-1]["function"]) == ("ValueError", "crash")
    assert event["transaction"] == "crash"
    assert PRIVATE.encode() not in server.raw
    assert not event.keys() & {"request", "user", "breadcrumbs", "extra", "server_name", "modules"}


def test_a_crash_of_a_job_tells_where_and_nothing_of_the_job(
    sentry: tuple[Sentry, Secret], redis: Redis, valkey: Valkey
) -> None:
    server, dsn = sentry
    queue = Queue("tickets", connection=redis, serializer="json")
    queue.enqueue(crash, kwargs={"body": PRIVATE})
    report_errors(dsn, RqIntegration())

    DeliveryWorker([queue], connection=connect(valkey.url), serializer="json").work(burst=True)

    event = server.event()
    (error,) = event["exception"]["values"]
    assert (error["type"], error["stacktrace"]["frames"][-1]["function"]) == ("ValueError", "crash")
    assert PRIVATE.encode() not in server.raw


def test_a_process_that_dies_of_an_error_reports_it_before_it_ends(sentry: tuple[Sentry, Secret]) -> None:
    server, dsn = sentry
    code = (
        "from config.secrets import Secret\nfrom config.sentry import report_errors\n"
        f"report_errors(Secret({dsn.reveal()!r}))\nsecret = {PRIVATE!r}\nraise ValueError(secret)\n"
    )

    subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT, capture_output=True)

    event = server.event()
    assert event["exception"]["values"][0]["type"] == "ValueError"
    assert PRIVATE.encode() not in json.dumps({**event, "exception": None}).encode()


def test_nothing_is_set_up_without_a_dsn() -> None:
    report_errors(None)

    assert not sentry_sdk.get_client().is_active()
