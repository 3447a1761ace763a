"""The one way out of the web side: a small, bounded GET.

Two seconds, a size cap, no redirects, no proxies. Sources get it through `SourceOptions`, so that
tests put something else in its place.
"""

from __future__ import annotations

import time
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Protocol
from urllib.parse import urlsplit

from service.core.errors import Unavailable

TIMEOUT = 2.0
_CHUNK = 65_536


class Fetch(Protocol):
    """Gives what a URL holds."""

    def __call__(self, url: str, *, limit: int) -> bytes:
        """Give up to `limit` bytes; raises Unavailable for whatever else comes of it."""
        ...


def fetch(url: str, *, limit: int) -> bytes:
    """Get the URL, which the caller has checked; see `Fetch`."""
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    try:
        with closing(kind(parts.netloc, timeout=TIMEOUT)) as connection:
            target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
            status, content = _exchange(connection, target, limit)
    except (OSError, HTTPException, ValueError) as error:
        raise Unavailable(f"{parts.hostname} cannot be reached now") from error
    if status != HTTPStatus.OK:
        raise Unavailable(f"{parts.hostname} answered {status}")
    if len(content) > limit:
        raise Unavailable(f"{parts.hostname} sends more than {limit} bytes")
    return content


def _exchange(connection: HTTPConnection, target: str, limit: int) -> tuple[int, bytes]:
    """Give the status, and up to a chunk more than the limit."""
    deadline = time.monotonic() + TIMEOUT
    connection.request("GET", target)
    response = connection.getresponse()
    content = bytearray()
    while len(content) <= limit and (chunk := response.read1(_CHUNK)):
        content += chunk
        if time.monotonic() > deadline:
            raise TimeoutError("it took too long")
    return response.status, bytes(content)
