"""What can be asked of the ledger: one event, lists, counts. Nothing here writes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from service.core.errors import NoSuchEvent
from service.core.ledger.model import Attempt, Event, Page, Pause, Stats, Step, moment
from service.core.ledger.states import State

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from redis import Redis

LANES = ("person", "backlog")
MAX_PAGE = 200
# How many events one call looks at for a search; the cursor goes on from there.
MAX_SCANNED = 2000
_CHUNK = 200


class Reader:
    """Reads the ledger under one key prefix. Every call may raise redis.RedisError."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        # redis-py types answers as bytes or str; `connect` makes clients that answer bytes.
        self._redis: Any = redis
        self._prefix = prefix

    def event(self, event: str) -> Event:
        """Give one event, also by an id that it had in the spool; raises NoSuchEvent."""
        fields = self._redis.hgetall(f"{self._prefix}event:{event}")
        if not fields and (first := self.resolve(event)) != event:
            return self.event(first)
        if not fields:
            raise NoSuchEvent(event)
        found = Event.of(fields)
        score = self._redis.zscore(f"{self._prefix}due:{found.lane}", event)
        return Event(**{**vars(found), "due": moment(score) if score is not None else None})

    def resolve(self, event: str) -> str:
        """Give the id under which an event is kept: the first one's for a repeat that went to the spool."""
        first: bytes | None = self._redis.get(f"{self._prefix}alias:{event}")
        return first.decode() if first else event

    def newest_tickets(self, location: str) -> Mapping[str, str]:
        """Give the markers of our newest tickets in a location, by ticket id; none where we made none."""
        entries = self._redis.lrange(f"{self._prefix}ours:{location}", 0, -1)
        pairs = (entry.decode().split(" ", 1) for entry in entries)
        return {ticket: marker for marker, ticket in pairs}

    def now(self) -> int:
        """Give the time by Redis's clock, in ms."""
        seconds, micros = self._redis.time()
        return int(seconds * 1000 + micros // 1000)

    def attempts(self, event: str) -> Sequence[Attempt]:
        """Give the attempts of an event, oldest first."""
        entries = (json.loads(line) for line in self._redis.lrange(f"{self._prefix}attempts:{event}", 0, -1))
        return [
            Attempt(
                at=moment(entry["at"]),
                outcome=entry["outcome"],
                status=entry.get("status"),
                error=entry.get("error", ""),
                duration_ms=entry.get("duration_ms"),
            )
            for entry in entries
        ]

    def history(self, event: str) -> Sequence[Step]:
        """Give the changes of state of an event, oldest first."""
        entries = (json.loads(line) for line in self._redis.lrange(f"{self._prefix}history:{event}", 0, -1))
        return [
            Step(moment(entry["at"]), entry["from"], entry["to"], entry["why"], entry["by"])
            for entry in entries
        ]

    def events(
        self,
        *,
        states: Sequence[State] = (),
        channel: str = "",
        query: str = "",
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page:
        """Give a page of events, newest first.

        `query` is looked for, without case, in id, marker, sender, subject, ticket number and reason.
        A page of a search may be short, or empty, and still have a cursor. Raises ValueError for a
        cursor that is not one of ours.
        """
        found: list[Event] = []
        limit = max(1, min(limit, MAX_PAGE))
        for scanned, (position, event) in enumerate(self._walk(self._index(states, channel), cursor)):
            if _matches(event, states, channel, query):
                found.append(event)
            if len(found) >= limit or scanned + 1 >= MAX_SCANNED:
                return Page(found, position)
        return Page(found, None)

    def stats(self) -> Stats:
        """Count the events by state, what is due by lane, and say whether delivery stands still."""
        with self._redis.pipeline(transaction=False) as pipeline:
            for state in State:
                pipeline.zcard(f"{self._prefix}state:{state}")
            for lane in LANES:
                pipeline.zcard(f"{self._prefix}due:{lane}")
            pipeline.zcard(f"{self._prefix}out")
            pipeline.zcard(f"{self._prefix}unsettled")
            pipeline.zcard(f"{self._prefix}alarms")
            pipeline.scard(f"{self._prefix}blind")
            pipeline.hgetall(f"{self._prefix}counters")
            answers = pipeline.execute()
        states = dict(zip([state.value for state in State], answers, strict=False))
        due = dict(zip(LANES, answers[len(State) :], strict=False))
        return Stats(
            states=states,
            due=due,
            oldest_waiting=self._oldest_waiting(),
            handed_out=answers[-5],
            pause=self.pause(),
            closed=self.closed(),
            uncertain=answers[-4],
            alarms=answers[-3],
            blind=answers[-2],
            counters={key.decode(): int(value) for key, value in answers[-1].items()},
        )

    def pause(self) -> Pause | None:
        """Say why delivery stands still, or None."""
        fields = {
            key.decode(): value.decode("utf-8", "replace")
            for key, value in self._redis.hgetall(f"{self._prefix}pause").items()
        }
        if not fields:
            return None
        return Pause(
            fields["kind"],
            fields["why"],
            moment(fields["since"]),
            moment(fields["until"]),
            fields.get("location", ""),
        )

    def closed(self) -> Mapping[str, Pause]:
        """Give the locations whose delivery is paused, by uuid, and why."""
        gates = {
            place.decode(): json.loads(gate)
            for place, gate in self._redis.hgetall(f"{self._prefix}closed").items()
        }
        return {
            place: Pause("credentials", gate["why"], moment(gate["since"]), moment(gate["until"]), place)
            for place, gate in gates.items()
        }

    def alarms(self) -> Sequence[Event]:
        """Give the events that made a second ticket, the newest alarm first."""
        ids = [event.decode() for event in self._redis.zrevrange(f"{self._prefix}alarms", 0, -1)]
        with self._redis.pipeline(transaction=False) as pipeline:
            for event in ids:
                pipeline.hgetall(f"{self._prefix}event:{event}")
            return [Event.of(fields) for fields in pipeline.execute() if fields]

    def blind_reason(self) -> str:
        """Give the reason of an event for which Spacebring's list proved nothing, or nothing."""
        event = self._redis.srandmember(f"{self._prefix}blind")
        reason = self._redis.hget(f"{self._prefix}event:{event.decode()}", "reason") if event else None
        return reason.decode("utf-8", "replace") if reason else ""

    def resuming(self) -> bool:
        """Whether an outage is over and what failed in it has not all been brought forward."""
        return bool(self._redis.exists(f"{self._prefix}resuming"))

    def clock_steps(self) -> int:
        """Give how often Redis's clock was found to be set back."""
        return int(self._redis.hget(f"{self._prefix}counters", "clock set back:") or 0)

    def dead_version(self) -> int:
        """Give a number that changes whenever an event becomes a dead letter, or stops being one."""
        return int(self._redis.get(f"{self._prefix}dead:version") or 0)

    def _oldest_waiting(self) -> datetime | None:
        oldest = [
            score
            for state in (State.QUEUED, State.RETRYING, State.DELIVERING)
            for _, score in self._redis.zrange(f"{self._prefix}state:{state}", 0, 0, withscores=True)
        ]
        return moment(min(oldest)) if oldest else None

    def _index(self, states: Sequence[State], channel: str) -> str:
        if len(states) == 1:
            return f"{self._prefix}state:{states[0]}"
        return f"{self._prefix}channel:{channel}" if channel else f"{self._prefix}events"

    def _walk(self, index: str, cursor: str | None) -> Iterator[tuple[str, Event]]:
        """Yield (cursor that continues after it, event), newest first."""
        ceiling, last = _read_cursor(cursor)
        while True:
            # Events of one millisecond share a score: those at the ceiling that were seen are skipped.
            seen = self._redis.zcount(index, ceiling, ceiling) if last else 0
            rows = self._redis.zrevrangebyscore(
                index, ceiling, "-inf", start=0, num=_CHUNK + seen, withscores=True
            )
            fresh = [
                (member.decode(), score)
                for member, score in rows
                if not (last and score == float(ceiling) and member.decode() >= last)
            ]
            with self._redis.pipeline(transaction=False) as pipeline:
                for member, _ in fresh:
                    pipeline.hgetall(f"{self._prefix}event:{member}")
                records = pipeline.execute()
            for (member, score), fields in zip(fresh, records, strict=True):
                if fields:
                    yield f"{score:.0f}:{member}", Event.of(fields)
            if not fresh:
                return
            last, ceiling = fresh[-1][0], f"{fresh[-1][1]:.0f}"


def _read_cursor(cursor: str | None) -> tuple[str, str]:
    if cursor is None:
        return "+inf", ""
    score, _, last = cursor.partition(":")
    if not (score.isascii() and score.isdigit() and last.isascii() and last.isalnum()):
        raise ValueError("cursor: not one that this API gave out")
    return score, last


def _matches(event: Event, states: Sequence[State], channel: str, query: str) -> bool:
    if states and event.state not in states:
        return False
    if channel and event.channel != channel:
        return False
    number = f"#{event.ticket_number}" if event.ticket_number is not None else ""
    places = (event.id, event.marker, event.name, event.email, event.subject, event.reason, number)
    return not query or any(query.casefold() in place.casefold() for place in places)
