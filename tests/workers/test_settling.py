"""What may have made a ticket is looked for, adopted, or shown not to be there, and only then sent again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import requests
from redis.exceptions import ConnectionError as RedisConnectionError
from rq.timeouts import JobTimeoutException

from service.core.blobs import RedisBlobs
from service.core.durability import Durability
from service.core.errors import Unavailable
from service.core.ledger import Closed, Ledger, State
from service.core.store import PREFIX
from tests.workers.bench import ELSEWHERE, FORM, LOCATION, Bench
from workers.reconcile import Look, Reconciler
from workers.schedule import Schedule
from workers.spacebring.client import SpacebringClient
from workers.spacebring.errors import TemporaryError
from workers.spacebring.limiter import Limiter, LimiterBusyError
from workers.spacebring.schemas import TicketPage
from workers.verdicts import Options

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.core.ledger import Claim, Event, Outcome
    from service.core.request import InboundRequest


def requests_of(bench: Bench, method: str) -> int:
    counts = requests.get(f"{bench.base}/sandbox/requests", timeout=5).json()["counts"]
    return sum(count["count"] for count in counts if count["method"] == method)


def uncertain(bench: Bench, kind: str = "error_after_commit", key: str = "k", **fault: object) -> str:
    """Give an event whose attempt had an unknown end."""
    identifier = bench.accept(key=key)
    bench.fault(kind=kind, **fault)
    assert bench.deliver(identifier).code == "unknown"
    bench.fault()
    return identifier


def test_a_ticket_that_was_made_is_adopted(bench: Bench) -> None:
    event = bench.deliver(uncertain(bench))

    (ticket,) = bench.tickets()
    assert (event.state, event.ticket_id, event.ticket_number) == (State.DELIVERED, ticket["id"], 1)
    assert (event.code, event.look_after) == ("found", 0)
    assert "its marker was found in Spacebring" in event.reason


def test_a_ticket_that_was_not_made_is_sent_again_after_the_grace_and_a_second_look(bench: Bench) -> None:
    identifier = uncertain(bench, "reset")

    first = bench.deliver(identifier)
    posted = requests_of(bench, "POST")
    bench.grace_passes(identifier)
    second = bench.deliver(identifier)

    assert (first.state, first.code, posted) == (State.RETRYING, "unknown", 1)
    assert first.due is not None
    assert first.due.timestamp() * 1000 >= first.look_after
    assert (second.state, second.attempts) == (State.DELIVERED, 2)
    assert len(bench.tickets()) == 1


def test_what_is_sent_again_is_what_was_sent(bench: Bench) -> None:
    identifier = uncertain(bench, "reset")
    sent = bench.ledger.event(identifier).draft
    bench.grace_passes(identifier)
    # Nobody may even have to read what came in.
    bench.redis.delete(f"bridge:request:{identifier}")

    event = bench.deliver(identifier)

    assert event.draft == sent
    assert event.state is State.DELIVERED


def test_one_listing_serves_every_event_of_the_location(bench: Bench) -> None:
    events = [uncertain(bench, key=str(number)) for number in range(5)]

    for event in events:
        assert bench.deliver(event).state is State.DELIVERED

    assert requests_of(bench, "GET") == 1


def test_a_listing_that_began_before_the_end_of_the_grace_does_not_count_after_it(bench: Bench) -> None:
    identifier = uncertain(bench, "reset")
    bench.deliver(identifier)
    # The ticket is made late, when the list had been read.
    late = bench.ledger.event(identifier).draft
    bench.deliverer()
    assert bench.client is not None
    assert late is not None
    bench.client.create_ticket(late)
    bench.grace_passes(identifier)

    event = bench.deliver(identifier)

    assert (event.state, event.code, len(bench.tickets())) == (State.DELIVERED, "found", 1)


def set_back(bench: Bench, seconds: int) -> None:
    """Make what is stored look like the work of a clock that was so far ahead."""
    for location, text in bench.redis.hgetall("bridge:listings").items():
        listing = json.loads(text)
        bench.redis.hset(
            "bridge:listings", location, json.dumps({**listing, "began": listing["began"] + seconds * 1000})
        )
    bench.redis.set("bridge:clock", bench.ledger.now() + seconds * 1000)


def test_a_listing_from_before_redis_s_clock_was_set_back_does_not_count(bench: Bench) -> None:
    bench.deliver(uncertain(bench, key="before"))
    set_back(bench, 3600)

    event = bench.deliver(uncertain(bench, key="after"))

    assert (event.state, event.code, len(bench.tickets())) == (State.DELIVERED, "found", 2)


def test_a_listing_during_which_the_clock_was_set_back_counts_for_nobody(bench: Bench) -> None:
    identifier = uncertain(bench)
    bench.deliverer()
    assert bench.client is not None
    event, client = bench.ledger.event(identifier), bench.client

    class Ahead(Ledger):
        """A ledger by whose clock the list is read an hour from now."""

        ahead = 3_600_000

        def now(self) -> int:
            ahead, self.ahead = self.ahead, 0
            return super().now() + ahead

    ledger = Ahead(bench.redis, RedisBlobs(bench.redis, prefix=PREFIX, cap=1))
    reconciler = Reconciler(ledger, bench.redis, client)

    assert reconciler.look(event, LOCATION, not_before=0) is None
    assert bench.redis.exists("bridge:listings") == 0
    assert reconciler.look(event, LOCATION, not_before=0) is not None


def test_a_list_that_hid_our_tickets_is_soon_read_anew(bench: Bench) -> None:
    bench.deliver(uncertain(bench, key="before"))
    event = bench.ledger.event(uncertain(bench, key="after"))
    assert bench.client is not None
    reconciler = Reconciler(bench.ledger, bench.redis, bench.client)

    def look(age: int) -> Look | None:
        kept = json.loads(bench.redis.hget("bridge:listings", LOCATION) or b"")
        text = json.dumps({**kept, "hides": True, "began": bench.ledger.now() - age})
        bench.redis.hset("bridge:listings", LOCATION, text)
        return reconciler.look(event, LOCATION, not_before=0)

    at_once, soon = look(0), look(5000)

    assert at_once is not None
    assert "does not show" in at_once.gap
    assert soon is not None
    assert (soon.gap, len(soon.tickets)) == ("", 1)


def test_a_list_that_does_not_show_our_tickets_proves_nothing(bench: Bench) -> None:
    bench.deliver(bench.accept(key="known"))
    identifier = uncertain(bench, "reset")
    requests.delete(f"{bench.base}/sandbox/tickets", timeout=5)
    bench.grace_passes(identifier)

    event = bench.deliver(identifier)

    assert (event.state, event.code, event.looks) == (State.RETRYING, "unknown", 1)
    assert "does not show the tickets that we made" in event.reason
    assert bench.tickets() == []


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_list_that_is_refused_proves_nothing_and_pauses_nothing(bench: Bench, status: int) -> None:
    identifier = uncertain(bench, "reset")
    bench.fault(kind="status", status=status, methods=["GET"])
    bench.grace_passes(identifier)

    event = bench.deliver(identifier)

    assert (event.state, event.code, event.looks) == (State.RETRYING, "unknown", 1)
    assert "list of the location is refused" in event.reason
    assert bench.ledger.pause() is None
    assert bench.tickets() == []


def test_after_many_looks_that_prove_nothing_a_person_has_to_look(bench: Bench) -> None:
    bench.settings["options"] = Options(schedule=Schedule(base=0.001, floor=0.001, tries=2))
    identifier = uncertain(bench, "reset")
    bench.fault(kind="status", status=400, methods=["GET"])

    states = [bench.deliver(identifier).state for _ in range(2)]

    event = bench.ledger.event(identifier)
    assert states == [State.RETRYING, State.DEAD]
    assert (event.code, event.look_after > 0) == ("unknown", True)
    assert f"Look for {event.marker}" in event.reason


def test_credentials_that_are_refused_in_a_look_pause_delivery(bench: Bench) -> None:
    identifier = uncertain(bench, "reset")
    bench.fault(kind="status", status=401, methods=["GET"])

    event = bench.deliver(identifier)

    pause = bench.ledger.pause()
    assert (event.state, event.code) == (State.RETRYING, "credentials")
    assert event.look_after > 0
    assert pause is not None
    assert pause.kind == "credentials"


def test_a_look_that_fails_is_made_again_and_counts_no_try(bench: Bench) -> None:
    identifier = uncertain(bench, "reset")
    tries = bench.ledger.event(identifier).tries
    bench.fault(kind="status", status=502, methods=["GET"])

    event = bench.deliver(identifier)

    assert (event.state, event.code, event.tries, event.looks) == (State.RETRYING, "unknown", tries, 0)
    assert bench.tickets() == []


def test_retry_after_of_a_look_holds_everybody_back(bench: Bench) -> None:
    identifier = uncertain(bench, "reset")
    bench.fault(kind="status", status=429, retry_after=2, methods=["GET"])

    bench.deliver(identifier)

    with pytest.raises(LimiterBusyError) as caught:
        Limiter(bench.redis, rate=1000, max_wait=0.001).call()
    assert 1 < (caught.value.retry_after or 0) <= 2


class Reads(Reconciler):
    """A reconciler whose look ends like this."""

    def __init__(self, end: Callable[[], Look | None]) -> None:
        self._end = end

    def look(self, event: Event, location: str, *, not_before: int, patience: float = 0) -> Look | None:
        del event, location, not_before, patience
        return self._end()


def ends(error: BaseException | None) -> Callable[[], Look | None]:
    def end() -> Look | None:
        if error is not None:
            raise error
        return None

    return end


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (None, "a ticket may exist or not"),
        (RedisConnectionError(), "a ticket may exist or not"),
        (JobTimeoutException(), "took too long"),
        (LimiterBusyError("held back", status=None, retry_after=3), "held back"),
    ],
    ids=["somebody else reads", "redis away", "job time-out", "limiter"],
)
def test_a_look_that_does_not_come_to_its_end_sends_nothing(
    bench: Bench, error: BaseException | None, why: str
) -> None:
    identifier = uncertain(bench, "reset")
    bench.settings["reconciler"] = Reads(ends(error))
    bench.grace_passes(identifier)

    event = bench.deliver(identifier)

    assert (event.state, event.code) == (State.RETRYING, "unknown")
    assert why in event.reason
    assert requests_of(bench, "POST") == 1


def test_only_one_worker_reads_a_list_at_a_time(bench: Bench) -> None:
    identifier = uncertain(bench)
    with bench.redis.lock(f"bridge:listing-lock:{LOCATION}", timeout=60):
        waits = bench.deliver(identifier)

    assert (waits.state, waits.code) == (State.RETRYING, "unknown")
    assert requests_of(bench, "GET") == 0
    assert bench.deliver(identifier).state is State.DELIVERED


def test_who_waited_for_the_list_reads_what_the_other_read(bench: Bench) -> None:
    identifier = uncertain(bench)
    bench.deliverer()
    assert bench.client is not None
    event, client = bench.ledger.event(identifier), bench.client

    class Late(Reconciler):
        """Finds no list at first: the other worker is about to have read it."""

        waited = False

        def _shared(self, event: Event, location: str, not_before: int) -> Look | None:
            if not self.waited:
                self.waited = True
                Reconciler(bench.ledger, bench.redis, client).look(event, location, not_before=not_before)
                return None
            return super()._shared(event, location, not_before)

    look = Late(bench.ledger, bench.redis, client).look(event, LOCATION, not_before=0, patience=1)

    assert look is not None
    assert len(look.tickets) == 1
    assert requests_of(bench, "GET") == 1


@pytest.mark.parametrize("known", [True, False], ids=["a ticket of ours is known", "none is"])
def test_the_list_is_read_back_to_before_the_attempt_page_by_page(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, *, known: bool
) -> None:
    if known:
        bench.deliver(bench.accept(key="known"))
    identifier = uncertain(bench)
    for number in range(5):
        bench.deliver(bench.accept(key=str(number)))
    small_pages(monkeypatch)

    event = bench.deliver(identifier)

    assert (event.state, event.code) == (State.DELIVERED, "found")
    # Six newer tickets and the event's own, two a page; and the known one, or the end of the list.
    assert requests_of(bench, "GET") in (3, 4)


def test_the_list_is_read_no_further_back_than_needed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(6):
        bench.deliver(bench.accept(key=f"older {number}"))
    identifier = uncertain(bench)
    # A member's own ticket bears no marker.
    assert bench.client is not None
    bench.client.create_ticket({"locationRef": LOCATION, "type": "other", "text": "Cold here"})
    small_pages(monkeypatch)

    assert bench.deliver(identifier).code == "found"
    assert requests_of(bench, "GET") == 2


def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = SpacebringClient.list_tickets

    def two(self: SpacebringClient, location: str, *, page: str | None = None) -> object:
        return whole(self, location, page=page, limit=2)

    monkeypatch.setattr(SpacebringClient, "list_tickets", two)


def test_a_list_that_cannot_be_read_back_far_enough_proves_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    identifier = uncertain(bench, "reset")
    for number in range(5):
        bench.deliver(bench.accept(key=str(number)))
    small_pages(monkeypatch)
    bench.deliverer()
    assert bench.client is not None
    bench.settings["reconciler"] = Reconciler(bench.ledger, bench.redis, bench.client, max_pages=2)
    bench.grace_passes(identifier)

    event = bench.deliver(identifier)

    assert (event.state, event.code) == (State.RETRYING, "unknown")
    assert "could not be read back to the attempt" in event.reason


def test_a_list_whose_pages_repeat_proves_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    identifier = uncertain(bench, "reset")
    monkeypatch.setattr(
        "workers.spacebring.client.SpacebringClient.list_tickets",
        lambda _self, _location, **_: TicketPage([], "again"),
    )
    bench.grace_passes(identifier)

    assert "could not be read back" in bench.deliver(identifier).reason


def test_an_old_list_serves_when_it_goes_back_by_time(bench: Bench) -> None:
    identifier = uncertain(bench)
    redis: Any = bench.redis
    # The attempt was long after every ticket that the list shows.
    redis.hset(f"bridge:event:{identifier}", "look_from", bench.ledger.now() + 2 * 24 * 3_600_000)

    assert bench.deliver(identifier).code == "found"


def test_the_first_attempt_after_the_server_was_replaced_is_looked_for(bench: Bench) -> None:
    lost, fresh = bench.accept(key="lost"), bench.accept(key="fresh")
    redis: Any = bench.redis
    redis.hincrby("bridge:epoch", "number", 1)
    redis.hset("bridge:epoch", "at", bench.ledger.now())
    # One had been sent, which the server that came back does not know.
    bench.deliverer()
    assert bench.client is not None
    marker = bench.ledger.event(lost).marker
    bench.client.create_ticket({"locationRef": LOCATION, "type": "other", "text": f"Cold\nRef: {marker}"})

    found = bench.deliver(lost)
    first = bench.deliver(fresh)
    bench.grace_passes(fresh)
    second = bench.deliver(fresh)

    assert (found.state, found.code, found.ticket_number) == (State.DELIVERED, "found", 1)
    assert first.attempts == 0
    assert second.state is State.DELIVERED
    assert len(bench.tickets()) == 2


def test_a_begin_that_nobody_confirms_sends_nothing_and_does_not_count(bench: Bench) -> None:
    identifier = bench.accept()
    # No append-only file: the server cannot confirm anything.
    bench.ledger.durability = Durability(bench.redis, "fsync")

    event = bench.deliver(identifier)

    assert (event.state, event.tries, event.look_after) == (State.QUEUED, 0, 0)
    assert [(one.outcome, one.error) for one in bench.ledger.attempts(identifier)] == [
        ("not sent", "The ledger did not confirm in time that this is safe (fsync)")
    ]
    assert bench.tickets() == []
    bench.ledger.durability = Durability(bench.redis)
    assert bench.deliver(identifier).state is State.DELIVERED


def test_a_worker_that_stops_hands_back_an_uncertain_event_as_it_is(bench: Bench) -> None:
    identifier = uncertain(bench, "reset")
    bench.grace_passes(identifier)
    bench.settings["stopping"] = lambda: True

    event = bench.deliver(identifier)

    assert (event.state, event.code) == (State.RETRYING, "unknown")
    assert event.look_after > 0


class Overtaken(Ledger):
    """The real ledger, on which another worker takes the event over during the call."""

    def record(self, claim: Claim, outcome: Outcome, *, nonce: str = "") -> bool:
        redis: Any = self._redis
        redis.hincrby(f"bridge:event:{claim.event.id}", "token", 1)
        return super().record(claim, outcome, nonce=nonce)


def test_a_ticket_of_a_worker_that_lost_the_event_is_reported(bench: Bench) -> None:
    bench.ledger.__class__ = Overtaken
    identifier = bench.accept()

    bench.deliver(identifier)

    assert bench.ledger.watched() == [identifier]


def test_what_was_refused_by_a_worker_that_lost_the_event_needs_no_report(bench: Bench) -> None:
    bench.ledger.__class__ = Overtaken
    identifier = bench.accept()
    bench.fault(kind="status", status=400)

    bench.deliver(identifier)

    assert bench.ledger.watched() == []


def test_an_outage_does_not_use_up_the_tries_of_its_probes(bench: Bench) -> None:
    bench.settings["options"] = Options(outage_after=1, schedule=Schedule(base=0.001, floor=0.001, tries=2))
    bench.fault(kind="status", status=502, methods=["*"])
    identifier = bench.accept()
    bench.deliver(identifier)

    states = []
    for _ in range(4):
        redis: Any = bench.redis
        redis.hset("bridge:pause", "until", 0)
        bench.grace_passes(identifier)
        bench.ledger.take(1, cap=10)
        bench.deliverer().deliver(identifier)
        states.append(bench.ledger.event(identifier).state)

    assert states == [State.RETRYING] * 4


def test_a_location_that_is_refused_stays_paused_when_another_takes_a_ticket(bench: Bench) -> None:
    bench.fault(kind="status", status=403, location=LOCATION)
    refused, waiting, elsewhere = (
        bench.accept(key=key, channel=channel)
        for key, channel in (("1", "web"), ("2", "web"), ("3", "north"))
    )

    bench.deliver(refused)
    everything = bench.ledger.pause()
    delivered = bench.deliver(elsewhere)
    held = bench.deliver(waiting)

    assert everything is not None
    assert delivered.state is State.DELIVERED
    assert bench.ledger.pause() is None
    assert list(bench.ledger.closed()) == [LOCATION]
    assert (held.state, held.code, held.attempts) == (State.RETRYING, "credentials", 0)
    assert "delivery to its location is paused" in held.reason


def test_when_the_location_takes_tickets_again_all_that_waited_are_brought_forward(bench: Bench) -> None:
    bench.fault(kind="status", status=403, location=LOCATION)
    prober, waiting = bench.accept(key="1"), bench.accept(key="2")
    bench.deliver(prober)
    bench.deliver(bench.accept(key="3", channel="north"))
    bench.deliver(waiting)
    bench.fault()
    bench.location_may_be_tried()

    delivered = bench.deliver(prober)

    due = bench.ledger.event(waiting).due
    assert delivered.state is State.DELIVERED
    assert bench.ledger.closed() == {}
    assert due is not None
    assert due.timestamp() * 1000 <= bench.ledger.now()
    assert bench.deliver(waiting).state is State.DELIVERED


def test_an_unused_location_is_not_paused(bench: Bench) -> None:
    bench.deliver(bench.accept(FORM, channel="north"))

    assert bench.tickets()[0]["locationRef"] == ELSEWHERE
    assert bench.ledger.closed() == {}


def test_a_look_up_that_outlasts_the_job_is_tried_again(bench: Bench) -> None:
    def find(_location: str, _email: str) -> str | None:
        raise JobTimeoutException

    bench.settings["find_requester"] = find

    event = bench.deliver(bench.accept())

    assert (event.state, event.lookups_failed) == (State.RETRYING, 1)


def test_retry_after_is_obeyed_only_if_redis_is_there(bench: Bench) -> None:
    class Away(Limiter):
        """The real limiter, whose Redis is gone after the call."""

        def pause(self, seconds: float) -> None:
            del seconds
            raise RedisConnectionError

    bench.settings["limiter"] = Away(bench.redis, rate=1000)
    bench.fault(kind="status", status=503, retry_after=2)

    event = bench.deliver(bench.accept())

    assert (event.state, event.code) == (State.RETRYING, "unknown")


def test_a_location_that_opens_while_an_event_is_told_that_it_is_closed_lets_it_go_on(bench: Bench) -> None:
    bench.fault(kind="status", status=403, location=LOCATION)
    bench.settings["limiter"] = Limiter(bench.redis, rate=1000, workers=lambda: 4)
    prober, late = bench.accept(key="1"), bench.accept(key="2")
    bench.deliver(prober)
    bench.redis.delete("bridge:pause")
    bench.fault()

    class Slow(Ledger):
        """The real ledger, on which the prober is delivered while this worker is about to record."""

        def begin(self, claim: Claim, *draft: Any, absent_at: int = 0) -> int | Closed:  # noqa: ANN401
            answer = super().begin(claim, *draft, absent_at=absent_at)
            if claim.event.id == late:
                self.__class__ = Ledger  # type: ignore[assignment]
                bench.location_may_be_tried()
                bench.deliver(prober)
            return answer

    bench.ledger.__class__ = Slow

    bench.deliver(late)

    due = bench.ledger.event(late).due
    assert bench.ledger.closed() == {}
    assert due is not None
    assert due.timestamp() * 1000 <= bench.ledger.now()


@pytest.mark.parametrize("end", ["found", "discarded"])
def test_when_the_prober_ends_another_that_waits_takes_its_place(bench: Bench, end: str) -> None:
    bench.fault(kind="status", status=403, location=LOCATION)
    prober, waiting = bench.accept(key="1"), bench.accept(key="2")
    bench.deliver(prober)
    bench.redis.delete("bridge:pause")
    bench.deliver(waiting)
    bench.fault(kind="error_after_commit")

    if end == "found":
        bench.location_may_be_tried()
        bench.deliver(prober)
        bench.deliver(prober)
    else:
        bench.ledger.operate(prober, "discard", "ada")

    due = bench.ledger.event(waiting).due
    assert due is not None
    assert due.timestamp() * 1000 <= bench.ledger.now()


def test_members_that_cannot_be_looked_up_do_not_pause_delivery(bench: Bench) -> None:
    def find(_location: str, _email: str) -> str | None:
        raise TemporaryError("502: bad gateway", status=502, retry_after=None)

    bench.settings["find_requester"] = find
    bench.settings["options"] = Options(outage_after=1, schedule=Schedule(base=0.001, floor=0.001))

    event = bench.deliver(bench.accept())

    assert (event.state, event.lookups_failed) == (State.RETRYING, 1)
    assert bench.ledger.pause() is None


@pytest.mark.parametrize("is_uncertain", [True, False], ids=["uncertain", "not sent yet"])
def test_a_body_that_cannot_be_read_now_is_no_dead_letter(bench: Bench, *, is_uncertain: bool) -> None:
    class Unmounted(Ledger):
        """The real ledger, whose directory of bodies is away."""

        def request(self, event: Event) -> InboundRequest | None:
            del event
            raise Unavailable("The directory for large bodies cannot be read: Input/output error")

    identifier = bench.accept()
    if is_uncertain:
        redis: Any = bench.redis
        redis.hincrby("bridge:epoch", "number", 1)
    bench.ledger.__class__ = Unmounted

    event = bench.deliver(identifier)

    assert (event.state, event.look_after > 0) == (State.RETRYING, is_uncertain)
    assert "Input/output error" in event.reason


def test_a_list_that_our_credentials_may_not_read_is_waited_for_and_alarmed(bench: Bench) -> None:
    bench.settings["options"] = Options(schedule=Schedule(base=0.001, floor=0.001, tries=2))
    identifier = uncertain(bench, "reset")
    bench.fault(kind="status", status=403, methods=["GET"])

    states = {bench.deliver(identifier).state for _ in range(3)}

    assert states == {State.RETRYING}
    assert bench.ledger.stats().blind == 1
    assert "Give the account the Support permission" in bench.ledger.blind_reason()
    bench.fault()
    bench.grace_passes(identifier)
    assert bench.deliver(identifier).state is State.DELIVERED
    assert bench.ledger.blind_reason() == ""


def test_a_worker_that_lost_the_event_and_its_answer_reports_that_too(bench: Bench) -> None:
    bench.ledger.__class__ = Overtaken
    identifier = bench.accept()
    bench.fault(kind="error_after_commit")

    bench.deliver(identifier)

    assert bench.ledger.watched() == [identifier]


def test_a_listing_that_is_too_short_for_one_event_serves_another(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = uncertain(bench, "reset", key="old")
    for number in range(5):
        bench.deliver(bench.accept(key=str(number)))
    fresh = uncertain(bench, key="fresh")
    small_pages(monkeypatch)
    bench.deliverer()
    assert bench.client is not None
    bench.settings["reconciler"] = Reconciler(bench.ledger, bench.redis, bench.client, max_pages=2)

    assert "could not be read back" in bench.deliver(old).reason
    read = requests_of(bench, "GET")
    assert bench.deliver(fresh).code == "found"
    assert requests_of(bench, "GET") == read
