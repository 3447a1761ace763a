"""The one way out of the web side: a small, bounded GET.

Two seconds in all, a size cap, no redirects, no proxies, a few at a time. Sources get it through
`SourceOptions`, so that tests put something else in its place.
"""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import closing, suppress
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Protocol
from urllib.parse import urlsplit

from service.core.errors import Unavailable

TIMEOUT = 2.0
# Of one process. Who sends forged requests by the hundred holds no more threads than that.
AT_ONCE = 4
_CHUNK = 65_536
_slots = threading.BoundedSemaphore(AT_ONCE)


class Fetch(Protocol):
    """Gives what a URL holds."""

    def __call__(self, url: str, *, limit: int) -> bytes:
        """Give up to `limit` bytes; raises Unavailable for whatever else comes of it."""
        ...


def fetch(url: str, *, limit: int) -> bytes:
    """Get the URL, which the caller has checked; see `Fetch`."""
    host = urlsplit(url).hostname
    if not _slots.acquire(blocking=False):
        raise Unavailable(f"{host} is not asked now: too much is being fetched")
    call = _Call(url, limit)
    # No time-out of a socket covers the name's resolution, or a header that comes byte by byte.
    try:
        threading.Thread(target=call.run, name="fetch", daemon=True).start()
    except RuntimeError as error:
        _slots.release()
        raise Unavailable(f"{host} is not asked now: no thread is to be had") from error
    status, content = call.result()
    if status == 0:
        raise Unavailable(f"{host} cannot be reached now")
    if status != HTTPStatus.OK:
        raise Unavailable(f"{host} answered {status}")
    if len(content) > limit:
        raise Unavailable(f"{host} sends more than {limit} bytes")
    return content


class _Call:
    """One GET in a thread of its own; who waits for it goes away in time, whatever the thread does."""

    def __init__(self, url: str, limit: int) -> None:
        self._url = url
        self._limit = limit
        self._socket: socket.socket | None = None
        self._left = False
        self._done = threading.Event()
        self._answer = (0, b"")

    def result(self) -> tuple[int, bytes]:
        """Give the status, 0 where there is none in time, and up to a chunk more than the limit."""
        if self._done.wait(TIMEOUT):
            return self._answer
        self._left = True
        with suppress(OSError, AttributeError):
            # A thread that reads wakes up of it; `close` would leave it waiting.
            self._socket.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr] # none yet is an AttributeError
        return 0, b""

    def run(self) -> None:
        """Get the answer, if there is one."""
        try:
            self._answer = self._exchange()
        except (OSError, HTTPException, ValueError):
            self._answer = (0, b"")
        finally:
            if self._socket is not None:
                self._socket.close()
            _slots.release()
            self._done.set()

    def _exchange(self) -> tuple[int, bytes]:
        parts = urlsplit(self._url)
        secure = parts.scheme == "https"
        kind = HTTPSConnection if secure else HTTPConnection
        with closing(kind(parts.netloc, timeout=TIMEOUT)) as connection:
            connection.sock = self._connected(connection.host, connection.port, secure=secure)
            target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
            connection.request("GET", target)
            response = connection.getresponse()
            content = bytearray()
            while len(content) <= self._limit and (chunk := response.read1(_CHUNK)):
                content += chunk
            return response.status, bytes(content)

    def _connected(self, host: str, port: int, *, secure: bool) -> socket.socket:
        self._socket = connected = socket.create_connection((host, port), timeout=TIMEOUT)
        if secure:
            context = ssl.create_default_context()
            self._socket = wrapped = context.wrap_socket(
                connected, server_hostname=host, do_handshake_on_connect=False
            )
            wrapped.do_handshake()
        if self._left:
            raise TimeoutError("it took too long")
        return self._socket
