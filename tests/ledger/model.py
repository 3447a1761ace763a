"""What the ledger should do, in plain Python: the reference that the real one is compared with.

Times are in seconds since the beginning of an example, all multiples of ten, so that the milliseconds
which pass in reality make no difference.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from service.core.ledger import ACTIVE, FINISHED, State
from service.core.ledger.ledger import MAX_UNBEGUN

if TYPE_CHECKING:
    from service.core.ledger import Outcome
    from service.core.source import Lane

DAY = 86_400
LEASE, HANDOVER, HARD, GRACE = 30, 20, 90, 50
# All drafts of an example go to one location.
PLACE = "l"
BODIES, SUMMARIES, DEDUPE = 30 * DAY, 90 * DAY, 30 * DAY
STALE = "stale"


@dataclass
class Twin:
    """An event as it should be."""

    id: str
    lane: Lane
    request: str
    received: int
    due: int | None
    keys: list[str]
    state: State = State.QUEUED
    handed: bool = False
    token: int = 0
    lease: int = 0
    deadline: int = 0
    unbegun: int = 0
    begun: int = 0
    begun_by: int = 0
    attempts: int = 0
    tries: int = 0
    repeats: int = 0
    code: str = ""
    location: str = ""
    look_after: int = 0
    body: bool = True
    finished: int | None = None
    recorded: tuple[str, str] = ("", "")


@dataclass
class Pause:
    until: int
    probe_after: int
    probe: str = ""
    location: str = ""


@dataclass
class Gate:
    until: int
    probe_after: int
    prober: str


@dataclass
class Model:
    """The whole ledger as it should be. Its methods give what the real ones should answer."""

    now: int = 0
    events: dict[str, Twin] = field(default_factory=dict)
    # Dedupe key → (event, when it expires or None).
    owners: dict[str, tuple[str, int | None]] = field(default_factory=dict)
    out: dict[str, int] = field(default_factory=dict)
    outage: set[str] = field(default_factory=set)
    waiting: set[str] = field(default_factory=set)
    pause: Pause | None = None
    gate: Gate | None = None
    # By what the history of the server changed, and when.
    epoch: int = 0
    epoch_at: int = 0
    epochs: dict[str, int] = field(default_factory=dict)
    # The server is another one, which nobody has noticed yet.
    replaced: bool = False
    failures: int = 0
    resuming: bool = False
    turn: int = 0

    def owner(self, key: str) -> str | None:
        event, expires = self.owners.get(key, ("", 0))
        return event if expires is None or expires > self.now else None

    def own(self, key: str, event: str) -> None:
        if self.owner(key) is not None:
            return
        twin = self.events.get(event)
        over = twin is None or twin.state in FINISHED
        self.owners[key] = (event, self.now + DEDUPE if over else None)
        if twin is not None:
            twin.keys.append(key)

    def accept(self, parts: list[list[str]], ids: list[str], lane: Lane) -> None:
        """Keep new events under the ids that the real ledger gave them, or count the repeats."""
        self._follow_history()
        for keys, event in zip(parts, ids, strict=True):
            found = next((owner for key in keys if (owner := self.owner(key)) is not None), None)
            if found is None:
                self.events[event] = Twin(event, lane, "", self.now, self.now, [])
                self.epochs[event] = self.epoch
            else:
                assert event == found
                if found in self.events:
                    self.events[found].repeats += 1
            for key in keys:
                self.own(key, event)

    def move(self, twin: Twin, to: State, due: int | None = None) -> None:
        before, twin.state, twin.handed = twin.state, to, False
        twin.due = due if to in ACTIVE else None
        if to is not State.DELIVERING:
            self.out.pop(twin.id, None)
            self.outage.discard(twin.id)
            if twin.location:
                self.waiting.discard(twin.id)
        if to not in ACTIVE:
            self._hand_down(twin)
        if to in FINISHED:
            twin.finished = self.now
            left = max(DEDUPE - (self.now - twin.received), 3600)
            self._keys(twin, self.now + left)
        elif before in FINISHED:
            twin.finished = None
            self._keys(twin, None)

    def _follow_history(self) -> None:
        if self.replaced:
            self.replaced, self.epoch, self.epoch_at = False, self.epoch + 1, self.now

    def _hand_down(self, twin: Twin) -> None:
        if self.gate is None or self.gate.prober != twin.id or not twin.location:
            return
        for heir in (self.events[event] for event in sorted(self.waiting)):
            if heir.state is State.RETRYING and not heir.handed:
                heir.due = self.now
                return

    def _keys(self, twin: Twin, expires: int | None) -> None:
        for key in twin.keys:
            if self.owner(key) == twin.id:
                self.owners[key] = (twin.id, expires)

    def due(self, lane: Lane) -> list[Twin]:
        """Give what may be handed out of a lane, the oldest first."""
        found = [
            twin
            for twin in self.events.values()
            if twin.lane == lane and twin.due is not None and twin.due <= self.now
        ]
        return sorted(found, key=lambda twin: twin.due or 0)

    def take(self, taken: list[str], most: int, cap: int) -> None:
        """Check that exactly this may have been handed out, and hand it out."""
        self._follow_history()
        if self.pause is not None:
            most = 0 if self.now < self.pause.until else min(most, 1)
        again = {event for event, ends in self.out.items() if ends <= self.now}
        first = taken[: min(len(again), most)]
        assert set(first) <= again
        assert len(first) == min(len(again), most)
        for event in first:
            self._hand_out(event)
        room = min(most - len(first), cap - len(self.out))
        for event in taken[len(first) :]:
            assert room > 0
            room -= 1
            self._check_order(event)
            self._hand_out(event)
            self.turn += 1
        assert room <= 0 or not self._candidates()

    def _candidates(self) -> list[Twin]:
        return self._failed_in_outage() or self._next_due()

    def _failed_in_outage(self) -> list[Twin]:
        if self.pause is None:
            return []
        return [
            twin
            for twin in (self.events[event] for event in self.outage)
            if twin.state is State.RETRYING
            and not twin.handed
            and twin.look_after <= self.now
            and not (self.pause.location and twin.location == self.pause.location)
        ]

    def _next_due(self) -> list[Twin]:
        lanes: tuple[Lane, Lane] = ("backlog", "person") if self.turn % 4 == 3 else ("person", "backlog")
        due = self._elsewhere_first(self.due(lanes[0])) or self._elsewhere_first(self.due(lanes[1]))
        return [twin for twin in due if twin.due == due[0].due]

    def _elsewhere_first(self, due: list[Twin]) -> list[Twin]:
        refused = self.pause.location if self.pause is not None else ""
        return [twin for twin in due if not refused or twin.location != refused] or due

    def _check_order(self, event: str) -> None:
        assert event in {twin.id for twin in self._candidates()}

    def _hand_out(self, event: str) -> None:
        twin = self.events[event]
        assert twin.state in ACTIVE
        twin.handed, twin.due = True, self.now + HANDOVER
        self.out[event] = twin.due
        if self.pause is not None:
            self.pause.probe, self.pause.until = event, self.now + self.pause.probe_after

    def claim(self, event: str) -> str:
        twin = self.events.get(event)
        if twin is None or not twin.handed:
            return "nothing"
        self._follow_history()
        if self.pause is not None and self.pause.probe != event:
            twin.handed, twin.due = False, self.now
            del self.out[event]
            return "nothing"
        if twin.unbegun >= MAX_UNBEGUN:
            self.move(twin, State.DEAD)
            twin.code = "unknown" if twin.begun or twin.look_after else "poison"
            if twin.begun:
                twin.look_after = self.now + GRACE
            twin.begun = 0
            return "poison"
        taken_over = twin.state is State.DELIVERING
        self.move(twin, State.DELIVERING, self.now + LEASE)
        twin.token = max(twin.token, self.epoch * 2**20) + 1
        twin.unbegun += 1
        twin.lease, twin.deadline = self.now + LEASE, self.now + HARD
        self.out[event] = twin.lease
        if twin.begun:
            twin.begun, twin.look_after, twin.code = 0, self.now + GRACE, "unknown"
        elif not twin.look_after and self.epochs[event] != self.epoch:
            since = self.now if taken_over else self.epoch_at + LEASE
            twin.look_after, twin.code = since + GRACE, "unknown"
        return "claimed"

    def holder(self, event: str, token: int) -> Twin | None:
        twin = self.events.get(event)
        held = twin is not None and twin.state is State.DELIVERING and twin.token == token
        return twin if held else None

    def renew(self, event: str, token: int) -> bool:
        twin = self.holder(event, token)
        if twin is None or twin.handed or twin.deadline <= self.now:
            return False
        twin.lease = twin.due = self.out[event] = min(self.now + LEASE, twin.deadline)
        return True

    def begin(self, event: str, token: int, *, looked: bool) -> int | str:
        twin = self.holder(event, token)
        if twin is None or twin.handed or twin.lease <= self.now:
            return STALE
        if twin.begun:
            return twin.begun if twin.begun_by == token else STALE
        if twin.look_after and not (looked and self.now >= twin.look_after):
            return STALE
        if self.gate is not None:
            if self.now < self.gate.until:
                prober = self.events.get(self.gate.prober)
                if self.gate.prober != event and prober is not None and prober.state in ACTIVE:
                    return "closed, another probes"
                self.gate.prober = event
                return "closed"
            self.gate.until, self.gate.prober = self.now + self.gate.probe_after, event
        twin.attempts += 1
        twin.tries += 1
        twin.location, twin.look_after, self.epochs[event] = PLACE, 0, self.epoch
        twin.begun, twin.begun_by, twin.unbegun = twin.attempts, token, 0
        return twin.begun

    def know(self, event: str, token: int, key: str) -> str:
        if self.holder(event, token) is None:
            return STALE
        owner = self.owner(key)
        if owner not in (None, event):
            return str(owner)
        self.own(key, event)
        return ""

    def record(self, event: str, token: int, outcome: Outcome, nonce: str) -> str:
        known = self.events.get(event)
        if known is not None and known.recorded[0] == nonce:
            return known.recorded[1]
        twin = self.holder(event, token)
        if twin is None:
            return STALE
        began_itself = bool(twin.begun) and twin.begun_by == token
        if twin.begun and (outcome.uncounted or (outcome.failing and self.pause)):
            twin.tries -= 1
        in_outage = event in self.outage
        self.move(twin, outcome.state, self.now + int(outcome.delay))
        twin.begun, twin.unbegun, twin.code = 0, 0, outcome.code
        if outcome.grace is not None:
            twin.look_after = self.now + int(outcome.grace)
        if outcome.state is State.DELIVERED:
            twin.look_after = 0
        elif outcome.state is State.RETRYING and twin.look_after and in_outage:
            self.outage.add(event)
        if outcome.waits:
            twin.location = PLACE
            if self.gate is None:
                twin.due = self.now
            else:
                self.waiting.add(event)
        answer = self._learn(twin, outcome, began_itself=began_itself)
        twin.recorded = (nonce, answer)
        return answer

    def _learn(self, twin: Twin, outcome: Outcome, *, began_itself: bool) -> str:
        if outcome.answered:
            self.failures = 0
            opened = self.gate is not None and twin.location == PLACE
            self.resuming = self.resuming or self.pause is not None or opened
            self.pause = None
            if opened:
                self.gate = None
                self.outage |= self.waiting
                self.waiting = set()
            if self.resuming:
                return "resume"
            self.outage.clear()
        elif outcome.failing:
            probe, known, failures = int(outcome.failing.probe), self.gate is not None, 0
            if outcome.failing.location:
                self.gate = Gate(self.now + probe, probe, twin.id)
                self.waiting.add(twin.id)
            elif outcome.state is State.RETRYING:
                self.outage.add(twin.id)
            if not (outcome.failing.location and known):
                self.failures += 1
                failures = self.failures
            if self.pause is not None or failures >= outcome.failing.threshold:
                self.pause = Pause(self.now + probe, probe, location=outcome.failing.location)
        elif self.pause is not None and self.pause.probe == twin.id and not began_itself:
            self.pause.until = self.now + (self.pause.probe_after if outcome.stuck else 0)
        return "ok"

    def operate(self, event: str, operation: str, *, confirmed: bool) -> str:
        twin = self.events.get(event)
        if twin is None:
            return "gone"
        target = {"replay": State.QUEUED, "release": State.QUEUED, "discard": State.DISCARDED}.get(
            operation, State.HELD
        )
        allowed = {
            "replay": {State.DEAD, State.HELD, State.IGNORED, State.DISCARDED},
            "release": {State.HELD},
            "discard": {State.QUEUED, State.RETRYING, State.DEAD, State.HELD},
            "hold": {State.QUEUED, State.RETRYING},
        }
        if twin.state not in allowed[operation]:
            return "forbidden"
        if target is State.QUEUED and not twin.body:
            return "forbidden"
        uncertain = twin.look_after > 0 or twin.code == "unknown"
        self.move(twin, target, self.now)
        if target is State.QUEUED:
            twin.tries = twin.unbegun = twin.begun = 0
            twin.code = ""
            if uncertain:
                twin.look_after = 0 if confirmed else self.now + GRACE
                twin.code = "" if confirmed else "unknown"
        return "ok"

    def resume(self, left: set[str], most: int) -> int:
        """Check what a resume left behind, and bring the rest forward."""
        forward = self.outage - left
        assert left < self.outage or not forward
        assert len(forward) == min(most, len(self.outage))
        for event in forward:
            twin = self.events[event]
            if twin.state is State.RETRYING and not twin.handed:
                twin.due = self.now
        self.outage = left
        self.resuming = self.resuming and len(forward) >= most
        return len(forward)

    def purge(self) -> None:
        for twin in list(self.events.values()):
            if twin.finished is not None and twin.finished + BODIES <= self.now:
                twin.body = False
            if twin.finished is not None and twin.finished + SUMMARIES <= self.now:
                del self.events[twin.id]
