"""Redis's clock is set back: nothing waits for the old time to come again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from service.core.store import PREFIX
from tests.ledger.steps import DRAFT, FORBIDDEN, HOUR, UNKNOWN, retry

if TYPE_CHECKING:
    from tests.ledger.steps import Steps


def set_back(steps: Steps, seconds: float) -> None:
    """Make everything that is stored look like the work of a clock that was so far ahead."""
    steps.pass_time(-seconds)
    steps.redis.set(f"{PREFIX}clock", int(steps.ledger.now() + seconds * 1000))


def left(steps: Steps, index: str, event: str) -> float:
    """Give the seconds until an event's turn in an index."""
    score: Any = steps.redis.zscore(f"{PREFIX}{index}", event)
    return float(score - steps.ledger.now()) / 1000


@pytest.mark.parametrize("seconds", [2, HOUR])
def test_what_waits_waits_as_long_as_before(any_steps: Steps, seconds: float) -> None:
    event = any_steps.record(retry(60))
    set_back(any_steps, seconds)

    any_steps.take()

    assert left(any_steps, "due:backlog", event) == pytest.approx(60, abs=1.5)
    assert any_steps.ledger.stats().counters["clock set back:"] == 1


def test_what_is_due_is_handed_out(steps: Steps) -> None:
    event = steps.accept()
    set_back(steps, HOUR)

    assert steps.take() == [event]


def test_a_lease_ends_when_it_should(steps: Steps) -> None:
    claim = steps.begin(steps.accept())
    set_back(steps, HOUR)

    assert steps.ledger.renew(claim)
    assert left(steps, "out", claim.event.id) == pytest.approx(10, abs=1.5)
    steps.pass_time(11)
    assert steps.claim().uncertain


def test_the_grace_is_as_long_as_before(steps: Steps) -> None:
    event = steps.record(UNKNOWN)
    set_back(steps, HOUR)

    claim = steps.claim(event)

    left_of_grace = (claim.event.look_after - steps.ledger.now()) / 1000
    assert left_of_grace == pytest.approx(10, abs=1.5)
    assert claim.event.look_from == pytest.approx(steps.ledger.now(), abs=2000)
    assert steps.ledger.begin(claim, DRAFT, {}, absent_at=claim.event.look_after) == 2


def test_a_pause_and_a_closed_location_end_when_they_should(steps: Steps) -> None:
    steps.record(FORBIDDEN)
    set_back(steps, HOUR)

    steps.take()

    pause = steps.ledger.pause()
    assert pause is not None
    for gate in (pause, steps.ledger.closed()["l"]):
        assert gate.until.timestamp() - steps.ledger.now() / 1000 == pytest.approx(30, abs=1.5)


def test_a_small_step_is_none(steps: Steps) -> None:
    event = steps.record(retry(60))
    before: Any = steps.redis.zscore(f"{PREFIX}due:backlog", event)
    steps.redis.set(f"{PREFIX}clock", steps.ledger.now() + 500)

    steps.take()

    assert steps.redis.zscore(f"{PREFIX}due:backlog", event) == before
