"""The way out: what it gives, and where it gives up."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from service.core import fetch as module
from service.core.errors import Unavailable
from service.core.fetch import fetch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Vendor(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if path == "/head":
            with suppress(ConnectionError):
                for letter in b"HTTP/1.1 200 OK":
                    self.wfile.write(bytes([letter]))
                    time.sleep(0.02)
            return
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


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Vendor) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http{'s' if context else ''}://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def vendor() -> Iterator[str]:
    with serving() as url:
        yield url


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


@pytest.mark.parametrize("what", ["slow", "head"])
def test_a_server_that_trickles_is_left(what: str, vendor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT", 0.1)

    with pytest.raises(Unavailable, match="cannot be reached now"):
        fetch(f"{vendor}/{what}", limit=100)


def ended() -> int:
    """Wait for every fetch that nobody waits for any more; gives how many there were."""
    late = [thread for thread in threading.enumerate() if thread.name == "fetch"]
    for thread in late:
        thread.join()
    return len(late)


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Resolve no name before the event."""
    ended()
    resolve, event = socket.getaddrinfo, threading.Event()

    def wait(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - as the library has it
        event.wait()
        return resolve(*arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", wait)
    monkeypatch.setattr(module, "TIMEOUT", 0.05)
    yield event
    event.set()


def test_a_name_that_is_not_resolved_in_time_keeps_nobody(
    vendor: str, stuck: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Unavailable, match="cannot be reached now"):
        fetch(vendor, limit=100)

    stuck.set()
    ended()
    monkeypatch.setattr(module, "TIMEOUT", 2.0)
    assert fetch(vendor, limit=100) == b""


def test_only_a_few_are_asked_at_once_and_the_others_not_at_all(vendor: str, stuck: threading.Event) -> None:
    for _ in range(module.AT_ONCE):
        with pytest.raises(Unavailable, match="cannot be reached now"):
            fetch(vendor, limit=100)

    with pytest.raises(Unavailable, match="too much is being fetched"):
        fetch(vendor, limit=100)

    stuck.set()
    assert ended() == module.AT_ONCE


def test_where_no_thread_is_to_be_had_it_is_to_be_tried_again_and_later_fetches_have_their_room(
    vendor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as without:
        without.setattr(threading.Thread, "start", none)
        for _ in range(module.AT_ONCE + 1):
            with pytest.raises(Unavailable, match="no thread is to be had"):
                fetch(vendor, limit=100)

    assert fetch(f"{vendor}/?a", limit=100) == b"a"


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """Make a certificate for 127.0.0.1; give its file, and what serves with it."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, SHA256())
    )
    file = folder / "certificate.pem"
    file.write_bytes(
        made.public_bytes(Encoding.PEM) + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return file, context


def test_https_is_answered_by_whom_the_certificate_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, context = certificate(tmp_path)
    with serving(context) as url:
        with pytest.raises(Unavailable, match="cannot be reached now"):
            fetch(f"{url}/?a=b", limit=100)
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        assert fetch(f"{url}/?a=b", limit=100) == b"a=b"
        with pytest.raises(Unavailable, match="cannot be reached now"):
            fetch(url.replace("127.0.0.1", "localhost"), limit=100)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/", "https://127.0.0.1:1/", "http://127.0.0.1:x/", "http://127.0.0.1:1/a b"]
)
def test_what_cannot_be_reached_is_to_be_tried_again(url: str) -> None:
    with pytest.raises(Unavailable):
        fetch(url, limit=100)
