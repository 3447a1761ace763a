"""`resume`: after an outage, what failed because of it does not wait out its back-off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.core.ledger import Failing, State
from service.core.store import PREFIX
from tests.ledger.steps import DONE, DRAFT, retry

if TYPE_CHECKING:
    from service.core.ledger import Outcome
    from tests.ledger.steps import Steps

OUTAGE = Failing("outage", 3, 30)


def fail(steps: Steps, *, times: int) -> list[str]:
    """Let new events fail for the outage, with a back-off of an hour."""
    claims = [steps.begin(event) for event in [steps.accept() for _ in range(times)]]
    for claim in claims:
        steps.ledger.record(claim, retry(3600, OUTAGE))
    return [claim.event.id for claim in claims]


def probe(steps: Steps, outcome: Outcome) -> bool:
    """Let the pause be probed with this end; gives whether Spacebring is said to answer again."""
    steps.pass_time(30)
    (event,) = steps.take(10)
    claim = steps.ledger.claim(event, "w1")
    assert claim is not None
    steps.ledger.begin(claim, DRAFT, {})
    return steps.ledger.record(claim, outcome)


def test_what_failed_in_the_outage_is_due_again(steps: Steps) -> None:
    other = steps.record(retry(3600))
    failed = fail(steps, times=3)
    again = probe(steps, DONE)

    assert again
    assert steps.ledger.resume() == 2
    taken = steps.take(10)
    assert len(taken) == 2
    assert set(taken) < set(failed)
    assert other not in taken


def test_a_call_gives_how_many_it_brought_forward_so_that_many_are_done_in_steps(steps: Steps) -> None:
    fail(steps, times=6)
    probe(steps, DONE)

    assert [steps.ledger.resume(2) for _ in range(4)] == [2, 2, 1, 0]


def test_where_the_worker_dies_before_it_resumed_the_next_answer_says_so_again(steps: Steps) -> None:
    fail(steps, times=3)
    assert probe(steps, DONE)

    claim = steps.begin(steps.accept())
    assert steps.ledger.record(claim, DONE)
    steps.ledger.resume()

    claim = steps.begin(steps.accept())
    assert not steps.ledger.record(claim, DONE)


def test_failures_that_made_no_outage_keep_their_back_off(steps: Steps) -> None:
    alone = fail(steps, times=2)
    steps.record(DONE)
    fail(steps, times=3)
    probe(steps, DONE)

    steps.ledger.resume()

    assert set(steps.take(10)).isdisjoint(alone)


def test_a_pause_that_began_meanwhile_stands(steps: Steps) -> None:
    fail(steps, times=3)
    probe(steps, DONE)
    steps.pause()

    steps.ledger.resume()

    assert steps.ledger.pause() is not None
    assert steps.take(10) == []


def test_what_a_person_took_away_stays_away_and_what_is_under_way_keeps_its_time(steps: Steps) -> None:
    held, handed, claimed = fail(steps, times=3)
    steps.pass_time(30)
    steps.ledger.operate(held, "hold", "ada")
    first = steps.take()[0]
    steps.pass_time(30)
    steps.redis.hdel(f"{PREFIX}pause", "probe")
    steps.redis.delete(f"{PREFIX}pause")
    claim = steps.ledger.claim(first, "w1")
    steps.redis.sadd(f"{PREFIX}outage", held)
    before = {event: steps.ledger.event(event).due for event in (handed, claimed)}
    due = before[first]

    steps.ledger.resume()

    assert claim is not None
    assert steps.state(held) is State.HELD
    assert steps.ledger.event(first).due == due
    assert steps.index("due:backlog") == {handed, claimed}


def test_an_event_handed_out_meanwhile_is_not_made_due_twice(steps: Steps) -> None:
    fail(steps, times=3)
    steps.pass_time(30)
    (handed,) = steps.take(10)
    due = steps.ledger.event(handed).due

    steps.ledger.resume()

    assert steps.ledger.event(handed).due == due
