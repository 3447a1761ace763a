"""Large bodies are kept in Redis up to a cap, or as files."""

from __future__ import annotations

import errno
import os
import shutil
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from service.core.blobs import DirectoryBlobs, RedisBlobs
from service.core.errors import StoreFull, Unavailable

if TYPE_CHECKING:
    from pathlib import Path

    from redis import Redis

    from service.core.blobs import Blobs


@pytest.fixture(params=["redis", "directory"])
def blobs(request: pytest.FixtureRequest, redis: Redis, tmp_path: Path) -> Blobs:
    if request.param == "redis":
        return RedisBlobs(redis, prefix="bridge:", cap=100)
    return DirectoryBlobs(tmp_path / "blobs")


def test_a_body_is_there_until_it_is_deleted(blobs: Blobs) -> None:
    assert list(blobs.older_than(-1)) == []
    blobs.put("a1", b"body")

    assert blobs.get("a1") == b"body"
    assert list(blobs.older_than(-1)) == ["a1"]
    assert list(blobs.older_than(3600)) == []

    blobs.delete("a1")
    blobs.delete("a1")

    assert blobs.get("a1") is None
    assert list(blobs.older_than(-1)) == []


def test_redis_takes_no_more_than_the_cap(redis: Redis) -> None:
    blobs = RedisBlobs(redis, prefix="bridge:", cap=10)
    blobs.put("a1", b"12345678")

    with pytest.raises(Unavailable, match="blob_cap"):
        blobs.put("b2", b"123")


def test_a_disk_that_takes_none_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(Unavailable, match="directory"):
        DirectoryBlobs(tmp_path / "file").put("a1", b"body")


def test_a_full_disk_has_no_room_and_keeps_nothing_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(StoreFull, match="No space left"):
        DirectoryBlobs(tmp_path).put("a1", b"body")

    assert list(tmp_path.iterdir()) == []


def test_a_directory_says_what_has_to_go_by_what_the_disk_has_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = DirectoryBlobs(tmp_path)
    for key in ("a1", "b2", "c3"):
        blobs.put(key, b"x" * 10)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: SimpleNamespace(free=5))

    assert blobs.in_the_way(5, ["a1"]) == []
    assert blobs.in_the_way(20, ["gone", "a1", "b2", "c3"]) == ["gone", "a1", "b2"]
    assert blobs.in_the_way(50, ["a1", "b2", "c3"]) is None
    monkeypatch.undo()
    assert DirectoryBlobs(tmp_path / "nowhere").in_the_way(1, ["a1"]) is None


def test_a_disk_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "a1").mkdir()

    with pytest.raises(Unavailable, match="cannot be read"):
        DirectoryBlobs(tmp_path).get("a1")
