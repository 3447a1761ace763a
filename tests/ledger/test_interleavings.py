"""Whatever the order of the scripts: what is active is due, and only the latest token writes."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from service.core.blobs import RedisBlobs
from service.core.errors import ConfirmationNeeded, Forbidden, StaleToken
from service.core.ledger import ACTIVE, FINISHED, Claim, Failing, Ledger, Outcome, State
from service.core.request import Headers, InboundRequest
from service.core.source import Key, Part
from service.core.store import PREFIX, connect
from tests.conftest import Valkey

if TYPE_CHECKING:
    from service.core.ledger import Operation
    from service.core.source import Lane

REQUEST = InboundRequest("POST", "https://bridge.example/hooks/web", Headers(), b"x")
DRAFT = {"locationRef": "l", "text": "t", "type": "other"}
TIMES = ("lease", "deadline", "received", "updated", "finished", "begun_at")
OUTCOMES = [
    Outcome(State.DELIVERED, answered=True),
    Outcome(State.RETRYING, delay=30),
    Outcome(State.RETRYING, delay=0, failing=Failing("outage", 1, 15)),
    Outcome(State.QUEUED),
    Outcome(State.DEAD, code="refused", answered=True),
    Outcome(State.DEAD, code="unknown"),
    Outcome(State.IGNORED),
]
LANES = st.sampled_from(["person", "backlog"])


class Interleavings(RuleBasedStateMachine):
    """Several workers and an operator, in any order, on a real server."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="vi"))
        self.server = Valkey(self.folder)
        self.server.start()
        self.redis: Any = connect(self.server.url)
        self.ledger = Ledger(self.redis, RedisBlobs(self.redis, prefix=PREFIX, cap=1000))
        self.events: list[str] = []
        self.handed: list[str] = []
        self.claims: list[Claim] = []

    def teardown(self) -> None:
        self.redis.close()
        self.server.stop()
        shutil.rmtree(self.folder)

    def fields(self, event: str) -> dict[str, str]:
        kept = self.redis.hgetall(f"{PREFIX}event:{event}")
        return {name.decode(): value.decode() for name, value in kept.items()}

    def now(self) -> float:
        seconds, micros = self.redis.time()
        return float(seconds * 1000 + micros // 1000)

    @rule(keys=st.lists(st.sampled_from("abcdef"), min_size=1, max_size=3, unique=True), lane=LANES)
    def accept(self, keys: list[str], lane: Lane) -> None:
        parts = [Part((Key(key),), key) for key in keys]
        accepted = self.ledger.accept(REQUEST, channel="web", source="form", lane=lane, parts=parts)
        assert not accepted.fresh & set(self.events)
        self.events += sorted(accepted.fresh)

    @rule(most=st.integers(1, 3))
    def take(self, most: int) -> None:
        before = {event: self.fields(event) for event in self.events}
        due = {event: self.score(event) for event in self.events}
        pause, now = self.ledger.pause(), self.now() + 1000

        handed = [one.event for one in self.ledger.take(most, cap=4)]

        for event in handed:
            # Nothing goes round a back-off or a hold, and during a pause one event probes.
            score = due[event]
            assert State(before[event]["state"]) in ACTIVE
            assert score is not None
            assert score <= now
        assert pause is None or len(handed) <= 1
        self.handed += handed

    @rule(data=st.data())
    def claim(self, data: st.DataObject) -> None:
        if not self.events:
            return
        event = data.draw(st.sampled_from(self.handed or self.events))
        handed = self.fields(event).get("handed") == "1"

        claim = self.ledger.claim(event, "w")

        assert claim is None or handed
        if claim is not None:
            self.claims.append(claim)

    def drawn(self, data: st.DataObject) -> Claim | None:
        return data.draw(st.sampled_from(self.claims)) if self.claims else None

    def holds(self, claim: Claim) -> bool:
        fields = self.fields(claim.event.id)
        return fields["state"] == "delivering" and fields["token"] == str(claim.token)

    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        claim = self.drawn(data)
        if claim is not None:
            held = self.holds(claim)
            assert held or not self.ledger.renew(claim)

    @rule(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        claim = self.drawn(data)
        if claim is None:
            return
        held = self.holds(claim)
        try:
            self.ledger.begin(claim, DRAFT, {})
        except StaleToken:
            return
        assert held

    @rule(data=st.data(), outcome=st.sampled_from(OUTCOMES), twice=st.booleans())
    def record(self, data: st.DataObject, outcome: Outcome, *, twice: bool) -> None:
        claim = self.drawn(data)
        if claim is None:
            return
        held = self.holds(claim)
        try:
            self.ledger.record(claim, outcome, nonce="n")
        except StaleToken:
            assert not held
            return
        if twice and held:
            before = self.fields(claim.event.id)
            self.ledger.record(claim, outcome, nonce="n")
            assert self.fields(claim.event.id) == before

    @rule(
        data=st.data(),
        operation=st.sampled_from(["replay", "discard", "hold", "release"]),
        confirmed=st.booleans(),
    )
    def operate(self, data: st.DataObject, operation: Operation, *, confirmed: bool) -> None:
        if not self.events:
            return
        event = data.draw(st.sampled_from(self.events))
        before = self.fields(event)
        try:
            self.ledger.operate(event, operation, "ada", confirmed=confirmed)
        except ConfirmationNeeded:
            assert before["code"] == "unknown"
        except Forbidden:
            assert self.fields(event) == before

    @rule()
    def resume(self) -> None:
        self.ledger.resume()

    @rule()
    def purge(self) -> None:
        self.ledger.purge()

    @rule(seconds=st.sampled_from([1, 11, 31, 61]))
    def time_passes(self, seconds: int) -> None:
        shift = seconds * 1000
        for name in ("due:person", "due:backlog", "out"):
            for member in self.redis.zrange(f"{PREFIX}{name}", 0, -1):
                self.redis.zincrby(f"{PREFIX}{name}", -shift, member)
        for event in self.events:
            fields = self.fields(event)
            for name in TIMES:
                if int(fields.get(name) or 0) > shift:
                    self.redis.hincrby(f"{PREFIX}event:{event}", name, -shift)
        if self.redis.hexists(f"{PREFIX}pause", "until"):
            self.redis.hincrby(f"{PREFIX}pause", "until", -shift)

    def score(self, event: str) -> float | None:
        scores = [self.redis.zscore(f"{PREFIX}due:{lane}", event) for lane in ("person", "backlog")]
        found = [float(score) for score in scores if score is not None]
        assert len(found) <= 1
        return found[0] if found else None

    @invariant()
    def an_active_event_is_due_and_no_other_is(self) -> None:
        for event in self.events:
            fields = self.fields(event)
            state = State(fields["state"])
            due = {lane: self.redis.zscore(f"{PREFIX}due:{lane}", event) for lane in ("person", "backlog")}
            assert (due[fields["lane"]] is not None) == (state in ACTIVE)
            assert due["backlog" if fields["lane"] == "person" else "person"] is None
            assert state in ACTIVE or self.redis.zscore(f"{PREFIX}out", event) is None

    @invariant()
    def every_event_stands_in_the_index_of_its_state_alone(self) -> None:
        for event in self.events:
            state = self.fields(event)["state"]
            indexed = [one for one in State if self.redis.zscore(f"{PREFIX}state:{one}", event) is not None]
            assert indexed == [State(state)]
        assert sum(self.ledger.stats().states.values()) == len(self.events)

    @invariant()
    def keys_of_what_is_unfinished_never_expire(self) -> None:
        for event in self.events:
            fields = self.fields(event)
            if State(fields["state"]) not in FINISHED:
                for name in self.redis.keys(f"{PREFIX}dedupe:*"):
                    if self.redis.get(name) == event.encode():
                        assert self.redis.pttl(name) == -1


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
