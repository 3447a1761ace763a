"""Verified requests on this machine's disk, while Redis cannot take them.

SQLite with WAL and `synchronous=FULL`: what `put` has answered survives a power cut
(https://www.sqlite.org/pragma.html#pragma_synchronous). The directory is made with the first request.
"""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.core.errors import Unavailable
from service.core.ledger.model import Acceptance, Parcel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS parcels (
    number INTEGER PRIMARY KEY AUTOINCREMENT, size INTEGER NOT NULL, record TEXT NOT NULL, body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS keys (key TEXT PRIMARY KEY, event TEXT NOT NULL, parcel INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS keys_of_parcel ON keys (parcel);
"""
_BUSY = 3.0
_RETRY_AFTER = 30


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

    def put(self, parcel: Parcel) -> Acceptance:
        """Keep a parcel on disk, unless the keys of all its parts are known here.

        Gives each part's event as the ledger would. Raises Unavailable where nothing is taken.
        """
        if not self.enabled:
            raise Unavailable("The ledger cannot be reached: please send this again", _RETRY_AFTER)
        record = json.dumps({**parcel.record, "received": int(self._clock() * 1000)})
        try:
            self._make()
            with self._open() as database:
                database.execute("BEGIN IMMEDIATE")
                answer = self._keep(database, parcel, record)
                database.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            why = f"The ledger cannot be reached, and the spool fails: {type(error).__name__}"
            raise Unavailable(why, _RETRY_AFTER) from error
        return answer

    def after(self, number: int) -> tuple[int, Parcel] | None:
        """Give the first parcel after that number, with its own; raises sqlite3.Error."""
        if not self._path.exists():
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
        """Say how much waits; raises sqlite3.Error."""
        if not self._path.exists():
            return Depth()
        with self._open() as database:
            return Depth(*database.execute("SELECT count(*), coalesce(sum(size), 0) FROM parcels").fetchone())

    def waiting(self) -> int:
        """Give how many requests wait, or -1 where the spool cannot be read."""
        try:
            return self.depth().requests
        except sqlite3.Error:
            return -1

    def _keep(self, database: sqlite3.Connection, parcel: Parcel, record: str) -> Acceptance:
        owners = {part["id"]: self._owner(database, part) for part in parcel.parts}
        fresh = frozenset(event for event, owner in owners.items() if owner == event)
        if fresh:
            size = len(record) + len(parcel.body)
            (used,) = database.execute("SELECT coalesce(sum(size), 0) FROM parcels").fetchone()
            if used + size > self._max_bytes:
                raise Unavailable("The ledger cannot be reached, and the spool is full", _RETRY_AFTER)
            cursor = database.execute(
                "INSERT INTO parcels (size, record, body) VALUES (?, ?, ?)", (size, record, parcel.body)
            )
            # A part that is known here takes its way into the ledger too, which sees that it is a repeat.
            rows = [
                (key, owners[part["id"]], cursor.lastrowid)
                for part in parcel.parts
                for key, _ in part["keys"]
            ]
            database.executemany("INSERT OR IGNORE INTO keys VALUES (?, ?, ?)", rows)
        return Acceptance(tuple(owners.values()), fresh)

    def _owner(self, database: sqlite3.Connection, part: Mapping[str, object]) -> str:
        keys: list[tuple[str, int]] = part["keys"]  # type: ignore[assignment]
        for key, _ in keys:
            row = database.execute("SELECT event FROM keys WHERE key = ?", (key,)).fetchone()
            if row:
                return str(row[0])
        return str(part["id"])

    def _make(self) -> None:
        if self._path.exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        with self._open() as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.executescript(_SCHEMA)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        database = sqlite3.connect(self._path, timeout=_BUSY, isolation_level=None)
        try:
            database.execute("PRAGMA synchronous = FULL")
            yield database
        finally:
            # What was begun and not committed is undone.
            database.close()
