"""Whether a server can be trusted with events, asked of real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from redis.exceptions import RedisError

from service.core.errors import StoreUnsuitable, Unavailable
from service.core.store import Headroom, connect, inspect, writable
from tests.conftest import free_port, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from redis import Redis


def cluster_options() -> dict[str, str]:
    return {"cluster-enabled": "yes", "port": str(free_port()), "cluster-port": str(free_port())}


@pytest.fixture
def cluster() -> Iterator[Redis]:
    with serving(cluster_options()) as server:
        client = connect(server.url)
        yield client
        client.close()


def test_a_cluster_is_refused_with_what_to_give_instead(cluster: Redis) -> None:
    with pytest.raises(StoreUnsuitable, match="Give REDIS_URL of a server without cluster mode"):
        inspect(cluster)


def test_a_server_as_it_should_be_has_no_problems(any_redis: Redis) -> None:
    report = inspect(any_redis)

    assert (report.problems, report.policy, report.append_only) == ((), "noeviction", False)
    assert report.max_memory == 64 << 20
    assert 0 < report.used_memory < report.max_memory
    assert report.version[0].isdigit()


def test_a_policy_that_evicts_is_reported_with_its_mend(any_redis: Redis) -> None:
    any_redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        (problem,) = inspect(any_redis).problems
    finally:
        any_redis.config_set("maxmemory-policy", "noeviction")

    assert "maxmemory-policy is allkeys-lru" in problem
    assert "config set maxmemory-policy noeviction" in problem


def test_a_server_without_a_limit_is_never_full(redis: Redis) -> None:
    Headroom(redis).check()

    assert inspect(redis).max_memory == 0


def test_room_is_asked_for_once_in_a_while_and_found_again(any_redis: Redis) -> None:
    now = [0.0]
    headroom = Headroom(any_redis, every=10, clock=lambda: now[0])
    headroom.check()
    any_redis.config_set("maxmemory", "1")
    now[0] = 9
    headroom.check()
    now[0] = 10
    with pytest.raises(Unavailable, match="nearly full"):
        headroom.check()
    any_redis.config_set("maxmemory", "64mb")
    now[0] = 19
    with pytest.raises(Unavailable):
        headroom.check()
    now[0] = 20
    headroom.check()


def test_a_replica_does_not_take_writes(any_redis: Redis) -> None:
    any_redis.replicaof("127.0.0.1", "1")
    try:
        refusal = writable(any_redis)
    finally:
        any_redis.replicaof("NO", "ONE")

    assert refusal == "Redis does not take writes: ReadOnlyError"


def test_a_server_that_is_away_is_an_error_at_once(tmp_path: Path) -> None:
    away = connect(f"unix://{tmp_path}/none")

    assert writable(away) == "Redis does not take writes: ConnectionError"
    with pytest.raises(RedisError):
        inspect(away)
