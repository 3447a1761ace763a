"""A server that can be stopped and started again with what it holds, and a spool beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from service.core.ledger import Keeping
from service.core.request import Headers, InboundRequest
from service.core.source import Key, Part
from service.core.spool import Spool
from service.core.store import connect
from tests.conftest import LASTING, Valkey, ledger_on, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from redis import Redis

    from service.core.ledger import Ledger
    from service.core.ledger.model import Parcel

WITHIN = 30.0


@dataclass
class Outage:
    """A server, up at first, that keeps on disk what it was given."""

    server: Valkey
    redis: Redis
    up: bool = True

    def begin(self) -> None:
        """Kill the server."""
        self.server.stop()
        self.up = False

    def end(self) -> None:
        """Start it again on what it had."""
        self.server.start()
        self.up = True


@pytest.fixture(scope="module")
def lasting() -> Iterator[Valkey]:
    with serving(LASTING) as server:
        yield server


@pytest.fixture
def outage(lasting: Valkey) -> Iterator[Outage]:
    client = connect(lasting.url)
    client.flushall()
    outage = Outage(lasting, client)
    yield outage
    if not outage.up:
        outage.end()
    client.close()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", enabled=True)


def book_on(redis: Redis, **keeping: int) -> Ledger:
    return ledger_on(redis, keeping=Keeping(**keeping))


def request_of(body: bytes = b"hello", **headers: str) -> InboundRequest:
    pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return InboundRequest("POST", "https://bridge.example/hooks/web", Headers.of(pairs), body)


def parcel_of(book: Ledger, *parts: str, body: bytes = b"hello", **headers: str) -> Parcel:
    """Give a parcel with a part for each text, its keys separated by spaces; `~` marks content keys."""
    return book.parcel(
        request_of(body, **headers),
        channel="web",
        source="json",
        lane="backlog",
        parts=[
            Part(tuple(Key(key, content=key.startswith("~")) for key in part.split()), f"slice {at}")
            for at, part in enumerate(parts)
        ],
    )
