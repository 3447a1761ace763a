"""Service, dispatchers, workers and people in any order, against a model, on a real Valkey.

Whatever the order: an active event is in `due`, a parked or finished one is not; only the latest token
writes; nothing is handed out round a back-off, a pause or a hold; no event is lost before its end.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from service.core.blobs import RedisBlobs
from service.core.errors import Forbidden, NoSuchEvent, StaleToken
from service.core.ledger import (
    ACTIVE,
    FINISHED,
    Attempt,
    Claim,
    Closed,
    Failing,
    Ledger,
    Operation,
    Outcome,
    State,
    Timings,
)
from service.core.ledger.model import moment
from service.core.source import Key, Lane
from service.core.store import PREFIX
from tests.ledger.model import DAY, GRACE, HANDOVER, HARD, LEASE, PLACE, STALE, Model
from tests.ledger.steps import DRAFT, Steps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis import Redis

T = TypeVar("T")
TRIED = Attempt(moment(0), "tried", 200)
OUTCOMES = {
    "delivered": Outcome(
        State.DELIVERED, attempt=TRIED, fields={"ticket_id": "T", "ticket_number": 7}, answered=True
    ),
    "found": Outcome(State.DELIVERED, code="found", fields={"ticket_id": "T", "ticket_number": 7}),
    "refused": Outcome(State.DEAD, "422", "refused", attempt=TRIED, answered=True),
    "unknown": Outcome(State.RETRYING, "?", "unknown", delay=10, attempt=TRIED, grace=GRACE),
    "unknown-500": Outcome(
        State.RETRYING, "500", "unknown", delay=10, grace=GRACE, failing=Failing("outage", 2, 40)
    ),
    "looked": Outcome(State.RETRYING, "?", "unknown", delay=40, uncounted=True),
    "refused-look": Outcome(State.RETRYING, "403", "unknown", delay=20, uncounted=True, stuck=True),
    "looked-in-vain": Outcome(State.DEAD, "?", "unknown"),
    "ignored": Outcome(State.IGNORED, code="ignored"),
    "back": Outcome(State.QUEUED),
    "retry": Outcome(State.RETRYING, "429", delay=600, attempt=TRIED),
    "again": Outcome(State.RETRYING, delay=0, attempt=TRIED, uncounted=True),
    "outage": Outcome(State.RETRYING, "503", delay=600, attempt=TRIED, failing=Failing("outage", 2, 40)),
    "credentials": Outcome(
        State.RETRYING, "401", attempt=TRIED, uncounted=True, failing=Failing("credentials", 1, 40)
    ),
}
FORBIDDEN = Outcome(
    State.RETRYING,
    "403",
    delay=40,
    attempt=TRIED,
    uncounted=True,
    failing=Failing("credentials", 1, 40, PLACE),
)
WAITS = Outcome(State.RETRYING, "closed", delay=600, fields={"location": PLACE}, waits=True)
OUTCOMES |= {"forbidden": FORBIDDEN, "waits": WAITS}
PICK = st.integers(0, 1000)
LANES = st.sampled_from(get_args(Lane))
KEYS = st.sampled_from("abcdefgh")
DEDUPE_KEYS = {key: f"dedupe:web:{hashlib.sha256(key.encode()).hexdigest()[:40]}" for key in "abcdefgh"}
FIELDS = ("state", "handed", "token", "begun", "unbegun", "attempts", "tries", "code", "body", "repeats")
INDEXES = (
    *("due:person", "due:backlog", "out", "events", "channel:web", "finished", "bodies", "unsettled"),
    *(f"state:{state}" for state in State),
)
# The clocks of model and server may differ by what passes in reality.
SLACK_MS = 9_000


class Interleavings(RuleBasedStateMachine):
    """Every rule does one step to the ledger and to the model, and compares their answers."""

    redis: Redis
    ledger: Ledger

    @initialize()
    def begin_anew(self) -> None:
        self.redis.flushall()
        self.steps = Steps(self.ledger, self.redis)
        self.model = Model()
        # Every id and every claim that there ever was: jobs and workers may come late.
        self.ids: list[str] = []
        self.requests: set[str] = set()
        self.claims: list[Claim] = []
        self.records: list[tuple[Claim, Outcome, str]] = []

    # The service.

    @rule(keys=st.lists(KEYS, min_size=1, max_size=2, unique=True), lane=LANES)
    def accept(self, keys: list[str], lane: Lane) -> None:
        self._accept([keys], lane)

    @rule(parts=st.lists(st.lists(KEYS, min_size=1, max_size=2, unique=True), min_size=2, max_size=3))
    def accept_a_batch(self, parts: list[list[str]]) -> None:
        self._accept(parts, "backlog")

    def _accept(self, parts: list[list[str]], lane: Lane) -> None:
        accepted = self.steps.accept_parts(parts, lane)
        self.model.accept(parts, list(accepted.events), lane)
        for event in accepted.fresh:
            request = self.steps.field(event, "request") or ""
            self.model.events[event].request = request
            self.requests.add(request)
        self.ids += [event for event in accepted.events if event in accepted.fresh]

    # The dispatcher.

    @rule(most=st.integers(1, 4), cap=st.integers(1, 5))
    def take(self, most: int, cap: int) -> None:
        self.model.take(self.steps.take(most, cap), most, cap)

    @rule(most=st.integers(1, 3))
    def resume(self, most: int) -> None:
        count = self.ledger.resume(most)
        left: Any = self.redis.smembers(f"{PREFIX}outage")
        assert count == self.model.resume({member.decode() for member in left}, most)

    @rule()
    def purge(self) -> None:
        self.ledger.purge()
        self.model.purge()

    # Workers: in time, late, twice, or never.

    @rule(pick=PICK, worker=st.sampled_from(["w1", "w2"]))
    def claim(self, pick: int, worker: str) -> None:
        for event in self._one(self.ids, pick):
            self._claim(event, worker)

    def _claim(self, event: str, worker: str) -> Claim | None:
        claim = self.ledger.claim(event, worker)
        expected = self.model.claim(event)
        assert (claim is not None) == (expected == "claimed")
        if claim is not None:
            twin = self.model.events[event]
            assert (claim.token, claim.event.look_after > 0) == (twin.token, twin.look_after > 0)
            assert claim.probing == (self.model.pause is not None)
            self.claims.append(claim)
        return claim

    @rule(pick=PICK)
    def renew(self, pick: int) -> None:
        for claim in self._one(self.claims, pick):
            assert self.ledger.renew(claim) == self.model.renew(claim.event.id, claim.token)

    @rule(pick=PICK, looked=st.booleans())
    def begin(self, pick: int, looked: bool) -> None:  # noqa: FBT001 - drawn
        for claim in self._one(self.claims, pick):
            self._begin(claim, looked=looked)

    def _begin(self, claim: Claim, *, looked: bool) -> None:
        answer: int | str
        try:
            begun = self.ledger.begin(
                claim, DRAFT, {"subject": "s"}, absent_at=self.steps.looked() if looked else 0
            )
        except StaleToken:
            answer = STALE
        else:
            answer = begun if isinstance(begun, int) else _said(begun)
        assert answer == self.model.begin(claim.event.id, claim.token, looked=looked)

    @rule()
    def the_server_is_replaced(self) -> None:
        """What was written last may be gone; here nothing is, but nobody can know."""
        self.redis.hset(f"{PREFIX}epoch", "run_id", "another")
        self.model.replaced = True

    @rule(pick=PICK, key=KEYS)
    def know(self, pick: int, key: str) -> None:
        for claim in self._one(self.claims, pick):
            try:
                answer = self.ledger.know(claim, [Key(key)])
            except StaleToken:
                answer = STALE
            assert answer == self.model.know(claim.event.id, claim.token, key)

    @rule(pick=PICK, end=st.sampled_from(sorted(OUTCOMES)))
    def record(self, pick: int, end: str) -> None:
        for claim in self._one(self.claims, pick):
            self._record(claim, OUTCOMES[end], secrets.token_hex(4))

    @rule(pick=PICK)
    def record_again_after_a_lost_answer(self, pick: int) -> None:
        for call in self._one(self.records, pick):
            self._record(*call)

    def _record(self, claim: Claim, outcome: Outcome, nonce: str) -> None:
        self.records.append((claim, outcome, nonce))
        try:
            answer = "resume" if self.ledger.record(claim, outcome, nonce=nonce) else "ok"
        except StaleToken:
            answer = STALE
        assert answer == self.model.record(claim.event.id, claim.token, outcome, nonce)

    @rule(end=st.sampled_from(sorted(OUTCOMES)), begin=st.booleans())
    def work(self, end: str, begin: bool) -> None:  # noqa: FBT001 - drawn
        """Go the whole way of one event, as an undisturbed worker does."""
        for claim in self._next_claims():
            if begin:
                self._begin(claim, looked=True)
            self._record(claim, OUTCOMES[end], secrets.token_hex(4))

    @rule(begin=st.booleans())
    def die_at_work(self, begin: bool) -> None:  # noqa: FBT001 - drawn
        """Take up an event, and be heard of no more until its lease is over."""
        for claim in self._next_claims():
            if begin:
                self._begin(claim, looked=True)
        self.time_passes(LEASE)

    def _next_claims(self) -> list[Claim]:
        taken = self.steps.take(1, 5)
        self.model.take(taken, 1, 5)
        return [claim for event in taken if (claim := self._claim(event, "w3")) is not None]

    def _one(self, things: list[T], pick: int) -> list[T]:
        """Give one of the things, counted from the latest, or none where there is none.

        A precondition would do; but which event comes first in a millisecond is chance, and what
        Hypothesis may draw must not depend on it.
        """
        return [things[-1 - pick % len(things)]] if things else []

    # People, and time.

    @rule(pick=PICK, operation=st.sampled_from(get_args(Operation)), confirmed=st.booleans())
    def operate(self, pick: int, operation: Operation, confirmed: bool) -> None:  # noqa: FBT001 - drawn
        errors = {NoSuchEvent: "gone", Forbidden: "forbidden"}
        for event in self._one(self.ids, pick):
            try:
                self.ledger.operate(event, operation, "ada", confirmed=confirmed)
            except (NoSuchEvent, Forbidden) as error:
                answer = errors[type(error)]
            else:
                answer = "ok"
            assert answer == self.model.operate(event, operation, confirmed=confirmed)

    @rule(seconds=st.sampled_from([10, 20, 30, 40, 100, 600]))
    def time_passes(self, seconds: int) -> None:
        self.steps.pass_time(seconds)
        self.model.now += seconds

    @rule(days=st.sampled_from([1, 31, 61]))
    def days_pass(self, days: int) -> None:
        self.time_passes(days * DAY)

    # What must hold after every step.

    @invariant()
    def the_ledger_is_as_it_should_be(self) -> None:
        found = self._look()
        self._every_event_is_as_it_should_be(found)
        self._an_active_event_is_due_once_in_its_lane_and_no_other_is_due_at_all(found)
        self._the_places_under_the_cap_are_those_handed_out_or_leased(found)
        self._the_indexes_agree_with_the_states(found)
        self._a_body_is_there_as_long_as_an_event_needs_it(found)
        self._dedupe_keys_live_for_ever_while_their_event_is_unfinished(found)
        self._a_pause_stands_as_long_as_it_should(found)
        self._what_is_uncertain_is_known_as_long_as_it_is_active(found)

    def _look(self) -> dict[str, Any]:
        """Read everything in one go."""
        names = [
            *(*INDEXES, "outage", "pause", *DEDUPE_KEYS.values()),
            *(f"request:{request}" for request in self.requests),
            *(f"event:{event}" for event in self.model.events),
        ]
        ask: Any = self.redis.pipeline()
        with ask:
            for name in names:
                key = f"{PREFIX}{name}"
                match name.partition(":")[0]:
                    case "outage":
                        ask.smembers(key)
                    case "pause":
                        ask.hgetall(key)
                    case "dedupe":
                        ask.pttl(key)
                    case "request":
                        ask.exists(key)
                    case "event":
                        ask.hmget(key, FIELDS)
                    case _:
                        ask.zrange(key, 0, -1, withscores=True)
            ask.time()
            *answers, (seconds, micros) = ask.execute()
        found: dict[str, Any] = dict(zip(names, answers, strict=True))
        for index in INDEXES:
            found[index] = {member.decode(): score for member, score in found[index]}
        return {**found, "now": seconds * 1000 + micros / 1000}

    def _every_event_is_as_it_should_be(self, found: dict[str, Any]) -> None:
        for twin in self.model.events.values():
            expected = (
                *(twin.state, int(twin.handed), twin.token, twin.begun, twin.unbegun),
                *(twin.attempts, twin.tries, twin.code, int(twin.body), twin.repeats),
            )
            values = found[f"event:{twin.id}"]
            assert [value.decode() for value in values] == [str(value) for value in expected]

    def _an_active_event_is_due_once_in_its_lane_and_no_other_is_due_at_all(
        self, found: dict[str, Any]
    ) -> None:
        for lane in get_args(Lane):
            active = {
                twin.id: twin.due
                for twin in self.model.events.values()
                if twin.lane == lane and twin.state in ACTIVE
            }
            self._same_times(found, f"due:{lane}", active)

    def _the_places_under_the_cap_are_those_handed_out_or_leased(self, found: dict[str, Any]) -> None:
        self._same_times(found, "out", self.model.out)
        for event in self.model.out:
            twin = self.model.events[event]
            assert twin.handed or twin.state is State.DELIVERING

    def _the_indexes_agree_with_the_states(self, found: dict[str, Any]) -> None:
        twins = self.model.events.values()
        assert sum(len(found[f"state:{state}"]) for state in State) == len(twins)
        for state in State:
            assert found[f"state:{state}"].keys() == {twin.id for twin in twins if twin.state is state}
        finished = {twin.id: twin.body for twin in twins if twin.state in FINISHED}
        assert found["finished"].keys() == finished.keys()
        assert found["bodies"].keys() == {event for event, body in finished.items() if body}
        assert found["events"].keys() == found["channel:web"].keys() == self.model.events.keys()
        assert {member.decode() for member in found["outage"]} == self.model.outage

    def _a_body_is_there_as_long_as_an_event_needs_it(self, found: dict[str, Any]) -> None:
        needed = {twin.request for twin in self.model.events.values() if twin.body}
        assert {request for request in self.requests if found[f"request:{request}"]} == needed

    def _dedupe_keys_live_for_ever_while_their_event_is_unfinished(self, found: dict[str, Any]) -> None:
        for key, name in DEDUPE_KEYS.items():
            owner, expires = self.model.owners.get(key, ("", 0))
            if expires is None:
                assert found[name] == -1
                assert self.model.events[owner].state not in FINISHED
            else:
                left = max(0, expires - self.model.now) * 1000
                assert found[name] != -1
                assert abs(max(0, found[name]) - left) < SLACK_MS

    def _a_pause_stands_as_long_as_it_should(self, found: dict[str, Any]) -> None:
        pause, expected = found["pause"], self.model.pause
        assert bool(pause) == (expected is not None)
        if expected is not None:
            left = float(pause[b"until"]) - found["now"]
            assert abs(left - (expected.until - self.model.now) * 1000) < SLACK_MS

    def _what_is_uncertain_is_known_as_long_as_it_is_active(self, found: dict[str, Any]) -> None:
        uncertain = {
            twin.id: twin.look_after
            for twin in self.model.events.values()
            if twin.state in ACTIVE and twin.look_after
        }
        self._same_times(found, "unsettled", uncertain)

    def _same_times(
        self, found: dict[str, Any], name: str, expected: Mapping[str, int | None] | Mapping[str, int]
    ) -> None:
        assert found[name].keys() == expected.keys()
        for event, at in expected.items():
            assert at is not None
            assert abs(found[name][event] - found["now"] - (at - self.model.now) * 1000) < SLACK_MS


def _said(gate: Closed) -> str:
    return "closed" if gate.wait is not None else "closed, another probes"


def test_whatever_the_order_of_steps_the_ledger_does_what_the_model_does(redis: Redis) -> None:
    blobs = RedisBlobs(redis, prefix=PREFIX, cap=1 << 20)

    class Machine(Interleavings):
        pass

    Machine.redis = redis
    Machine.ledger = Ledger(
        redis, blobs, timings=Timings(lease=LEASE, handover=HANDOVER, hard=HARD, grace=GRACE)
    )
    run_state_machine_as_test(Machine, settings=settings(max_examples=200, stateful_step_count=40))
