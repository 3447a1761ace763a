"""What the sandbox holds: tickets, their activities, and small documents such as its faults."""

import json
import sqlite3
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

_SCHEMA = """
CREATE TABLE IF NOT EXISTS ticket (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, location TEXT NOT NULL,
    number INTEGER NOT NULL, type TEXT NOT NULL, text TEXT NOT NULL, requester TEXT, status TEXT NOT NULL,
    created TEXT NOT NULL, updated TEXT NOT NULL, status_updated TEXT, UNIQUE (location, number));
CREATE INDEX IF NOT EXISTS ticket_created ON ticket (location, created, seq);
CREATE INDEX IF NOT EXISTS ticket_updated ON ticket (location, updated, seq);
CREATE TABLE IF NOT EXISTS activity (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, ticket TEXT NOT NULL, type TEXT NOT NULL,
    status TEXT, created TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS activity_ticket ON activity (ticket);
CREATE TABLE IF NOT EXISTS document (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_COLUMNS = "seq, id, location, number, type, text, requester, status, created, updated, status_updated"
_SORT = {"createDate": "created", "updateDate": "updated"}
_DIRECTION = {"asc": ("ASC", ">"), "desc": ("DESC", "<")}
ORDERS = tuple(f"{key}:{direction}" for key in _SORT for direction in _DIRECTION)


@dataclass(frozen=True)
class Ticket:
    """A ticket as filed; `seq` is its place among all tickets of the sandbox."""

    seq: int
    id: str
    location: str
    number: int
    type: str
    text: str
    requester: str | None
    status: str
    created: str
    updated: str
    status_updated: str | None


@dataclass(frozen=True)
class Activity:
    """Something that happened to a ticket."""

    id: str
    ticket: str
    type: str
    status: str | None
    created: str


@dataclass(frozen=True)
class Position:
    """Where a page of a list ended: the value sorted by, and the ticket's place."""

    value: str
    seq: int


class Store:
    """Tickets and documents in one SQLite database, safe to use from many threads.

    `path` is the file, made with its directory when missing; None keeps everything in memory.
    Every change is committed before its method returns, so it survives the end of the process.
    Raises `sqlite3.Error` when the file cannot be opened or written.
    """

    def __init__(self, path: Path | None) -> None:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(":memory:" if path is None else path, check_same_thread=False)
        weakref.finalize(self, connection.close)
        connection.execute("PRAGMA journal_mode = WAL")
        # A SIGKILL leaves what the system has been given: no need to wait for the disk.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.executescript(_SCHEMA)
        self._connection = connection
        self._lock = threading.RLock()
        self._last = datetime.min.replace(tzinfo=UTC)

    def file(self, *, location: str, kind: str, text: str, requester: str | None) -> Ticket:
        """File a ticket of type `kind` and give it, with the next number of its location."""
        ref = str(uuid4())
        with self._lock, self._connection as connection:
            now = self._now()
            connection.execute(
                "INSERT INTO ticket (id, location, number, type, text, requester, status, created, updated)"
                " SELECT :id, :location, 1 + ifnull(max(number), 0), :type, :text, :requester,"
                " 'new', :now, :now FROM ticket WHERE location = :location",
                {
                    "id": ref,
                    "location": location,
                    "type": kind,
                    "text": text,
                    "requester": requester,
                    "now": now,
                },
            )
            self._record(Activity(str(uuid4()), ref, "ticketCreated", None, now))
            [ticket] = self._tickets("WHERE id = :id", {"id": ref})
        return ticket

    def ticket(self, ref: str) -> Ticket | None:
        """Give the ticket with this id, or None."""
        return next(iter(self._tickets("WHERE id = :id", {"id": ref})), None)

    def activities(self, ticket: str) -> list[Activity]:
        """Give what happened to a ticket, oldest first."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT id, ticket, type, status, created FROM activity WHERE ticket = ? ORDER BY seq",
                [ticket],
            ).fetchall()
        return [Activity(*row) for row in rows]

    def set_status(self, ref: str, status: str) -> Activity | None:
        """Set a ticket's status and give the activity that this makes; None when there is no such ticket."""
        with self._lock, self._connection as connection:
            activity = Activity(str(uuid4()), ref, "statusUpdated", status, self._now())
            changed = connection.execute(
                "UPDATE ticket SET status = :status, updated = :now, status_updated = :now WHERE id = :id",
                {"status": status, "now": activity.created, "id": ref},
            )
            if not changed.rowcount:
                return None
            self._record(activity)
        return activity

    def page(
        self,
        location: str,
        *,
        order: str,
        limit: int,
        after: Position | None = None,
        requesters: Sequence[str] | None = None,
    ) -> tuple[list[Ticket], Position | None]:
        """Give a location's tickets in one of `ORDERS`, and where the page ended if there are more."""
        key, _, direction = order.partition(":")
        column = _SORT[key]
        word, comparison = _DIRECTION[direction]
        rest = f"(:value IS NULL OR ({column}, seq) {comparison} (:value, :seq))"
        theirs = "(:requesters IS NULL OR requester IN (SELECT value FROM json_each(:requesters)))"
        found = self._tickets(
            f"WHERE location = :location AND {rest} AND {theirs}"
            f" ORDER BY {column} {word}, seq {word} LIMIT :limit",
            {
                "location": location,
                "value": after.value if after else None,
                "seq": after.seq if after else None,
                "requesters": None if requesters is None else json.dumps(requesters),
                "limit": limit + 1,
            },
        )
        page = found[:limit]
        if len(found) <= limit:
            return page, None
        return page, Position(getattr(page[-1], column), page[-1].seq)

    def tickets(self) -> list[Ticket]:
        """Give every ticket, in the order of filing."""
        return self._tickets("ORDER BY seq", {})

    def newest(self, limit: int) -> list[Ticket]:
        """Give the tickets filed last, newest first."""
        return self._tickets("ORDER BY seq DESC LIMIT :limit", {"limit": limit})

    def count(self) -> int:
        """Give the number of tickets held."""
        with self._lock:
            [count] = self._connection.execute("SELECT count(*) FROM ticket").fetchone()
        return int(count)

    def clear(self) -> None:
        """Forget every ticket; numbers start from 1 again."""
        with self._lock, self._connection as connection:
            connection.execute("DELETE FROM ticket")
            connection.execute("DELETE FROM activity")

    def document(self, name: str) -> str | None:
        """Give the text last kept under this name, or None."""
        with self._lock:
            row = self._connection.execute("SELECT value FROM document WHERE name = ?", [name]).fetchone()
        return None if row is None else str(row[0])

    def keep(self, name: str, value: str) -> None:
        """Keep a text under a name, in place of what was there."""
        with self._lock, self._connection as connection:
            connection.execute("INSERT OR REPLACE INTO document (name, value) VALUES (?, ?)", [name, value])

    def _now(self) -> str:
        # No two changes in one millisecond: lists sorted by a date are in the order of what happened.
        self._last = max(datetime.now(UTC), self._last + timedelta(milliseconds=1))
        return self._last.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _record(self, activity: Activity) -> None:
        self._connection.execute(
            "INSERT INTO activity (id, ticket, type, status, created) VALUES (?, ?, ?, ?, ?)",
            [activity.id, activity.ticket, activity.type, activity.status, activity.created],
        )

    def _tickets(self, clauses: str, values: dict[str, str | int | None]) -> list[Ticket]:
        query = f"SELECT {_COLUMNS} FROM ticket {clauses}"  # noqa: S608 - made of this module's own words
        with self._lock:
            return [Ticket(*row) for row in self._connection.execute(query, values).fetchall()]
