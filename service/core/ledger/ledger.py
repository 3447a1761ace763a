"""The ledger's writing side: each method is one script, one atomic step."""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import TYPE_CHECKING, Any

from service.core.durability import Durability
from service.core.errors import Forbidden, NoSuchEvent, NotDurable, StaleToken, Unavailable
from service.core.ledger.ids import marker_of, new_event_id
from service.core.ledger.model import (
    Acceptance,
    Claim,
    Closed,
    Event,
    HandedOut,
    Keeping,
    Parcel,
    Timings,
    clean,
)
from service.core.ledger.reader import Reader
from service.core.ledger.room import Room
from service.core.ledger.scripts import Scripts
from service.core.request import Headers, InboundRequest
from service.core.store import PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from redis import Redis

    from service.core.blobs import Blobs
    from service.core.ledger.model import ExtraTicket, Operation
    from service.core.ledger.outcome import Outcome
    from service.core.source import Key, Lane, Part

_HOUR_MS = 3_600_000
_SHOWN = 200
_RETRY_AFTER = 5
# Claims that never began an attempt before an event counts as poison.
MAX_UNBEGUN = 3


class Ledger(Reader):
    """The record of every event. Every call may raise redis.RedisError."""

    def __init__(
        self,
        redis: Redis,
        blobs: Blobs,
        *,
        keeping: Keeping | None = None,
        timings: Timings | None = None,
        durability: Durability | None = None,
        prefix: str = PREFIX,
    ) -> None:
        super().__init__(redis, prefix)
        self.durability = durability or Durability(redis)
        self.timings = timings or Timings()
        self._keeping = keeping or Keeping()
        self._blobs = blobs
        self._scripts = Scripts(redis, prefix)
        self._room = Room(redis, self._scripts, blobs, self._keeping, prefix=prefix)

    def accept(
        self, request: InboundRequest, *, channel: str, source: str, lane: Lane, parts: Sequence[Part]
    ) -> Acceptance:
        """Keep a verified request, as `keep` does."""
        return self.keep(self.parcel(request, channel=channel, source=source, lane=lane, parts=parts))

    def parcel(
        self,
        request: InboundRequest,
        *,
        channel: str,
        source: str,
        lane: Lane,
        parts: Sequence[Part],
        receipt: bool = False,
    ) -> Parcel:
        """Make a parcel of a verified request, one event a part, each with its id; Redis is not asked.

        With `receipt` whoever sent it is owed word of each event's end.
        """
        ids = [new_event_id() for _ in parts]
        kept = request.without_secrets()
        record = {
            "id": ids[0],
            "channel": channel,
            "source": source,
            "lane": lane,
            "receipt": receipt,
            "blob": len(kept.body) > self._keeping.blob_threshold,
            "meta": json.dumps({"method": kept.method, "url": kept.url, "headers": list(kept.headers)}),
            "parts": [
                {
                    "id": event,
                    "marker": marker_of(event),
                    "slice": clean(part.slice),
                    "shown": clean(part.keys[0].value)[:_SHOWN],
                    "keys": self._keys(channel, part.keys),
                }
                for event, part in zip(ids, parts, strict=True)
            ],
        }
        return Parcel(record, kept.body)

    def keep(self, parcel: Parcel) -> Acceptance:
        """Keep a parcel, one event a part, unless a part's keys are known; the same parcel may come again.

        Gives each part's event, the first one's for a repeat. Raises StoreFull where there is no room, or
        Unavailable where nobody confirms in time that it is safe.
        """
        self._room.check()
        request, in_blob = parcel.record["id"], parcel.record["blob"]
        if in_blob:
            self._room.put(request, parcel.body)
        try:
            answer = json.loads(
                self._write("accept", json.dumps(parcel.record), b"" if in_blob else parcel.body)
            )
        except NotDurable as error:
            raise Unavailable(f"{error}: please send this again", _RETRY_AFTER) from error
        fresh = frozenset(event for event, status in answer if status == "new")
        if in_blob and not fresh:
            self._blobs.delete(request)
        return Acceptance(tuple(event for event, _ in answer), fresh)

    def take(self, most: int, *, cap: int) -> Sequence[HandedOut]:
        """Hand out up to `most` due events, while no more than `cap` are handed out or leased."""
        flat = self._scripts.run("take", most, cap, _ms(self.timings.handover))
        return [
            HandedOut(event.decode(), handout, "person" if lane == b"person" else "backlog")
            for event, handout, lane in zip(flat[::3], flat[1::3], flat[2::3], strict=True)
        ]

    def claim(self, event: str, worker: str) -> Claim | None:
        """Take hold of an event that was handed out; None where there is nothing to do."""
        answer = self._scripts.run(
            "claim",
            event,
            _ms(self.timings.lease),
            _ms(self.timings.hard),
            MAX_UNBEGUN,
            worker,
            _ms(self.timings.grace),
        )
        if answer[0] != b"claimed":
            return None
        fields = dict(zip(answer[1::2], answer[2::2], strict=True))
        return Claim(Event.of(fields), probing=b"probing" in fields)

    def renew(self, claim: Claim) -> bool:
        """Extend the lease; False where the event is no longer held."""
        return bool(self._scripts.run("renew", claim.event.id, claim.token, _ms(self.timings.lease)))

    def begin(
        self, claim: Claim, draft: Mapping[str, str], summary: Mapping[str, str], *, absent_at: int = 0
    ) -> int | Closed:
        """Write ahead that an attempt is being sent, with the draft it sends; gives its number.

        `absent_at` is when the look began that did not find the event's marker, in ms of Redis's clock.
        Gives Closed, and nothing may be sent, where delivery to the draft's location is paused. Raises
        StaleToken where the lease is over, or where an earlier attempt may have made a ticket and no look
        late enough says otherwise; NotDurable where nobody confirms that it would be known after a crash:
        then nothing may be sent either.
        """
        answer = self._write(
            "begin",
            claim.event.id,
            claim.token,
            json.dumps({key: clean(value) for key, value in draft.items()}),
            draft["locationRef"],
            json.dumps({key: clean(value) for key, value in summary.items()}),
            absent_at,
        )
        if answer[0] == b"closed":
            wait = answer[1] / 1000 if answer[1] >= 0 else None
            return Closed(wait, answer[2].decode("utf-8", "replace"))
        if answer[0] == b"stale":
            raise StaleToken(f"Event {claim.event.id} may not be sent now: the lease is over")
        return int(answer[1])

    def know(self, claim: Claim, keys: Sequence[Key]) -> str:
        """Claim keys known only after parsing; gives '' or the id of the event that had one before.

        Raises StaleToken where the event is no longer held.
        """
        pairs = self._keys(claim.event.channel, keys)
        answer: bytes = self._scripts.run("know", claim.event.id, claim.token, json.dumps(pairs))
        if answer == b"stale":
            raise StaleToken(f"Event {claim.event.id} is held by another worker")
        return answer.decode()

    def record(self, claim: Claim, outcome: Outcome, *, nonce: str = "") -> bool:
        """Write what happened; True where Spacebring answers again after a pause.

        The same nonce again, after a lost answer, changes nothing. Raises StaleToken where the event is
        held by somebody else now.
        """
        answer = self._scripts.run(
            "record", claim.event.id, claim.token, outcome.as_json(), nonce or secrets.token_hex(8)
        )
        if answer == b"stale":
            raise StaleToken(f"Event {claim.event.id} is held by another worker: its record stands")
        return bool(answer == b"resume")

    def operate(self, event: str, operation: Operation, by: str, *, confirmed: bool = False) -> Event:
        """Do what a person asks, and give the event as it then stands.

        A replayed event that may have made a ticket is looked for first, unless `confirmed` says that a
        person has looked. Raises NoSuchEvent, or Forbidden where the state does not allow it.
        """
        event = self.resolve(event)
        answer = self._scripts.run(
            "operate", event, operation, by, "1" if confirmed else "0", _ms(self.timings.grace)
        ).decode()
        if answer == "gone":
            raise NoSuchEvent(event)
        if answer == "forbidden":
            state = self.event(event).state
            raise Forbidden(f"Event {event} is {state}: {operation} is not possible then")
        if answer == "nobody":
            raise Forbidden(f"Event {event} cannot be replayed: its body has been aged out")
        return self.event(event)

    def watched(self, most: int = 20) -> Sequence[str]:
        """Give the delivered events of which a second ticket may have slipped through: look for them now."""
        return [event.decode() for event in self._scripts.run("watched", most)]

    def stray(self, event: str, ticket: str) -> bool:
        """Say that a worker made this ticket, or ('') perhaps one, when it no longer held the event.

        True where the event has another ticket, or may get one: it is then looked for at once.
        """
        return bool(self._scripts.run("stray", event, ticket))

    def doubled(self, event: str, extra: Sequence[ExtraTicket], why: str) -> bool:
        """Raise the alarm that an event made more than its own ticket; False where it was raised before."""
        tickets = json.dumps([vars(ticket) for ticket in extra])
        return bool(self._scripts.run("doubled", event, tickets, clean(why)))

    def resume(self, most: int = 500) -> int:
        """Bring forward what failed in an outage that is over; gives how many: at `most`, call again."""
        return int(self._scripts.run("resume", most))

    def purge(self, most: int = 200) -> int:
        """Age out what is finished; gives how many bodies left the blob store."""
        return self._room.purge(most)

    def wait(self, seconds: float) -> None:
        """Return when something was accepted or replayed, or after so many seconds."""
        # For Redis, 0 means for ever.
        self._redis.blpop([f"{self._prefix}wake"], timeout=max(seconds, 0.01))

    def request(self, event: Event) -> InboundRequest | None:
        """Give what came in for an event, or None where its body has been aged out."""
        fields = self._redis.hgetall(f"{self._prefix}request:{event.request}")
        if not fields or not event.has_body:
            return None
        body = self._blobs.get(event.request) if fields[b"blob"] == b"1" else fields[b"body"]
        if body is None:
            return None
        meta: dict[str, Any] = json.loads(fields[b"meta"])
        return InboundRequest(meta["method"], meta["url"], Headers.of(meta["headers"]), body)

    def _write(self, name: str, *arguments: str | bytes | float) -> Any:  # noqa: ANN401 - what Redis answers
        """Run a script, and return when its writes are as safe as asked for; raises NotDurable if not."""
        plan = self.durability.plan()
        if not plan.command:
            return self._scripts.run(name, *arguments)
        answer, confirmed = self._scripts.run_and_wait(name, plan.command, *arguments)
        if not plan.confirms(confirmed):
            self.durability.forget()
            raise NotDurable(f"The ledger did not confirm in time that this is safe ({plan.mode})")
        return answer

    def _keys(self, channel: str, keys: Sequence[Key]) -> list[tuple[str, int]]:
        vendor = self._keeping.dedupe_days * 24 * _HOUR_MS
        content = self._keeping.content_hours * _HOUR_MS
        return [
            (
                f"{channel}:{hashlib.sha256(key.value.encode('utf-8', 'replace')).hexdigest()[:40]}",
                content if key.content else vendor,
            )
            for key in keys
        ]


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
