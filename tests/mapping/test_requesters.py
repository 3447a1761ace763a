"""Requesters are remembered in Redis, misses too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from service.core.mapping.requesters import DAY, TEN_MINUTES, RequesterCache
from service.core.store import connect

if TYPE_CHECKING:
    from redis import Redis

    from tests.conftest import Valkey


class Directory:
    def __init__(self, user: str | None) -> None:
        self.user = user
        self.asked = 0

    def __call__(self, location: str, email: str) -> str | None:
        self.asked += 1
        return self.user


def ttl(redis: Redis) -> int:
    client: Any = redis
    (key,) = client.keys("bridge:requester:*")
    assert b"ann" not in key
    return int(client.ttl(key))


def test_a_find_is_kept_for_a_day(redis: Redis) -> None:
    directory = Directory("user-1")
    cache = RequesterCache(redis, directory)

    found = [cache("downtown", "ann@example.com") for _ in range(2)]

    assert found == ["user-1", "user-1"]
    assert directory.asked == 1
    assert TEN_MINUTES < ttl(redis) <= DAY


def test_a_miss_is_kept_for_ten_minutes(redis: Redis) -> None:
    directory = Directory(None)
    cache = RequesterCache(redis, directory)

    found = [cache("downtown", "ann@example.com") for _ in range(2)]

    assert found == [None, None]
    assert directory.asked == 1
    assert 0 < ttl(redis) <= TEN_MINUTES


def test_each_location_is_asked_by_itself(redis: Redis) -> None:
    directory = Directory("user-1")
    cache = RequesterCache(redis, directory)

    for location in ("downtown", "uptown"):
        cache(location, "ann@example.com")

    assert directory.asked == 2


def test_without_redis_it_asks_each_time() -> None:
    directory = Directory("user-1")
    cache = RequesterCache(connect("unix:///nowhere/at/all.sock"), directory)

    found = [cache("downtown", "ann@example.com") for _ in range(2)]

    assert (found, directory.asked) == (["user-1", "user-1"], 2)


def test_a_find_that_redis_does_not_take_is_given_all_the_same(redis: Redis, valkey: Valkey) -> None:
    client: Any = redis
    client.acl_setuser("reader", enabled=True, nopass=True, keys=["*"], commands=["+get"])
    with connect(valkey.url) as reader:
        reader.execute_command("AUTH", "reader", "any")
        directory = Directory("user-1")

        found = RequesterCache(reader, directory)("downtown", "ann@example.com")
    client.acl_deluser("reader")

    assert (found, client.keys("*")) == ("user-1", [])


def test_trouble_at_spacebring_goes_through_and_is_not_remembered(redis: Redis) -> None:
    def away(_location: str, _email: str) -> str | None:
        raise TimeoutError("Spacebring is away")

    with pytest.raises(TimeoutError):
        RequesterCache(redis, away)("downtown", "ann@example.com")

    assert RequesterCache(redis, Directory("user-1"))("downtown", "ann@example.com") == "user-1"
