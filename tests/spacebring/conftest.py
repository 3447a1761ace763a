"""A peer on loopback that does exactly what a test says."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from workers.spacebring.auth import BearerAuth
from workers.spacebring.client import SpacebringClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from workers.spacebring.limiter import Slot

TOKEN = "tok-6d2f0a91c3"
NETWORK = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
CERTIFICATE = Path(__file__).parent / "loopback.pem"


class Exchange:
    """One accepted connection, as a test's handler sees it."""

    def __init__(self, sock: socket.socket, over: threading.Event) -> None:
        self.sock = sock
        self.over = over

    def receive(self) -> bytes:
        """Read one whole request."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._more()
        head, _, body = data.partition(b"\r\n\r\n")
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                while len(body) < int(line.split(b":")[1]):
                    body += self._more()
        return head + b"\r\n\r\n" + body

    def _more(self) -> bytes:
        data = self.sock.recv(65_536)
        if not data:
            raise ConnectionError("the client has gone")
        return data

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def answer(self, status: int, body: bytes = b"", *headers: str, reason: str = "X") -> None:
        lines = [f"HTTP/1.1 {status} {reason}", f"Content-Length: {len(body)}", *headers, "", ""]
        self.send("\r\n".join(lines).encode() + body)

    def drip(self, data: bytes) -> None:
        """Send a byte at a time, again and again, until the client has gone or the test is over."""
        while not self.over.is_set():
            for byte in data:
                self.send(bytes([byte]))
                self.over.wait(0.01)

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self.sock.close()


class Peer:
    """Listens on loopback; each connection goes to `handler`. Requests read in full are kept."""

    def __init__(self, *, tls: bool = False) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.handler: Callable[[Exchange], None] = lambda _: None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._accepted: list[socket.socket] = []
        self._context: ssl.SSLContext | None = None
        if tls:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(CERTIFICATE)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
        self._start(self._accept)

    def answers(self, status: int, body: bytes = b"", *headers: str) -> None:
        """Keep each request and answer it, for as long as the client stays."""

        def handler(exchange: Exchange) -> None:
            while True:
                self.requests.append(exchange.receive())
                exchange.answer(status, body, *headers)

        self.handler = handler

    def close(self) -> None:
        self._over.set()
        for sock in (self._listener, *self._accepted):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self.connections += 1
                self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError), sock:
            wrapped = self._context.wrap_socket(sock, server_side=True) if self._context else sock
            self._accepted.append(wrapped)
            with wrapped:
                self.handler(Exchange(wrapped, self._over))


@pytest.fixture
def peer() -> Iterator[Peer]:
    found = Peer()
    yield found
    found.close()


@pytest.fixture
def tls_peer() -> Iterator[Peer]:
    found = Peer(tls=True)
    yield found
    found.close()


class Clients:
    """Makes clients that are closed at the end of the test."""

    def __init__(self) -> None:
        self._made: list[SpacebringClient] = []

    def __call__(
        self,
        url: str,
        *,
        timeout: float = 5.0,
        connect_timeout: float = 5.0,
        slots: Callable[[], Slot] | None = None,
        ca_bundle: str | None = None,
    ) -> SpacebringClient:
        client = SpacebringClient(
            url,
            BearerAuth(TOKEN, NETWORK),
            timeout=timeout,
            connect_timeout=connect_timeout,
            slots=slots,
            ca_bundle=ca_bundle,
        )
        self._made.append(client)
        return client

    def close(self) -> None:
        for client in self._made:
            client.close()


@pytest.fixture
def make_client() -> Iterator[Clients]:
    clients = Clients()
    yield clients
    clients.close()
