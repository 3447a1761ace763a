"""Whoever wrote is told what became of it, once, and never to the harm of a delivery."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from config.channels import load_config
from config.settings import load_settings
from service.app import create_app
from service.core.capture import ORIGIN
from service.core.ledger import Outcome, State
from service.core.request import Headers, InboundRequest
from service.core.wiring import open_doors
from tests.slack_api import SlackStandIn, slack_running
from tests.workers.bench import CONFIG
from workers.receipts import Receipts, Teller
from workers.schedule import Schedule
from workers.verdicts import Options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from werkzeug.test import TestResponse

    from service.core.ledger import Event
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


@pytest.fixture
def slack(bench: Bench) -> Iterator[SlackStandIn]:
    with slack_running() as stand_in:
        bench.channels = f"""
[[channels]]
name = "slack"
source = "slack"
secret = "signing-secret"
api_url = "{stand_in.base}"
api_token = "xoxb"
reaction = "ticket"
"""
        yield stand_in


def post(bench: Bench, kind: str, body: bytes) -> TestResponse:
    config = load_config(CONFIG + bench.channels, environ={})
    app = create_app(load_settings({"BRIDGE_PUBLIC_URL": ORIGIN}), config, bench.redis)
    door = open_doors(config)["slack"]
    request = InboundRequest("POST", f"{ORIGIN}/hooks/slack", Headers.of([("Content-Type", kind)]), body)
    signed = door.source.sign(request, b"signing-secret")
    return app.test_client().post("/hooks/slack", headers=list(signed.headers), data=body)


def commanded(bench: Bench, slack: SlackStandIn) -> str:
    answer = post(bench, "application/x-www-form-urlencoded", COMMAND.format(base=slack.base).encode())
    return answer.headers["X-Bridge-Event"]


def reacted(bench: Bench) -> str:
    return post(bench, "application/json", json.dumps(REACTION).encode()).headers["X-Bridge-Event"]


def teller(bench: Bench, now: float = 2e9, stops: int = 0) -> Teller:
    rounds = iter(range(stops + 1))
    return Teller(
        bench.ledger,
        bench.redis,
        bench.doors(),
        stopping=lambda: next(rounds) >= stops,
        sleep=bench.slept.append,
        clock=lambda: now,
    )


def owed(bench: Bench) -> dict[bytes, float]:
    redis: Any = bench.redis
    return dict(redis.zrange("bridge:receipts", 0, -1, withscores=True))


def said(slack: SlackStandIn) -> list[str]:
    return [
        arguments["text"] for name, arguments, _ in slack.calls if name in {"respond", "chat.postMessage"}
    ]


def test_a_command_makes_a_ticket_and_one_reply_with_its_number(bench: Bench, slack: SlackStandIn) -> None:
    event = bench.deliver(commanded(bench, slack))

    assert teller(bench, now=event.updated.timestamp() + 1).step()
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

    assert (waiting.state, waiting.code) == (State.RETRYING, "retry")
    assert waiting.due is not None
    assert (waiting.due - waiting.updated).total_seconds() >= 29
    assert (dead.state, dead.code) == (State.DEAD, "attempts")
    assert bench.ledger.operate(dead.id, "replay", by="test").vendor_failed == 0


def ended(bench: Bench, slack: SlackStandIn) -> Event:
    return bench.deliver(commanded(bench, slack))


def test_slack_is_asked_again_when_it_said_and_spared_until_then(bench: Bench, slack: SlackStandIn) -> None:
    event = ended(bench, slack)
    now = event.updated.timestamp() + 10
    slack.fail("respond", 429, Retry_After="30")
    telling = teller(bench, now=now)
    telling.step()
    assert owed(bench) == {f"{event.id} delivered".encode(): now + 30}

    Receipts(bench.redis, bench.doors()).put(f"{event.id} delivered", 0)
    telling.step()
    assert len(said(slack)) == 1
    assert owed(bench) == {f"{event.id} delivered".encode(): now + 30}

    teller(bench, now=now + 31).step()
    assert len(said(slack)) == 2
    assert owed(bench) == {}


def test_a_receipt_that_is_of_no_use_any_more_is_given_up(bench: Bench, slack: SlackStandIn) -> None:
    event = ended(bench, slack)
    slack.fail("chat.postEphemeral", 429, Retry_After="30")

    teller(bench, now=event.updated.timestamp() + 1900).step()

    assert owed(bench) == {}


def test_a_receipt_that_slack_may_have_posted_is_not_posted_again(bench: Bench, slack: SlackStandIn) -> None:
    event = ended(bench, slack)
    slack.fail("respond", 500)

    teller(bench, now=event.updated.timestamp() + 1).step()

    assert owed(bench) == {}


def test_an_end_is_owed_once_and_only_where_somebody_can_be_told(bench: Bench, slack: SlackStandIn) -> None:
    event = ended(bench, slack)
    receipts = Receipts(bench.redis, bench.doors())
    first = owed(bench)

    receipts.owe(event, Outcome(State.DELIVERED))
    receipts.owe(event, Outcome(State.IGNORED))
    bench.deliver(bench.accept())
    Receipts(bench.redis, {}).owe(event, Outcome(State.DEAD))

    assert owed(bench) == first


def test_redis_away_costs_a_receipt_and_nothing_else(
    bench: Bench, slack: SlackStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise RedisConnectionError

    event = commanded(bench, slack)
    monkeypatch.setattr(Receipts, "put", away)

    assert bench.deliver(event).state is State.DELIVERED


def test_what_is_gone_or_otherwise_by_now_is_not_told(bench: Bench, slack: SlackStandIn) -> None:
    event = ended(bench, slack)
    redis: Any = bench.redis
    redis.delete("bridge:receipts")
    receipts = Receipts(bench.redis, bench.doors())
    receipts.put("nothing delivered", 0)
    receipts.put(f"{event.id} dead", 1)

    assert [teller(bench).step() for _ in range(3)] == [True, True, False]
    assert said(slack) == []


def test_another_that_took_it_first_has_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    receipts = Receipts(bench.redis, {})
    receipts.put("x delivered", 0)
    monkeypatch.setattr(receipts._redis, "zrem", lambda *_: 0)

    assert receipts.take() is None


def test_telling_goes_on_whatever_happens(
    bench: Bench, slack: SlackStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[object] = [RedisConnectionError(), ValueError(), True, False]

    def step() -> object:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    telling = teller(bench, stops=4)
    monkeypatch.setattr(telling, "step", step)
    thread = telling.start()

    assert thread is not None
    thread.join(5)
    assert bench.slept == [5.0, 1.0]


def test_where_no_source_tells_anybody_there_is_no_thread(bench: Bench) -> None:
    assert teller(bench).start() is None
