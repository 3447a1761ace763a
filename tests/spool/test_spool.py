"""What deliveries of one message do to the spool, and a process killed while it makes the file."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from service.core.drainer import Drainer
from service.core.errors import Unavailable
from service.core.spool import Depth, Spool
from tests.spool.conftest import book_on, parcel_of

if TYPE_CHECKING:
    from pathlib import Path

    from redis import Redis

    from service.core.ledger import Ledger


@pytest.fixture
def book(redis: Redis) -> Ledger:
    return book_on(redis)


def test_a_key_that_only_a_repeat_brings_finds_the_event_from_then_on(spool: Spool, book: Ledger) -> None:
    events = spool.put(parcel_of(book, "a")).events

    assert spool.put(parcel_of(book, "a b")).events == events
    assert spool.put(parcel_of(book, "b")).events == events
    Drainer(spool, book).drain()

    assert spool.put(parcel_of(book, "c")).events != events
    assert book.keep(parcel_of(book, "b")).events == events
    assert {event.id for event in book.events().events} == set(events)


def test_a_repeat_that_brings_nothing_new_takes_no_room(spool: Spool, book: Ledger) -> None:
    spool.put(parcel_of(book, "a b"))

    spool.put(parcel_of(book, "b"))

    assert spool.depth().requests == 1


def test_two_parts_of_one_request_that_share_a_key_are_one_event(spool: Spool, book: Ledger) -> None:
    parcel = parcel_of(book, "a", "a b", "b", "c")
    ids = [part["id"] for part in parcel.parts]

    kept = spool.put(parcel)
    Drainer(spool, book).drain()

    assert kept.events == (ids[0], ids[0], ids[0], ids[3])
    assert kept.fresh == {ids[0], ids[3]}
    assert {event.id for event in book.events().events} == kept.fresh


def test_a_file_whose_maker_was_killed_before_its_tables_is_finished(spool: Spool, book: Ledger) -> None:
    spool.folder.mkdir()
    (spool.folder / "spool.db").touch()
    assert (spool.depth(), spool.after(0), spool.waiting()) == (Depth(), None, 0)

    assert spool.put(parcel_of(book, "a")).status == "accepted"


def test_a_file_that_is_taken_away_is_made_anew(spool: Spool, book: Ledger) -> None:
    spool.put(parcel_of(book, "a"))
    for file in spool.folder.iterdir():
        file.unlink()

    assert spool.put(parcel_of(book, "b")).status == "accepted"

    assert spool.waiting() == 1


def test_what_has_moved_is_not_on_the_disk_any_more_and_what_opens_locks_never_was(
    spool: Spool, book: Ledger
) -> None:
    def written() -> bytes:
        return b"".join(file.read_bytes() for file in spool.folder.iterdir())

    said = b"what a person said"
    spool.put(parcel_of(book, "a", body=said, Authorization="Bearer not-for-disks", X_Ok="a header"))
    assert said in written()
    assert b"a header" in written()
    assert b"not-for-disks" not in written()

    Drainer(spool, book).drain()

    assert said not in written()


def test_a_damaged_file_is_named_in_the_log_with_what_to_do_and_a_new_one_works(
    tmp_path: Path, book: Ledger
) -> None:
    spool = Spool(tmp_path, enabled=True)
    (tmp_path / "spool.db").write_bytes(b"no database" * 1000)
    with capture_logs() as logs, pytest.raises(Unavailable):
        spool.put(parcel_of(book, "a"))
    waits = iter([False, True])

    with capture_logs() as at_start:
        Drainer(spool, book).run(lambda _seconds: next(waits))

    for (entry,) in (logs, at_start):
        assert entry["log_level"] == "error"
        assert entry["why"] == "file is not a database"
        assert "move a damaged file away and keep it" in entry["mend"]
    (tmp_path / "spool.db").rename(tmp_path / "kept")
    assert spool.put(parcel_of(book, "a")).status == "accepted"


def test_of_what_stays_it_is_said_once(spool: Spool, book: Ledger, redis: Redis) -> None:
    stuck = parcel_of(book, "a")
    spool.put(stuck)
    redis.rpush(f"bridge:dedupe:{stuck.parts[0]['keys'][0][0]}", "damaged")
    drainer = Drainer(spool, book)

    with capture_logs() as logged:
        for _ in range(3):
            drainer.drain()

    assert [entry["event"] for entry in logged] == ["a request stays in the spool"]


def test_what_meets_something_damaged_stays_and_the_next_moves(
    spool: Spool, book: Ledger, redis: Redis
) -> None:
    stuck = parcel_of(book, "a")
    spool.put(stuck)
    (moves,) = spool.put(parcel_of(book, "b")).events
    in_the_way = f"bridge:dedupe:{stuck.parts[0]['keys'][0][0]}"
    redis.rpush(in_the_way, "damaged")

    assert Drainer(spool, book).drain() == 1

    assert [event.id for event in book.events().events] == [moves]
    redis.delete(in_the_way)
    assert Drainer(spool, book).drain() == 1
    assert len(book.events().events) == 2


def test_whatever_else_goes_wrong_is_logged_and_the_drainer_goes_on(spool: Spool, book: Ledger) -> None:
    spool.put(parcel_of(book, "a"))
    file = sqlite3.connect(spool.folder / "spool.db", isolation_level=None)
    file.execute("UPDATE parcels SET record = 'no JSON'")
    file.close()
    waits = iter([False, False, True])

    with capture_logs() as logs:
        Drainer(spool, book).run(lambda _seconds: next(waits))

    assert [entry["event"] for entry in logs] == ["the spool cannot be drained"] * 2
