"""The connection under the client: one deadline for a whole call, and proof of what has left.

`requests` and urllib3 bound each wait, not the call: a peer that drips one byte at a time, a slow name
server, or a host with many addresses holds a worker for as long as it likes. Here every wait (look-up,
connect, handshake, each read and write) gets what is left of the call's deadline. And since a failure while
connecting is told apart by its type, nobody has to guess from a message whether bytes have left.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import queue
import socket
import threading
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, ClassVar

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError, SSLError
from urllib3.util.connection import allowed_gai_family
from urllib3.util.ssl_match_hostname import CertificateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from _typeshed import WriteableBuffer

_TLS_RECORD = 16_384

_Address = tuple[
    socket.AddressFamily,
    socket.SocketKind,
    int,
    str,
    tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes],
]


class HandshakeError(SSLError):
    """TLS failed before a byte of the request could leave."""


class StoppedError(Exception):
    """The caller's last check forbade the request; `forbidden` is the exception it raised."""

    def __init__(self, forbidden: BaseException) -> None:
        super().__init__("the last check forbade the request")
        self.forbidden = forbidden


@dataclass
class Call:
    """One call: how long it may take, what must be asked before its first byte, and whether that left."""

    seconds: float
    connect_seconds: float
    last_check: Callable[[], None] | None = None
    sent: bool = False
    ends: float = field(init=False)
    reader: io.BufferedReader | None = None

    def __post_init__(self) -> None:
        self.ends = time.monotonic() + self.seconds

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Make this the call that the connections below serve, in this thread."""
        token = _CALL.set(self)
        try:
            yield
        finally:
            _CALL.reset(token)
            # An answer that fails while it is parsed is dropped unclosed, and would hold its socket open.
            if self.reader is not None:
                self.reader.close()

    def left(self) -> float:
        """Return the seconds left; TimeoutError if there are none."""
        return _left(self.ends)

    def before_first_byte(self) -> None:
        """Ask the caller for the last time; StoppedError if it says no."""
        if self.last_check is not None:
            try:
                self.last_check()
            except BaseException as error:
                # urllib3 swallows or rewraps what it takes for an error of the socket, so it goes past it.
                raise StoppedError(error) from error


_CALL: ContextVar[Call] = ContextVar("call")


def _left(ends: float) -> float:
    seconds = ends - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("the call took too long")
    return seconds


class _BoundedReader(io.RawIOBase):
    """Reads from a socket, each time waiting for no longer than the call has left."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, call: Call) -> None:
        super().__init__()
        self._raw = raw
        self._sock = sock
        self._call = call

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int | None:
        self._sock.settimeout(self._call.left())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _BoundedResponse(http.client.HTTPResponse):
    """An answer whose head and body are read within the call's deadline."""

    def __init__(
        self, sock: socket.socket, debuglevel: int = 0, method: str | None = None, url: str | None = None
    ) -> None:
        super().__init__(sock, debuglevel, method, url)
        call = _CALL.get()
        self.fp = call.reader = io.BufferedReader(_BoundedReader(self.fp.detach(), sock, call))


class Connection(HTTPConnection):
    """A connection that keeps to the deadline of the call it serves.

    `max_idle`: older connections are opened anew. Many servers close an idle connection after 5 s (Node's
    default); a request that crosses that close is reset, and nobody knows whether it was read.
    """

    response_class = _BoundedResponse
    max_idle: ClassVar[float] = 4.0
    _used = 0.0

    @property
    def is_connected(self) -> bool:
        """Tell whether the connection may serve one more call."""
        return super().is_connected and time.monotonic() - self._used < self.max_idle

    def connect(self) -> None:
        """Connect; what it raises proves that nothing was sent."""
        call = _CALL.get()
        ends = min(call.ends, time.monotonic() + call.connect_seconds)
        self._connect_ends = ends
        try:
            super().connect()
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "connecting took too long") from error
        except (OSError, SSLError, CertificateError) as error:
            # Also a reset in the middle of the handshake: it is not one after sending.
            raise HandshakeError(error) from error

    def _new_conn(self) -> socket.socket:
        ends = self._connect_ends
        try:
            addresses = _look_up(self._dns_host, self.port, _left(ends))
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        failure: OSError | None = None
        for count, (family, kind, protocol, _, address) in enumerate(addresses):
            sock = socket.socket(family, kind, protocol)
            try:
                for option in self.socket_options or ():
                    sock.setsockopt(*option)
                # A fair share each: one address that swallows packets must not hide the next.
                sock.settimeout(_left(ends) / (len(addresses) - count))
                sock.connect(address)
                sock.settimeout(_left(ends))
            except OSError as error:
                sock.close()
                failure = error
            else:
                return sock
        if isinstance(failure, TimeoutError):
            raise ConnectTimeoutError(self, "connecting took too long") from failure
        raise NewConnectionError(self, str(failure)) from failure

    def send(self, data: bytes) -> None:  # type: ignore[override]  # `requests` hands over nothing but bytes
        """Send, after the caller's last check if these are the first bytes of the call."""
        call = _CALL.get()
        if self.sock is None:
            self.connect()
        if not call.sent:
            call.before_first_byte()
            if call.ends <= time.monotonic():
                raise ConnectTimeoutError(self, "no time was left to send the request")
            call.sent = True
        for start in range(0, len(data), _TLS_RECORD):
            self.sock.settimeout(call.left())
            super().send(data[start : start + _TLS_RECORD])
        self._used = time.monotonic()


class SecureConnection(Connection, HTTPSConnection):
    """The same over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = SecureConnection


class _Adapter(HTTPAdapter):
    """Opens our connections. `requests` sets no urllib3 retries unless asked."""

    def init_poolmanager(
        self,
        connections: int,
        maxsize: int,
        block: bool = False,  # noqa: FBT001, FBT002 - the signature is that of `requests`
        **pool_kwargs: object,
    ) -> None:
        super().init_poolmanager(connections, maxsize, block, **pool_kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}


class Session(requests.Session):
    """A session that takes nothing from its surroundings and goes nowhere but where it is sent.

    `trust_env` is off: a netrc entry would replace our Authorization header, and a proxy from the
    environment would carry it. `ca_bundle` is a file of certificates to trust instead of the usual ones.
    """

    def __init__(self, auth: requests.auth.AuthBase | None, *, ca_bundle: str | None = None) -> None:
        super().__init__()
        self.trust_env = False
        self.auth = auth
        self.verify = ca_bundle or True
        self.headers["User-Agent"] = "spacebring-bridge"
        self.headers["Accept"] = "application/json"
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("https://", "http://"):
            self.mount(scheme, _Adapter())

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None: no redirect is followed, and none makes `requests` read its body unbounded."""


def _look_up(host: str, port: int, seconds: float) -> Sequence[_Address]:
    """Resolve `host` within `seconds`; socket.gaierror otherwise.

    The resolver knows no time-out of ours, so it runs in a thread that is left behind when it is late.
    """
    answer: queue.SimpleQueue[OSError | Sequence[_Address]] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answer.put(socket.getaddrinfo(host, port, allowed_gai_family(), socket.SOCK_STREAM))
        except OSError as error:
            answer.put(error)
        except UnicodeError:
            # An address that a vendor gave may hold anything.
            answer.put(socket.gaierror(socket.EAI_NONAME, "the name is none"))

    threading.Thread(target=ask, name="look-up", daemon=True).start()
    try:
        found = answer.get(timeout=seconds)
    except queue.Empty:
        raise socket.gaierror(socket.EAI_AGAIN, "the name server did not answer in time") from None
    if isinstance(found, OSError):
        raise found
    return found
