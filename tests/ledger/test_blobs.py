"""The stores for large bodies: a cap, orphans, and disks that refuse."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from redis.exceptions import RedisError

from service.core.blobs import DirectoryBlobs, RedisBlobs
from service.core.errors import Unavailable
from service.core.store import PREFIX

if TYPE_CHECKING:
    from pathlib import Path

    from redis import Redis


def test_the_cap_counts_all_bodies_and_a_deleted_one_no_more(any_redis: Redis) -> None:
    blobs = RedisBlobs(any_redis, prefix=PREFIX, cap=100)
    blobs.put("a", b"x" * 60)
    with pytest.raises(Unavailable, match="blob_cap"):
        blobs.put("b", b"x" * 41)
    blobs.put("b", b"x" * 40)

    blobs.delete("a")
    blobs.put("c", b"x" * 60)

    assert [blobs.get(key) for key in "abc"] == [None, b"x" * 40, b"x" * 60]


def test_a_refused_body_leaves_nothing_behind(redis: Redis) -> None:
    with pytest.raises(Unavailable):
        RedisBlobs(redis, prefix=PREFIX, cap=1).put("a", b"xx")

    assert redis.dbsize() == 0


def test_a_full_server_takes_no_body_and_still_lets_one_go(any_redis: Redis) -> None:
    blobs = RedisBlobs(any_redis, prefix=PREFIX, cap=1 << 20)
    blobs.put("a", b"x" * 1000)
    any_redis.config_set("maxmemory", "1")

    with pytest.raises(RedisError):
        blobs.put("b", b"x")
    blobs.delete("a")

    assert list(any_redis.scan_iter()) == []


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(tmp_path / "new" / "folder")

    blobs.put("a", b"one")
    blobs.put("a", b"two")

    assert blobs.get("a") == b"two"
    assert [file.name for file in (tmp_path / "new" / "folder").iterdir()] == ["a"]


def test_half_a_file_of_a_process_that_died_is_found_and_deleted(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(tmp_path)
    half = tmp_path / ".a"
    half.write_bytes(b"ha")
    os.utime(half, (1, 1))

    assert blobs.older_than(3600) == ["a"]
    blobs.delete("a")

    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_not_there_yet_holds_nothing(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(tmp_path / "none")

    assert (blobs.older_than(0), blobs.get("a")) == ([], None)
    blobs.delete("a")


def test_a_file_that_vanishes_while_it_is_looked_at_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    blobs = DirectoryBlobs(tmp_path)
    blobs.put("a", b"x")

    assert blobs.older_than(-60) == ["a"]


def test_a_disk_that_refuses_is_said_to_be_unavailable(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    blobs = DirectoryBlobs(in_the_way)

    with pytest.raises(Unavailable, match="takes none"):
        blobs.put("a", b"x")
    with pytest.raises(Unavailable, match="cannot be read"):
        blobs.get("a")
    blobs.delete("a")
    assert blobs.older_than(-60) == []
