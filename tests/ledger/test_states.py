"""The table of transitions: every row can happen, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from redis.exceptions import ResponseError

from service.core.ledger import ACTIVE, FINISHED, PARKED, TRANSITIONS, State
from service.core.ledger.scripts import NAMES, shared
from service.core.ledger.states import as_markdown
from service.core.store import PREFIX
from tests.ledger.steps import BACK, DONE, IGNORED, REFUSED, retry
from tests.ledger.test_operate import make

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.core.ledger.states import Transition
    from tests.ledger.steps import Steps

ROWS = {(row.script, row.origin, row.target) for row in TRANSITIONS}


def claim(steps: Steps, event: str) -> None:
    if steps.state(event) is not State.DELIVERING:
        steps.pass_time(60)
    steps.claim(event)


def take_over(steps: Steps, event: str) -> None:
    steps.pass_time(60)
    steps.claim(event)


def poison(steps: Steps, event: str) -> None:
    for _ in range(2):
        take_over(steps, event)
    steps.pass_time(60)
    steps.take()
    assert steps.ledger.claim(event, "w4") is None


def end(steps: Steps, event: str, target: State) -> None:
    outcomes = {
        State.QUEUED: BACK,
        State.RETRYING: retry(60),
        State.DELIVERED: DONE,
        State.IGNORED: IGNORED,
        State.DEAD: REFUSED,
    }
    steps.pass_time(60)
    steps.ledger.record(steps.begin(event), outcomes[target])


def operate(steps: Steps, event: str, target: State) -> None:
    names = {State.QUEUED: "replay", State.HELD: "hold", State.DISCARDED: "discard"}
    steps.ledger.operate(event, names[target], "ada")  # type: ignore[arg-type]


def how(row: Transition) -> Callable[[Steps, str], None]:
    if row.script == "record":
        return lambda steps, event: end(steps, event, row.target)
    if row.script == "operate":
        return lambda steps, event: operate(steps, event, row.target)
    if row.target is State.DEAD:
        return poison
    return take_over if row.origin is State.DELIVERING else claim


@pytest.mark.parametrize("row", TRANSITIONS, ids=lambda row: f"{row.script}-{row.origin}-{row.target}")
def test_every_transition_of_the_table_happens(steps: Steps, row: Transition) -> None:
    event = make(steps, row.origin)

    how(row)(steps, event)

    last = steps.ledger.history(event)[-1]
    assert (last.origin, last.target) == (row.origin, row.target)
    assert steps.state(event) is row.target


@pytest.mark.parametrize("script", NAMES)
@pytest.mark.parametrize("origin", State)
def test_a_script_moves_an_event_as_its_rows_say_and_is_refused_before_it_wrote_otherwise(
    steps: Steps, script: str, origin: State
) -> None:
    for target in (*State, "nonsense"):
        event = make(steps, origin)
        before = steps.dump()
        text = shared(script) + "move(ARGV[2], ARGV[3], now(), now())"
        if (script, origin, target) in ROWS:
            steps.redis.eval(text, 0, PREFIX, event, target)
            assert steps.state(event) is target
        else:
            with pytest.raises(ResponseError, match=f"transition {origin} -> {target} is not in the table"):
                steps.redis.eval(text, 0, PREFIX, event, target)
            assert steps.dump() == before
        steps.redis.flushall()


def test_an_event_that_does_not_exist_is_moved_nowhere(steps: Steps) -> None:
    with pytest.raises(ResponseError, match="transition none -> dead"):
        steps.redis.eval(shared("claim") + "move(ARGV[2], 'dead', 0)", 0, PREFIX, "nosuchevent")

    assert steps.dump() == {}


def test_every_state_is_in_one_class() -> None:
    assert sorted([*ACTIVE, *PARKED, *FINISHED]) == sorted(State)


def test_the_table_is_rendered_with_a_line_for_each_row() -> None:
    lines = as_markdown().splitlines()

    assert lines[:2] == ["| from | to | by | when |", "|---|---|---|---|"]
    assert lines[2] == "| queued | delivering | `claim` | a worker takes it up |"
    assert len(lines) == len(TRANSITIONS) + 2
