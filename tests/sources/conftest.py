"""Stand-ins for the APIs of vendors that are called back, and what a source remembers of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.core.memory import RedisMemory
from tests.slack_api import SlackStandIn, slack_running
from tests.vendor_api import VendorStandIn, vendors_running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from service.core.source import Memory


@pytest.fixture
def slack() -> Iterator[SlackStandIn]:
    with slack_running() as stand_in:
        yield stand_in


@pytest.fixture
def memory(redis: Redis) -> Memory:
    return RedisMemory(redis, "slack")


@pytest.fixture(scope="session")
def served_vendors() -> Iterator[VendorStandIn]:
    with vendors_running() as stand_in:
        yield stand_in


@pytest.fixture
def vendors(served_vendors: VendorStandIn) -> VendorStandIn:
    for noted in (served_vendors.calls, served_vendors.faults, served_vendors.instead):
        noted.clear()
    served_vendors.answers = None
    return served_vendors
