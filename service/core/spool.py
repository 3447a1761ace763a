"""Verified requests on this machine's disk, while Redis cannot take them.

SQLite with WAL and `synchronous=FULL`: what `put` has answered survives a power cut
(https://www.sqlite.org/pragma.html#pragma_synchronous). The directory is made with the first request.
"""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from config.logging import get_logger
from service.core.errors import Unavailable
from service.core.ledger.model import Acceptance, Parcel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS parcels (
    number INTEGER PRIMARY KEY AUTOINCREMENT, size INTEGER NOT NULL, record TEXT NOT NULL, body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS keys (key TEXT PRIMARY KEY, event TEXT NOT NULL, parcel INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS keys_of_parcel ON keys (parcel);
CREATE INDEX IF NOT EXISTS sizes ON parcels (size);
"""
# What an operator does about a file that cannot be used.
MEND = (
    "make BRIDGE_DATA writable; move a damaged file away and keep it, for it may hold requests; "
    "nothing has to be restarted"
)
_BUSY = 3.0
_RETRY_AFTER = 30

_log = get_logger("spool")


@dataclass(frozen=True)
class Depth:
    """How many requests wait in the spool, and their bytes."""

    requests: int = 0
    size: int = 0


class Spool:
    """Requests in the order in which they came, at most `max_bytes` of them.

    `enabled` False takes nothing new; what is there can still be read and removed.
    """

    def __init__(
        self,
        folder: Path,
        *,
        enabled: bool,
        max_bytes: int = 256 * 1024 * 1024,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.folder = folder
        self.enabled = enabled
        self._max_bytes = max_bytes
        self._clock = clock
        self._path = folder / "spool.db"
        # The file whose tables are known to be there.
        self._made: tuple[int, int] | None = None

    def put(self, parcel: Parcel) -> Acceptance:
        """Keep a parcel on disk, unless the keys of all its parts are known here.

        Gives each part's event as the ledger would. Raises Unavailable where nothing is taken.
        """
        if not self.enabled:
            raise Unavailable("The ledger cannot be reached: please send this again", _RETRY_AFTER)
        record = json.dumps({**parcel.record, "received": int(self._clock() * 1000)})
        try:
            if self._made is None or self._made != _identity(self._path):
                self._make()
            with self._open() as database:
                database.execute("BEGIN IMMEDIATE")
                answer = self._keep(database, parcel, record)
                database.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            _log.error("the spool takes nothing", file=str(self._path), why=str(error), mend=MEND)
            why = f"The ledger cannot be reached, and the spool fails: {type(error).__name__}"
            raise Unavailable(why, _RETRY_AFTER) from error
        return answer

    def after(self, number: int) -> tuple[int, Parcel] | None:
        """Give the first parcel after that number, with its own; raises sqlite3.Error."""
        if not self._holds():
            return None
        query = "SELECT number, record, body FROM parcels WHERE number > ? ORDER BY number LIMIT 1"
        with self._open() as database:
            row = database.execute(query, (number,)).fetchone()
        return (row[0], Parcel(json.loads(row[1]), row[2])) if row else None

    def remove(self, number: int) -> None:
        """Forget a parcel, which is safe elsewhere by now; raises sqlite3.Error."""
        with self._open() as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("DELETE FROM keys WHERE parcel = ?", (number,))
            database.execute("DELETE FROM parcels WHERE number = ?", (number,))
            database.execute("COMMIT")

    def depth(self) -> Depth:
        """Say how much waits; raises sqlite3.Error or OSError."""
        if not self._holds():
            return Depth()
        with self._open() as database:
            return Depth(*database.execute("SELECT count(*), coalesce(sum(size), 0) FROM parcels").fetchone())

    def waiting(self) -> int:
        """Give how many requests wait, or -1 where the spool cannot be read."""
        try:
            return self.depth().requests
        except (sqlite3.Error, OSError):
            return -1

    def _holds(self) -> bool:
        """Whether there are tables to look into; an empty file is one that was being made."""
        with suppress(FileNotFoundError):
            return self._path.stat().st_size > 0
        return False

    def _keep(self, database: sqlite3.Connection, parcel: Parcel, record: str) -> Acceptance:
        brought: dict[str, str] = {}
        events = []
        for part in parcel.parts:
            known = {key: _owner(database, key) or brought.get(key) for key, _ in part["keys"]}
            event = next(filter(None, known.values()), part["id"])
            events.append(event)
            brought |= {key: event for key, owner in known.items() if owner is None}
        # What is known here takes its way into the ledger too, where it is a repeat, if anything of it is
        # new: should that be a key only, a third delivery may have no other.
        if brought:
            size = len(record) + len(parcel.body)
            (used,) = database.execute("SELECT coalesce(sum(size), 0) FROM parcels").fetchone()
            if used + size > self._max_bytes:
                raise Unavailable("The ledger cannot be reached, and the spool is full", _RETRY_AFTER)
            number = database.execute(
                "INSERT INTO parcels (size, record, body) VALUES (?, ?, ?)", (size, record, parcel.body)
            ).lastrowid
            rows = [(key, event, number) for key, event in brought.items()]
            database.executemany("INSERT INTO keys VALUES (?, ?, ?)", rows)
        own = {part["id"] for part in parcel.parts}
        return Acceptance(tuple(events), frozenset(own.intersection(events)))

    def _make(self) -> None:
        # Each time: a process may have been killed between the file and its tables.
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        with self._open() as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.executescript(_SCHEMA)
        self._made = _identity(self._path)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        database = sqlite3.connect(self._path, timeout=_BUSY, isolation_level=None)
        try:
            database.execute("PRAGMA synchronous = FULL")
            # What has moved to Redis is overwritten: it is what a person wrote.
            database.execute("PRAGMA secure_delete = ON")
            yield database
        finally:
            # What was begun and not committed is undone.
            database.close()


def _owner(database: sqlite3.Connection, key: str) -> str | None:
    row = database.execute("SELECT event FROM keys WHERE key = ?", (key,)).fetchone()
    return str(row[0]) if row else None


def _identity(path: Path) -> tuple[int, int] | None:
    """Say which file it is, or None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
