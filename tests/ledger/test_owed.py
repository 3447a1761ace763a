"""Word of an event's end is owed in the step that writes the end, and lent out until it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from service.core.ledger.receipts import Receipts
from service.core.source import Key, Part
from service.core.store import PREFIX
from tests.ledger.steps import BACK, DONE, HOUR, IGNORED, LOOKED_IN_VAIN, REFUSED, REQUEST, Steps, retry
from tests.ledger.test_clock import left, set_back

if TYPE_CHECKING:
    from service.core.ledger import Outcome


def asked(steps: Steps) -> str:
    """Keep a request whose sender is owed word of its end."""
    parcel = steps.ledger.parcel(
        REQUEST, channel="web", source="slack", lane="person", parts=[Part((Key("asked"),))], receipt=True
    )
    return steps.ledger.keep(parcel).events[0]


@pytest.mark.parametrize(
    ("outcome", "state"), [(DONE, "delivered"), (REFUSED, "dead"), (LOOKED_IN_VAIN, "dead")]
)
def test_each_end_of_which_the_sender_should_hear_is_owed(
    any_steps: Steps, outcome: Outcome, state: str
) -> None:
    event = any_steps.record(outcome, asked(any_steps))

    receipts = Receipts(any_steps.redis)
    assert receipts.take(60) == (event, state)
    assert receipts.take(60) is None
    receipts.done(event, state)
    assert any_steps.index("receipts") == set()


@pytest.mark.parametrize("outcome", [BACK, IGNORED, retry(60)])
def test_what_is_no_end_or_no_news_is_owed_to_nobody(steps: Steps, outcome: Outcome) -> None:
    steps.record(outcome, asked(steps))
    steps.record(DONE)

    assert steps.index("receipts") == set()


def test_each_end_is_owed_once_however_often_it_comes(steps: Steps) -> None:
    event, receipts = asked(steps), Receipts(steps.redis)
    for outcome in (REFUSED, REFUSED, DONE):
        steps.record(outcome, event)
        if outcome is REFUSED:
            steps.ledger.operate(event, "replay", by="test")

    ends = []
    while (owed := receipts.take(60)) is not None:
        ends.append(owed[1])

    assert sorted(ends) == ["dead", "delivered"]


def test_who_dies_with_a_receipt_has_lost_nothing(steps: Steps) -> None:
    event, receipts = steps.record(DONE, asked(steps)), Receipts(steps.redis)
    receipts.take(60)

    steps.pass_time(59)
    assert receipts.take(60) is None
    steps.pass_time(2)
    assert receipts.take(60) == (event, "delivered")


def test_a_receipt_is_put_off_and_never_brought_back(steps: Steps) -> None:
    event, receipts = steps.record(DONE, asked(steps)), Receipts(steps.redis)
    receipts.take(60)

    receipts.done(event, "delivered", again=300)
    assert left(steps, "receipts", f"{event} delivered") == pytest.approx(300, abs=1.5)
    receipts.done(event, "delivered")
    receipts.done(event, "delivered", again=300)
    assert steps.index("receipts") == set()


def test_a_receipt_comes_due_though_the_clock_is_set_back(steps: Steps) -> None:
    event, receipts = steps.record(DONE, asked(steps)), Receipts(steps.redis)
    receipts.done(event, "delivered", again=60)
    set_back(steps, HOUR)

    assert receipts.take(60) is None
    assert left(steps, "receipts", f"{event} delivered") == pytest.approx(60, abs=1.5)


def test_what_is_owed_is_told_though_the_server_is_full(any_steps: Steps) -> None:
    event = asked(any_steps)
    claim = any_steps.begin(event)
    any_steps.redis.config_set("maxmemory", "1")
    any_steps.ledger.record(claim, DONE)

    receipts = Receipts(any_steps.redis)
    assert receipts.take(60) == (event, "delivered")
    receipts.done(event, "delivered", again=60)
    assert any_steps.index("receipts") == {f"{event} delivered"}


def test_what_an_older_release_kept_is_owed_to_nobody(steps: Steps) -> None:
    event = asked(steps)
    store: Any = steps.redis
    store.hdel(f"{PREFIX}event:{event}", "receipt")

    steps.record(DONE, event)

    assert steps.index("receipts") == set()
