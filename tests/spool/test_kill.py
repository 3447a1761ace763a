"""`bridge web` killed between the 200 and the drain."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from tests.cli.conftest import CONFIG
from tests.conftest import free_port, until
from tests.spool.conftest import Outage, book_on
from workers.main import bridge_command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENVIRONMENT = {
    "BRIDGE_CONFIG": CONFIG,
    "BRIDGE_DATA_PERSISTENT": "true",
    "SPACEBRING_TOKEN": "t",
    "SPACEBRING_NETWORK_ID": "3c90c3cc-0d44-4b50-8888-8dd25736052a",
}


class Web:
    """`bridge web`, started as often as there is need, each time in a process group of its own."""

    def __init__(self, url: str, folder: Path) -> None:
        port = str(free_port())
        self.base = f"http://127.0.0.1:{port}"
        self._given = {
            **os.environ,
            **ENVIRONMENT,
            "REDIS_URL": url,
            "BRIDGE_DATA": str(folder),
            "PORT": port,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = bridge_command("web", "--host", "127.0.0.1")
        self._process = subprocess.Popen(command, env=self._given, start_new_session=True)

    def end(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, number)
        self._process.wait(30)


@pytest.fixture
def web(outage: Outage, tmp_path: Path) -> Iterator[Web]:
    web = Web(outage.server.url, tmp_path / "data")
    yield web
    web.end(signal.SIGTERM)


@pytest.fixture
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        # Also while it does not listen yet.
        session.mount("http://", HTTPAdapter(max_retries=Retry(60, backoff_factor=0.1, backoff_max=0.5)))
        yield session


@pytest.mark.slow
def test_what_was_answered_200_is_in_the_ledger_after_a_kill(
    web: Web, outage: Outage, http: requests.Session
) -> None:
    web.start()
    http.get(f"{web.base}/livez", timeout=10)
    outage.begin()
    answers = [
        http.post(
            f"{web.base}/hooks/website",
            data={"email": "ann@example.com", "message": f"Request {number % 20}"},
            headers={"Accept": "application/json"},
            timeout=10,
        )
        for number in range(25)
    ]
    web.end(signal.SIGKILL)

    outage.end()
    web.start()

    assert {answer.status_code for answer in answers} == {200}
    given = [answer.json() for answer in answers]
    assert [one["status"] for one in given] == ["accepted"] * 20 + ["duplicate"] * 5
    book = book_on(outage.redis)
    until(lambda: len(book.events(limit=200).events) >= 20)
    assert {event.id for event in book.events(limit=200).events} == {one["event"] for one in given}
