"""Whoever wrote is told what became of it, once, and never to the harm of a delivery."""

from __future__ import annotations

import json
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from structlog.testing import capture_logs

from sandbox.options import DEFAULT_NETWORK_ID
from service.core.ledger import Outcome, State
from service.core.ledger.receipts import Receipts
from tests.workers.bench import CONFIG
from tests.workers.desk import post, teller
from tests.workers.processes import WITHIN, Process
from workers.schedule import Schedule
from workers.verdicts import Options

if TYPE_CHECKING:
    from service.core.ledger import Event
    from tests.conftest import Valkey
    from tests.slack_api import SlackStandIn
    from tests.workers.bench import Bench

COMMAND = (
    "command=%2Fticket&text=the+door+is+stuck&team_id=T1&channel_id=C1&user_id=U1&user_name=ann"
    "&trigger_id=13.1&response_url={base}/respond"
)
TS = "1795478390.000100"
REACTION = {
    "type": "event_callback",
    "team_id": "T1",
    "event_id": "Ev1",
    "event": {
        "type": "reaction_added",
        "user": "U3",
        "reaction": "ticket",
        "item": {"type": "message", "channel": "C1", "ts": TS},
    },
}


def commanded(bench: Bench, slack: SlackStandIn) -> str:
    answer = post(bench, "application/x-www-form-urlencoded", COMMAND.format(base=slack.base).encode())
    return answer.headers["X-Bridge-Event"]


def reacted(bench: Bench) -> str:
    return post(bench, "application/json", json.dumps(REACTION).encode()).headers["X-Bridge-Event"]


def owed(bench: Bench) -> dict[str, float]:
    """Give each receipt that is owed, and in how many seconds it is due."""
    redis: Any = bench.redis
    found = redis.zrange("bridge:receipts", 0, -1, withscores=True)
    return {member.decode(): (due - bench.ledger.now()) / 1000 for member, due in found}


def time_passes(bench: Bench) -> None:
    """Let what is owed be due."""
    redis: Any = bench.redis
    for member in redis.zrange("bridge:receipts", 0, -1):
        redis.zadd("bridge:receipts", {member: 0})


def said(slack: SlackStandIn) -> list[str]:
    return [told["text"] for told in slack.told()]


def test_a_command_makes_a_ticket_and_one_reply_with_its_number(bench: Bench, slack: SlackStandIn) -> None:
    event = bench.deliver(commanded(bench, slack))

    assert teller(bench).step()
    assert not teller(bench).step()
    assert event.state is State.DELIVERED
    assert event.email == "ann@example.com"
    assert [f"#{event.ticket_number}" in text for text in said(slack)] == [True]
    assert bench.tickets()[0]["number"] == event.ticket_number


def test_nothing_in_the_ledger_can_write_to_the_person(bench: Bench, slack: SlackStandIn) -> None:
    event = bench.ledger.event(commanded(bench, slack))

    request = bench.ledger.request(event)

    assert request is not None
    assert b"%2Frespond" not in request.body
    assert b"/respond" not in request.body


def test_a_reaction_makes_a_ticket_of_its_message_and_a_reply_in_its_thread(
    bench: Bench, slack: SlackStandIn
) -> None:
    slack.messages = [{"ts": TS, "user": "U1", "text": "No hot water"}]

    event = bench.deliver(reacted(bench))
    again = post(bench, "application/json", json.dumps({**REACTION, "event_id": "Ev2"}).encode())
    teller(bench).step()

    assert again.headers["X-Bridge-Status"] == "duplicate"
    assert "No hot water" in bench.tickets()[0]["text"]
    assert [call["thread_ts"] for call in slack.called("chat.postMessage")] == [TS]
    assert event.subject == "No hot water"


def test_a_dead_letter_is_told_and_what_becomes_of_it_later_too(bench: Bench, slack: SlackStandIn) -> None:
    slack.fail("conversations.history", error="not_in_channel")
    event = bench.deliver(reacted(bench))
    teller(bench).step()
    slack.messages = [{"ts": TS, "user": "U1", "text": "No hot water"}]
    bench.ledger.operate(event.id, "replay", by="test")

    delivered = bench.deliver(event.id)
    teller(bench).step()

    assert (event.state, delivered.state) == (State.DEAD, State.DELIVERED)
    first, second = said(slack)
    assert "could not make a ticket" in first
    assert f"#{delivered.ticket_number}" in second


def test_a_message_that_slack_cannot_give_now_is_waited_for(bench: Bench, slack: SlackStandIn) -> None:
    slack.fail("conversations.history", 429, "ratelimited", Retry_After="30")
    slack.fail("conversations.history", 503)
    bench.settings["options"] = Options(schedule=Schedule(base=0.001, floor=0.001, tries=2))

    waiting = bench.deliver(reacted(bench))
    dead = bench.deliver(waiting.id)
    teller(bench).step()

    assert (waiting.state, waiting.code) == (State.RETRYING, "retry")
    assert waiting.due is not None
    assert (waiting.due - waiting.updated).total_seconds() >= 29
    assert (dead.state, dead.code) == (State.DEAD, "attempts")
    assert ["could not make a ticket" in text for text in said(slack)] == [True]
    assert bench.ledger.operate(dead.id, "replay", by="test").vendor_failed == 0


def ended(bench: Bench, slack: SlackStandIn) -> Event:
    return bench.deliver(commanded(bench, slack))


def test_slack_is_asked_again_when_it_said_and_spared_until_then(bench: Bench, slack: SlackStandIn) -> None:
    event = ended(bench, slack)
    slack.fail("respond", 429, Retry_After="300")
    telling = teller(bench)

    telling.step()
    first = owed(bench)
    time_passes(bench)
    telling.step()

    assert len(said(slack)) == 1
    for found in (first, owed(bench)):
        assert found.keys() == {f"{event.id} delivered"}
        assert 290 < found[f"{event.id} delivered"] <= 300
    time_passes(bench)
    # Another process knows of no pause, only of what is due.
    teller(bench).step()
    assert len(said(slack)) == 2
    assert owed(bench) == {}


def test_what_a_dead_process_had_to_tell_comes_due_again(bench: Bench, slack: SlackStandIn) -> None:
    event = ended(bench, slack)

    taken = Receipts(bench.redis).take(60)

    assert taken == (event.id, "delivered")
    assert 50 < owed(bench)[f"{event.id} delivered"] <= 60
    assert not teller(bench).step()
    time_passes(bench)
    assert teller(bench).step()
    assert len(said(slack)) == 1
    assert owed(bench) == {}


@pytest.mark.slow
def test_a_process_that_is_killed_while_it_tells_has_lost_no_receipt(
    bench: Bench, slack: SlackStandIn, valkey: Valkey
) -> None:
    event = ended(bench, slack)
    slack.held["respond"] = threading.Event()
    environment = {
        "REDIS_URL": valkey.url,
        "BRIDGE_CONFIG": CONFIG + bench.channels,
        "LOG_FORMAT": "json",
        "SPACEBRING_URL": bench.base,
        "SPACEBRING_TOKEN": "sandbox-token",
        "SPACEBRING_NETWORK_ID": DEFAULT_NETWORK_ID,
    }
    first = Process("worker", "--role", "dispatcher", environment=environment)
    assert slack.arrived.get(timeout=WITHIN) == "respond"

    first.process.kill()
    first.stop()
    assert owed(bench).keys() == {f"{event.id} delivered"}
    slack.held.pop("respond").set()
    time_passes(bench)
    second = Process("worker", "--role", "dispatcher", environment=environment)
    second.read_until('"event": "told"')

    assert second.stop() == 0
    assert owed(bench) == {}
    assert len(said(slack)) == 2


def test_a_worker_that_dies_once_it_has_recorded_has_lost_no_receipt(
    bench: Bench, slack: SlackStandIn
) -> None:
    event = commanded(bench, slack)
    bench.ledger.take(10, cap=100)
    claim = bench.ledger.claim(event, "w1")
    assert claim is not None

    bench.ledger.record(claim, Outcome(State.DEAD, "out of attempts", "attempts"))

    assert owed(bench).keys() == {f"{event} dead"}


def test_a_poisonous_event_is_told_though_no_worker_lived_to_record_it(
    bench: Bench, slack: SlackStandIn
) -> None:
    event = commanded(bench, slack)
    lane: Any = bench.redis
    for _ in range(4):
        lane.zadd("bridge:due:person", {event: 0})
        bench.ledger.take(10, cap=100)
        bench.ledger.claim(event, "w1")

    teller(bench).step()
    dead = bench.ledger.event(event)
    bench.ledger.operate(event, "replay", by="test")
    delivered = bench.deliver(event)
    teller(bench).step()

    assert (dead.state, dead.code) == (State.DEAD, "poison")
    first, second = said(slack)
    assert "could not make a ticket" in first
    assert f"#{delivered.ticket_number}" in second


def test_whoever_was_told_of_a_dead_letter_is_not_told_of_it_again(bench: Bench, slack: SlackStandIn) -> None:
    event = ""
    for _ in range(2):
        slack.fail("conversations.history", error="not_in_channel")
        event = event or reacted(bench)
        assert bench.deliver(event).state is State.DEAD
        teller(bench).step()
        bench.ledger.operate(event, "replay", by="test")

    assert len(said(slack)) == 1
    assert owed(bench) == {}


def test_slack_that_cannot_be_reached_was_told_nothing_and_is_told_later(
    bench: Bench, slack: SlackStandIn
) -> None:
    event = ended(bench, slack)
    reached = bench.channels
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        bench.channels = reached.replace(slack.base, f"http://127.0.0.1:{silent.getsockname()[1]}")
        redis: Any = bench.redis
        # By then the command's own URL has ended.
        request = bench.ledger.event(event.id).request
        body = redis.hget(f"bridge:request:{request}", "body").replace(b"response_url", b"was")
        redis.hset(f"bridge:request:{request}", "body", body)
        teller(bench).step()

    assert 20 < owed(bench)[f"{event.id} delivered"] <= 30


def test_a_receipt_that_is_of_no_use_any_more_is_given_up(bench: Bench, slack: SlackStandIn) -> None:
    event = ended(bench, slack)
    slack.fail("respond", 429, Retry_After="30")
    redis: Any = bench.redis
    redis.hset(f"bridge:event:{event.id}", "updated", bench.ledger.now() - 25 * 3_600_000)

    teller(bench).step()

    assert len(said(slack)) == 1
    assert owed(bench) == {}


def test_a_receipt_that_slack_may_have_posted_is_not_posted_again(bench: Bench, slack: SlackStandIn) -> None:
    ended(bench, slack)
    slack.fail("respond", 500)

    teller(bench).step()

    assert owed(bench) == {}


def test_a_receipt_that_trips_over_itself_is_not_tried_for_ever(
    bench: Bench, slack: SlackStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trip(*_: object) -> None:
        raise ValueError

    ended(bench, slack)
    telling = teller(bench)
    monkeypatch.setattr(telling._doors["slack"].source, "tell", trip)

    assert telling.step()
    assert owed(bench) == {}


def test_only_where_somebody_can_be_told_is_a_receipt_owed(bench: Bench, slack: SlackStandIn) -> None:
    assert bench.deliver(bench.accept()).state is State.DELIVERED

    assert owed(bench) == {}


def test_redis_away_before_anybody_is_told_puts_it_off(
    bench: Bench, slack: SlackStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise RedisConnectionError

    event = ended(bench, slack)
    telling = teller(bench)
    monkeypatch.setattr(bench.ledger, "request", away)

    with pytest.raises(RedisConnectionError):
        telling.step()
    assert owed(bench).keys() == {f"{event.id} delivered"}


def test_what_is_gone_or_otherwise_by_now_is_not_told(bench: Bench, slack: SlackStandIn) -> None:
    event = ended(bench, slack)
    redis: Any = bench.redis
    redis.zadd("bridge:receipts", {"nothing delivered": 0, f"{event.id} dead": 1})
    redis.zrem("bridge:receipts", f"{event.id} delivered")

    assert [teller(bench).step() for _ in range(3)] == [True, True, False]
    assert said(slack) == []


def test_a_receipt_whose_request_has_given_way_is_not_told_and_the_log_says_so(
    bench: Bench, slack: SlackStandIn
) -> None:
    event = ended(bench, slack)
    redis: Any = bench.redis
    redis.delete(*redis.keys("bridge:request:*"))

    with capture_logs() as logs:
        steps = [teller(bench).step() for _ in range(2)]

    assert steps == [True, False]
    assert said(slack) == []
    assert [(log["log_level"], log["event_id"], log["why"]) for log in logs] == [
        ("warning", event.id, "its request is no longer kept")
    ]


def test_telling_goes_on_while_redis_is_away(
    bench: Bench, slack: SlackStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[object] = [RedisConnectionError(), True, False]

    def step() -> object:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    telling = teller(bench, stops=3)
    monkeypatch.setattr(telling, "step", step)
    thread = telling.start()

    assert thread is not None
    thread.join(5)
    assert bench.slept == [5.0, 1.0]


def test_where_no_source_tells_anybody_there_is_no_thread(bench: Bench) -> None:
    assert teller(bench).start() is None
