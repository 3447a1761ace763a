"""The spool takes requests in Redis's place, and gives each of them back until it is safe elsewhere."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING

import pytest

from service.core.errors import Unavailable
from service.core.ledger.model import Parcel
from service.core.spool import Depth, Spool

if TYPE_CHECKING:
    from pathlib import Path


def parcel(*parts: tuple[str, list[str]], body: bytes = b"hello") -> Parcel:
    record = {
        "id": parts[0][0],
        "parts": [{"id": event, "keys": [[key, 1000] for key in keys]} for event, keys in parts],
    }
    return Parcel(record, body)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", enabled=True, clock=lambda: 1700000000.5)


def test_what_was_put_comes_back_in_order_with_the_time_at_which_it_came(spool: Spool) -> None:
    spool.put(parcel(("a", ["k1"]), body=b"\x00first"))
    spool.put(parcel(("b", ["k2"])))

    first = spool.after(0)
    assert first is not None
    second = spool.after(first[0])
    assert second is not None
    assert (first[1].body, first[1].record["id"], first[1].record["received"]) == (
        b"\x00first",
        "a",
        1700000000500,
    )
    assert second[1].record["id"] == "b"
    assert spool.after(second[0]) is None


def test_a_repeat_gets_the_first_ones_id_and_is_not_kept(spool: Spool) -> None:
    assert spool.put(parcel(("a", ["k1", "k2"]))).status == "accepted"

    again = spool.put(parcel(("b", ["k2"])))

    assert (again.status, again.events) == ("duplicate", ("a",))
    assert spool.depth().requests == 1


def test_a_request_with_something_new_is_kept_whole(spool: Spool) -> None:
    spool.put(parcel(("a", ["k1"])))

    mixed = spool.put(parcel(("b", ["k1"]), ("c", ["k2"])))

    assert (mixed.status, mixed.events, mixed.fresh) == ("accepted", ("a", "c"), frozenset({"c"}))
    kept = spool.after(1)
    assert kept is not None
    assert [part["id"] for part in kept[1].parts] == ["b", "c"]


def test_what_was_removed_is_gone_with_its_keys(spool: Spool) -> None:
    spool.put(parcel(("a", ["k1"])))

    spool.remove(1)

    assert spool.depth() == Depth()
    assert spool.put(parcel(("b", ["k1"]))).events == ("b",)


def test_it_takes_so_many_bytes_and_a_repeat_even_then(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", enabled=True, max_bytes=300)
    spool.put(parcel(("a", ["k1"]), body=b"x" * 150))

    with pytest.raises(Unavailable, match="spool is full") as raised:
        spool.put(parcel(("b", ["k2"]), body=b"x" * 150))

    assert raised.value.retry_after > 0
    assert spool.depth().requests == 1
    assert spool.put(parcel(("c", ["k1"]))).status == "duplicate"


def test_it_outlives_the_process_and_is_for_its_owner_only(spool: Spool) -> None:
    spool.put(parcel(("a", ["k1"])))

    again = Spool(spool.folder, enabled=False)

    assert again.depth().requests == 1
    assert spool.folder.stat().st_mode & 0o777 == 0o700


def test_it_writes_through_to_the_disk(spool: Spool) -> None:
    spool.put(parcel(("a", ["k1"])))

    with spool._open() as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert database.execute("PRAGMA synchronous").fetchone() == (2,)


def test_where_it_is_off_it_takes_nothing_and_makes_nothing(tmp_path: Path) -> None:
    off = Spool(tmp_path / "spool", enabled=False)

    with pytest.raises(Unavailable, match="send this again"):
        off.put(parcel(("a", ["k1"])))

    assert (off.depth(), off.after(0), off.waiting()) == (Depth(), None, 0)
    assert not off.folder.exists()


def test_a_disk_that_fails_is_no_200(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(Unavailable, match="the spool fails: FileExistsError"):
        Spool(tmp_path / "file", enabled=True).put(parcel(("a", ["k1"])))


def test_a_damaged_spool_says_so(spool: Spool) -> None:
    spool.put(parcel(("a", ["k1"])))
    for file in spool.folder.iterdir():
        file.write_bytes(json.dumps("no database").encode() * 100)

    with pytest.raises(Unavailable, match="DatabaseError"):
        spool.put(parcel(("b", ["k2"])))
    with pytest.raises(sqlite3.Error):
        spool.depth()
    assert spool.waiting() == -1


def test_a_directory_that_cannot_be_looked_into_is_said_and_breaks_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    spool = Spool(tmp_path / "file" / "spool", enabled=True)

    assert spool.waiting() == -1
