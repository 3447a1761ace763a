"""Serves a sandbox: until a signal, or for as long as a test needs it."""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any

from flask import Flask
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from sandbox.typed import override

_POLL = 0.05
_IDLE = 60
_BACKLOG = 128


class _Handler(WSGIRequestHandler):
    """Says nothing about each request, and closes a connection that a fault has dropped."""

    timeout = _IDLE

    @override
    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - werkzeug's name
        """Keep quiet."""

    @override
    def connection_dropped(
        self,
        error: BaseException,  # noqa: ARG002 - part of werkzeug's signature
        environ: dict[str, Any] | None = None,  # noqa: ARG002 - same
    ) -> None:
        # No answer was sent, so nothing has said yet that the connection ends here.
        self.close_connection = True


class _Server(ThreadedWSGIServer):
    """A threaded server that ends its connections, and so what waits on them, before it ends."""

    daemon_threads = False

    def __init__(self, listener: socket.socket, app: Flask) -> None:
        self._open: set[socket.socket] = set()
        host, port = listener.getsockname()[:2]
        super().__init__(host, port, app, _Handler, fd=listener.fileno())

    @override
    def process_request(self, request: Any, client_address: object) -> None:  # noqa: ANN401 - as in socketserver
        self._open.add(request)
        super().process_request(request, client_address)

    @override
    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - as in socketserver
        # Not announced with a shutdown first, which would send FIN where a fault wants RST.
        self._open.discard(request)
        self.close_request(request)

    @override
    def server_close(self) -> None:
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RD)
        super().server_close()


@contextlib.contextmanager
def running(app: Flask, port: int = 0, *, host: str = "127.0.0.1") -> Iterator[str]:
    """Serve the app from a thread and give its base URL; port 0 takes a free one.

    At the end every wait of a fault is cut short and every thread has ended. Raises OSError when the
    port cannot be had.
    """
    with socket.create_server((host, port), backlog=_BACKLOG) as listener:
        server = _Server(listener, app)
    thread = threading.Thread(target=server.serve_forever, args=[_POLL], name="sandbox")
    thread.start()
    try:
        yield f"http://{host}:{server.port}"
    finally:
        server.shutdown()
        thread.join()


def serve(app: Flask, host: str, port: int) -> None:
    """Serve the app until SIGTERM or SIGINT; only from the main thread.

    Raises OSError when the port cannot be had.
    """
    with _signalled() as wait_for_signal, running(app, port, host=host):
        wait_for_signal()


@contextlib.contextmanager
def _signalled() -> Iterator[Any]:
    # A pipe, since a handler that sets an Event can meet the lock that its own thread holds.
    reading, writing = os.pipe()
    earlier = {
        number: signal.signal(number, lambda *_: os.write(writing, b"."))
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield lambda: os.read(reading, 1)
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
        os.close(reading)
        os.close(writing)
