"""The way out: what it gives, and where it gives up."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from service.core import fetch as module
from service.core.errors import Unavailable
from service.core.fetch import fetch

if TYPE_CHECKING:
    from collections.abc import Iterator


class Vendor(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        status = int(path.strip("/") or 200) if path != "/slow" else 200
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/200")
        self.end_headers()
        with suppress(ConnectionError):
            for _ in range(8 if path == "/slow" else 0):
                self.wfile.write(b".")
                time.sleep(0.05)
            self.wfile.write(query.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def vendor() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Vendor) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_it_gives_what_is_there_by_path_and_query(vendor: str) -> None:
    assert fetch(f"{vendor}/?a=b", limit=100) == b"a=b"
    assert fetch(vendor, limit=100) == b""


@pytest.mark.parametrize("status", [302, 401, 404, 500])
def test_all_but_200_is_to_be_tried_again(vendor: str, status: int) -> None:
    with pytest.raises(Unavailable, match=str(status)):
        fetch(f"{vendor}/{status}", limit=100)


def test_too_much_is_not_taken(vendor: str) -> None:
    assert fetch(f"{vendor}/?abc", limit=3) == b"abc"
    with pytest.raises(Unavailable, match="more than 2 bytes"):
        fetch(f"{vendor}/?abc", limit=2)


def test_a_server_that_trickles_is_left(vendor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT", 0.1)

    with pytest.raises(Unavailable, match="cannot be reached now"):
        fetch(f"{vendor}/slow", limit=100)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/", "https://127.0.0.1:1/", "http://127.0.0.1:x/", "http://127.0.0.1:1/a b"]
)
def test_what_cannot_be_reached_is_to_be_tried_again(url: str) -> None:
    with pytest.raises(Unavailable):
        fetch(url, limit=100)
