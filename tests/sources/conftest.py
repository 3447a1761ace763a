"""A stand-in for the API of a vendor that is called back, and what a source remembers of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.core.memory import RedisMemory
from tests.slack_api import SlackStandIn, slack_running

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
