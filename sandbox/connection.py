"""What a fault does to the connection of the request being served: wait on it, drop it, reset it."""

import selectors
import socket
import struct
import threading
import time
from typing import NoReturn

from flask import request

_LINGER_ZERO = struct.pack("ii", 1, 0)


def _connection() -> socket.socket | None:
    found = request.environ.get("werkzeug.socket")
    return found if isinstance(found, socket.socket) else None


def wait(seconds: float) -> None:
    """Wait so long, or until the client goes away or the server stops, which ends its connections."""
    connection = _connection()
    if connection is None:
        # Flask's test client has no connection to watch.
        threading.Event().wait(seconds)
        return
    deadline = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0 and selector.select(left):
            # What still comes after the body is thrown away: one connection carries one request.
            try:
                if not connection.recv(65536):
                    return
            except ConnectionError:
                return


def drop(*, reset: bool) -> NoReturn:
    """Close the connection without a word, or with `reset` by a TCP reset.

    Raises ConnectionAbortedError, which the server takes for a client that is gone.
    """
    connection = _connection()
    if reset and connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
    raise ConnectionAbortedError("reset by a fault" if reset else "dropped by a fault")
