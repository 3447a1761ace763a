"""A delivery from claim to record, against the sandbox over HTTP and a real ledger."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from config.channels import load_config
from service.core.errors import StaleToken
from service.core.ledger import Event, Ledger, State, Timings
from service.core.wiring import open_ledger
from tests.workers.bench import ANN, CONFIG, FORM, LOCATION, Bench
from workers.delivery import Deliverer, deliver, install
from workers.schedule import Schedule
from workers.spacebring.errors import CredentialsError, PermanentError, TemporaryError
from workers.spacebring.limiter import Limiter, LimiterBusyError
from workers.verdicts import Options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from service.core.ledger import Claim, Closed, Outcome
    from service.core.request import InboundRequest
    from workers.spacebring.limiter import Slot

# A mail nested too deep to be read.
NESTED = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(60))


def test_an_event_becomes_a_ticket_with_its_marker(bench: Bench) -> None:
    event = bench.deliver(bench.accept())

    (ticket,) = bench.tickets()
    assert (event.state, event.ticket_number, event.ticket_id) == (State.DELIVERED, 1, ticket["id"])
    assert ticket["text"].endswith(f"Ref: {event.marker}")
    assert [attempt.outcome for attempt in bench.ledger.attempts(event.id)] == ["delivered"]


def test_a_job_that_comes_too_late_does_nothing(bench: Bench) -> None:
    event = bench.deliver(bench.accept())

    bench.deliverer().deliver(event.id)

    assert len(bench.tickets()) == 1


def test_a_refusal_is_a_dead_letter_with_the_apis_own_message(bench: Bench) -> None:
    bench.fault(kind="status", status=400)

    event = bench.deliver(bench.accept())

    assert (event.state, event.code) == (State.DEAD, "refused")
    assert "status 400" in event.reason


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "error_after_commit"},
        {"kind": "wrong_json"},
        {"kind": "reset_after_commit"},
        {"kind": "timeout_after_commit", "seconds": 3},
        {"kind": "status", "status": 408},
    ],
    ids=lambda fault: fault["kind"],
)
def test_what_may_have_made_a_ticket_is_not_sent_again_but_looked_for(
    bench: Bench, fault: dict[str, object]
) -> None:
    bench.fault(**fault)

    event = bench.deliver(bench.accept())

    assert (event.state, event.code) == (State.RETRYING, "unknown")
    assert event.look_after > 0
    assert len(bench.tickets()) <= 1


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_pause_delivery_and_count_no_try(bench: Bench, status: int) -> None:
    bench.fault(kind="status", status=status)
    identifier = bench.accept()

    refused = bench.deliver(identifier)
    pause = bench.ledger.pause()
    bench.fault()
    bench.location_may_be_tried()
    delivered = bench.deliver(identifier)

    assert (refused.state, refused.code, refused.tries) == (State.RETRYING, "credentials", 0)
    assert pause is not None
    assert pause.kind == "credentials"
    assert delivered.state is State.DELIVERED
    assert bench.ledger.pause() is None


def test_an_outage_pauses_after_five_failures_and_ends_with_the_first_ticket(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.delivery._RESUMED_AT_ONCE", 1)
    bench.fault(kind="status", status=502, methods=["*"])
    events = [bench.accept(key=str(number)) for number in range(5)]

    states = [bench.deliver(event).state for event in events]
    pause = bench.ledger.pause()
    bench.fault()
    bench.grace_passes(events[0])
    bench.deliver(events[0])

    assert set(states) == {State.RETRYING}
    assert pause is not None
    assert pause.kind == "outage"
    assert bench.ledger.pause() is None


def test_a_rate_limit_holds_everybody_back_and_counts_no_try(bench: Bench) -> None:
    bench.fault(kind="status", status=429, retry_after=2)

    event = bench.deliver(bench.accept())

    assert (event.state, event.tries) == (State.RETRYING, 0)
    with pytest.raises(LimiterBusyError) as caught:
        Limiter(bench.redis, rate=1000, max_wait=0.001).call()
    assert 1 < (caught.value.retry_after or 0) <= 2


def test_a_limiter_that_is_held_back_long_begins_nothing(bench: Bench) -> None:
    Limiter(bench.redis, rate=1000).pause(60)

    event = bench.deliver(bench.accept())

    assert (event.state, event.attempts) == (State.RETRYING, 0)


def test_without_a_place_nothing_is_begun_unless_a_person_waits(bench: Bench) -> None:
    bench.settings["limiter"] = Limiter(bench.redis, rate=1000, place_wait=0.01)

    with Limiter(bench.redis, rate=1000).call():
        held_back = bench.deliver(bench.accept())
        person = bench.deliver(bench.accept(key="person", lane="person"))

    assert (held_back.state, held_back.tries) == (State.RETRYING, 0)
    assert bench.ledger.attempts(held_back.id) == []
    assert person.state is State.DELIVERED


def test_calls_that_hang_leave_half_of_the_workers_to_the_rest(bench: Bench) -> None:
    def limiter() -> Limiter:
        return Limiter(bench.redis, rate=1000, place_wait=0.01, workers=lambda: 4)

    reply = json.dumps(
        {
            "From": "ann@example.com",
            "TextBody": "Away",
            "Headers": [{"Name": "Auto-Submitted", "Value": "auto-replied"}],
        }
    ).encode()
    bench.settings["limiter"] = limiter()
    with socket.create_server(("127.0.0.1", 0)) as silent, ExitStack() as ending:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        for number in range(2):
            event = bench.accept(key=f"hangs {number}")
            bench.ledger.take(1, cap=10)
            hanging = replace(bench, base=url, timeout=60, settings={"limiter": limiter()}).deliverer()
            worker = threading.Thread(target=hanging.deliver, args=[event])
            worker.start()
            ending.callback(worker.join)
            ending.enter_context(silent.accept()[0])

        no_place = bench.deliver(bench.accept())
        ignored = bench.deliver(bench.accept(reply, "mail", "application/json", key="reply"))
        person = bench.deliver(bench.accept(key="person", lane="person"))

    assert (no_place.state, no_place.attempts) == (State.RETRYING, 0)
    assert ignored.state is State.IGNORED
    assert person.state is State.DELIVERED
    assert bench.deliver(no_place.id).state is State.DELIVERED


def test_a_pause_that_begins_just_before_the_first_byte_is_obeyed(bench: Bench) -> None:
    class Pausing(Ledger):
        def begin(
            self,
            claim: Claim,
            draft: Mapping[str, str],
            summary: Mapping[str, str],
            *,
            absent_at: int = 0,
        ) -> int | Closed:
            Limiter(bench.redis, rate=1000).pause(60)
            return super().begin(claim, draft, summary, absent_at=absent_at)

    bench.ledger.__class__ = Pausing

    event = bench.deliver(bench.accept())

    assert (event.state, event.tries, bench.tickets()) == (State.RETRYING, 0, [])
    assert [attempt.outcome for attempt in bench.ledger.attempts(event.id)] == ["not sent"]


def test_after_the_last_try_it_is_a_dead_letter(bench: Bench) -> None:
    bench.settings["options"] = Options(schedule=Schedule(tries=1))
    bench.fault(kind="reset")
    identifier = bench.accept()
    bench.deliver(identifier)
    bench.fault()
    bench.grace_passes(identifier)

    event = bench.deliver(identifier)

    assert (event.state, event.code) == (State.DEAD, "attempts")
    assert bench.tickets() == []


def test_a_refused_connection_is_tried_until_the_last_try(bench: Bench) -> None:
    bench.settings["options"] = Options(schedule=Schedule(tries=1))
    bench.base = "http://127.0.0.1:1"

    event = bench.deliver(bench.accept())

    assert (event.state, event.code) == (State.DEAD, "attempts")


def test_the_member_with_the_senders_address_asks(bench: Bench) -> None:
    bench.settings["find_requester"] = lambda _location, _email: ANN

    bench.deliver(bench.accept())

    assert bench.tickets()[0]["requester"]["email"] == "ann@example.com"


def test_a_requester_that_is_refused_is_left_out(bench: Bench) -> None:
    bench.settings["find_requester"] = lambda _location, _email: LOCATION
    identifier = bench.accept()

    first = bench.deliver(identifier)
    second = bench.deliver(identifier)

    assert (first.state, first.requester_refused) == (State.RETRYING, True)
    assert second.state is State.DELIVERED
    assert "Requester refused" in bench.tickets()[0]["text"]


def failing(error: Exception) -> Callable[[str, str], str | None]:
    def find(_location: str, _email: str) -> str | None:
        raise error

    return find


def test_a_look_up_that_keeps_failing_does_not_keep_the_ticket(bench: Bench) -> None:
    bench.settings["find_requester"] = failing(TemporaryError("away", status=502, retry_after=None))
    identifier = bench.accept()

    states = [bench.deliver(identifier).state for _ in range(4)]

    assert states == [State.RETRYING, State.RETRYING, State.RETRYING, State.DELIVERED]


@pytest.mark.parametrize(
    "error",
    [
        PermanentError("no such location", status=404, retry_after=None),
        CredentialsError("no scope", status=403, retry_after=None),
    ],
    ids=["404", "403"],
)
def test_a_look_up_that_is_not_to_be_had_is_done_without(bench: Bench, error: Exception) -> None:
    bench.settings["find_requester"] = failing(error)

    assert bench.deliver(bench.accept()).state is State.DELIVERED


def test_a_look_up_with_wrong_credentials_pauses(bench: Bench) -> None:
    bench.settings["find_requester"] = failing(CredentialsError("who?", status=401, retry_after=None))

    event = bench.deliver(bench.accept())

    assert (event.state, event.code, event.lookups_failed) == (State.RETRYING, "credentials", 0)


def test_spam_makes_no_ticket_unless_a_person_replays_it(bench: Bench) -> None:
    identifier = bench.accept(FORM + b"&_gotcha=x")

    ignored = bench.deliver(identifier)
    bench.ledger.operate(identifier, "replay", "ann")
    delivered = bench.deliver(identifier)

    assert (ignored.state, ignored.reason) == (State.IGNORED, "spam: honeypot")
    assert delivered.state is State.DELIVERED


def test_one_mail_that_came_twice_makes_one_ticket(bench: Bench) -> None:
    def mail(identifier: str) -> bytes:
        headers = [{"Name": "Message-ID", "Value": "<one@example.com>"}]
        body = {"MessageID": identifier, "From": "ann@example.com", "TextBody": "Cold", "Headers": headers}
        return json.dumps(body).encode()

    first = bench.deliver(bench.accept(mail("1"), "mail", "application/json", "1"))
    second = bench.deliver(bench.accept(mail("2"), "mail", "application/json", "2"))

    assert first.state is State.DELIVERED
    assert (second.state, second.code) == (State.IGNORED, "duplicate")
    assert first.id in second.reason


@pytest.mark.parametrize(
    ("body", "channel", "code"),
    [(b"{", "mail", "unreadable"), (b"{}", "gone", "unmappable"), (b'{"From": "a"}', "mail", "unmappable")],
)
def test_what_cannot_be_read_or_mapped_is_a_dead_letter(
    bench: Bench, body: bytes, channel: str, code: str
) -> None:
    event = bench.deliver(bench.accept(body, channel, "application/json"))

    assert (event.state, event.code) == (State.DEAD, code)


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({"RawEmail": f"From: Ann <ann@example.com>\nSubject: Door\n{NESTED}"}, "unreadable"),
        ({"From": "Ann <ann@example.com>", "Subject": "Door"}, "unmappable"),
    ],
)
def test_a_dead_letter_says_who_wrote_and_about_what(bench: Bench, told: dict[str, str], code: str) -> None:
    bench.settings["options"] = Options(text_limit=1)

    event = bench.deliver(bench.accept(json.dumps(told).encode(), "mail", "application/json"))

    assert (event.state, event.code) == (State.DEAD, code)
    assert (event.name, event.email, event.subject) == ("Ann", "ann@example.com", "Door")


def test_a_body_that_is_gone_is_a_dead_letter(bench: Bench) -> None:
    identifier = bench.accept()
    bench.redis.delete(f"bridge:request:{identifier}")

    assert bench.deliver(identifier).code == "unreadable"


def test_whatever_a_parser_raises_the_event_is_kept(bench: Bench) -> None:
    bench.settings["find_requester"] = failing(ZeroDivisionError())

    event = bench.deliver(bench.accept())

    assert (event.state, event.reason) == (State.DEAD, "could not be read: ZeroDivisionError")


def test_an_attempt_that_was_begun_and_never_recorded_is_looked_for(bench: Bench) -> None:
    identifier = bench.accept()
    bench.ledger.take(1, cap=10)
    claim = bench.ledger.claim(identifier, "w0")
    assert claim is not None
    bench.ledger.begin(claim, {"locationRef": LOCATION, "text": "t", "type": "other"}, {})

    event = bench.deliver(identifier)

    assert (event.state, event.code) == (State.RETRYING, "unknown")
    assert bench.tickets() == []


@pytest.mark.parametrize("asked", [1, 2])
def test_a_worker_that_stops_hands_back_what_it_has_not_begun(bench: Bench, asked: int) -> None:
    answers = iter([False, True][2 - asked :])
    bench.settings["stopping"] = lambda: next(answers)

    event = bench.deliver(bench.accept())

    assert (event.state, event.attempts) == (State.QUEUED, 0)


def test_a_lease_that_is_over_sends_nothing(bench: Bench) -> None:
    ledger = open_ledger(bench.redis, load_config(CONFIG, environ={}), timings=Timings(lease=30, renew=60))
    bench.ledger = ledger
    ended: list[float] = []
    deliverer_of = bench.deliverer

    def late() -> Deliverer:
        deliverer = deliverer_of()
        assert bench.client is not None
        create = bench.client.create_ticket

        def create_ticket(draft: dict[str, str], *, last_check: Callable[[], None]) -> object:
            ended.append(1)
            raise StaleToken("The lease is over: nothing was sent")

        assert create is not None
        object.__setattr__(bench.client, "create_ticket", create_ticket)
        return deliverer

    bench.deliverer = late  # type: ignore[method-assign] # the lease ends just then

    event = bench.deliver(bench.accept())

    assert (event.state, event.attempts, ended) == (State.QUEUED, 1, [1])
    assert bench.ledger.attempts(event.id)[0].outcome == "not sent"


class Flaky(Ledger):
    """The real ledger, whose answers get lost so many times."""

    lost = 0
    method = "record"

    def record(self, claim: Claim, outcome: Outcome, *, nonce: str = "") -> bool:
        if self.method == "record" and self.lost:
            self.lost -= 1
            raise RedisConnectionError
        return super().record(claim, outcome, nonce=nonce)

    def request(self, event: Event) -> InboundRequest | None:
        if self.method == "request":
            raise RedisConnectionError
        return super().request(event)


def flaky(bench: Bench, method: str, lost: int) -> None:
    bench.ledger.__class__ = Flaky
    assert isinstance(bench.ledger, Flaky)
    bench.ledger.method, bench.ledger.lost = method, lost


@pytest.mark.parametrize("lost", [2, 6])
def test_a_record_is_repeated_while_redis_is_away(bench: Bench, lost: int) -> None:
    flaky(bench, "record", lost)

    assert bench.deliver(bench.accept()).state is State.DELIVERED
    assert len(bench.slept) == lost


def test_redis_that_is_away_while_reading_hands_the_event_back(bench: Bench) -> None:
    flaky(bench, "request", 0)

    assert bench.deliver(bench.accept()).state is State.QUEUED


def test_a_limiter_without_redis_begins_nothing(bench: Bench) -> None:
    class Away(Limiter):
        def call(self, *, with_place: bool = True) -> Slot:
            raise RedisConnectionError

    bench.settings["limiter"] = Away(bench.redis, rate=10)

    event = bench.deliver(bench.accept())

    assert (event.state, event.attempts) == (State.QUEUED, 0)


def test_an_event_that_somebody_else_finished_is_let_go(bench: Bench) -> None:
    identifier = bench.accept()

    def steal(_location: str, _email: str) -> None:
        redis: Any = bench.redis
        redis.hincrby(f"bridge:event:{identifier}", "token", 1)

    bench.settings["find_requester"] = steal

    assert bench.deliver(identifier).state is State.DELIVERING
    assert bench.tickets() == []


def test_a_defect_after_the_begin_is_unknown(bench: Bench) -> None:
    event_before = bench.accept()
    deliverer = bench.deliverer()
    assert bench.client is not None
    bench.client.close()
    object.__setattr__(deliverer, "_client", None)
    bench.ledger.take(1, cap=10)

    deliverer.deliver(event_before)

    event = bench.ledger.event(event_before)
    assert (event.code, event.reason.rpartition(" ")[2]) == ("unknown", "AttributeError")


def test_the_job_delivers_with_what_was_installed(bench: Bench) -> None:
    identifier = bench.accept()
    bench.ledger.take(1, cap=10)
    install(bench.deliverer())

    deliver(identifier)

    assert bench.ledger.event(identifier).state is State.DELIVERED


def test_a_look_up_that_our_own_limiter_holds_back_is_not_a_failed_one(bench: Bench) -> None:
    bench.settings["find_requester"] = failing(LimiterBusyError("held back", status=None, retry_after=3))

    event = bench.deliver(bench.accept())

    assert (event.state, event.lookups_failed, event.tries) == (State.RETRYING, 0, 0)
    assert bench.ledger.attempts(event.id) == []


class Stolen(Ledger):
    """The real ledger, on which another worker takes the event just then."""

    def request(self, event: Event) -> InboundRequest | None:
        self._redis.hincrby(f"bridge:event:{event.id}", "token", 1)
        return super().request(event)


def test_keys_of_an_event_that_was_taken_over_are_not_claimed(bench: Bench) -> None:
    headers = [{"Name": "Message-ID", "Value": "<one@example.com>"}]
    body = json.dumps({"From": "ann@example.com", "TextBody": "Cold", "Headers": headers}).encode()
    bench.ledger.__class__ = Stolen

    assert bench.deliver(bench.accept(body, "mail", "application/json")).state is State.DELIVERING
    assert bench.tickets() == []
