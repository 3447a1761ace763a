"""The server is asked whether it can be trusted, and its last tenth is kept free."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.core.errors import Unavailable
from service.core.store import Headroom, connect, inspect, writable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis


@pytest.fixture
def nearly_full(redis: Redis) -> Iterator[Redis]:
    used = int(redis.info("memory")["used_memory"])
    redis.config_set("maxmemory", int(used * 1.05))
    yield redis
    redis.config_set("maxmemory", 0)


def test_a_server_that_is_nearly_full_is_a_problem(nearly_full: Redis) -> None:
    assert any("nearly full" in problem for problem in inspect(nearly_full).problems)


def test_the_last_tenth_is_not_for_new_events(nearly_full: Redis) -> None:
    with pytest.raises(Unavailable, match="nearly full"):
        Headroom(nearly_full).check()


def test_a_server_that_takes_writes_is_well(redis: Redis) -> None:
    assert writable(redis) == ""
    assert "does not take writes" in writable(connect("unix:///nowhere/at/all.sock"))
    assert inspect(redis).problems == ()
