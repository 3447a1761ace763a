"""`operate`: what a person may do, when, and what is asked back."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import pytest

from service.core.errors import Forbidden, NoSuchEvent
from service.core.ledger import TRANSITIONS, Operation, Outcome, State
from service.core.store import PREFIX
from tests.ledger.steps import DAY, DONE, IGNORED, LOOKED_IN_VAIN, REFUSED, retry

if TYPE_CHECKING:
    from tests.ledger.steps import Steps

POSSIBLE: dict[State, set[Operation]] = {
    State.QUEUED: {"hold", "discard"},
    State.DELIVERING: set(),
    State.RETRYING: {"hold", "discard"},
    State.DEAD: {"replay", "discard"},
    State.HELD: {"replay", "release", "discard"},
    State.DELIVERED: set(),
    State.IGNORED: {"replay"},
    State.DISCARDED: {"replay"},
}
TARGETS = {"hold": State.HELD, "discard": State.DISCARDED, "replay": State.QUEUED, "release": State.QUEUED}


def make(steps: Steps, state: State) -> str:
    """Give an event in that state."""
    event = steps.accept()
    outcomes = {State.DEAD: REFUSED, State.DELIVERED: DONE, State.IGNORED: IGNORED, State.RETRYING: retry(60)}
    if state in outcomes:
        steps.record(outcomes[state], event)
    elif state is State.DELIVERING:
        steps.claim(event)
    elif state is not State.QUEUED:
        steps.ledger.operate(event, "hold" if state is State.HELD else "discard", "ada")
    return event


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("operation", get_args(Operation))
def test_a_person_may_do_what_the_table_says_and_nothing_else(
    steps: Steps, state: State, operation: Operation
) -> None:
    event = make(steps, state)
    before = steps.dump()

    if operation in POSSIBLE[state]:
        assert steps.ledger.operate(event, operation, "ada").state is TARGETS[operation]
        step = steps.ledger.history(event)[-1]
        assert (step.origin, step.target, step.why, step.by) == (state, TARGETS[operation], operation, "ada")
        assert steps.ledger.stats().counters[f"{operation}:web"] == 1
    else:
        with pytest.raises(Forbidden, match=f"is {state}: {operation} is not possible"):
            steps.ledger.operate(event, operation, "ada")
        assert steps.dump() == before


def test_the_table_of_transitions_has_the_same_rows() -> None:
    rows = {(row.origin, row.target) for row in TRANSITIONS if row.script == "operate"}

    assert rows == {(state, TARGETS[name]) for state, names in POSSIBLE.items() for name in names}


def test_an_event_that_never_was_is_said_to_be_gone(steps: Steps) -> None:
    with pytest.raises(NoSuchEvent):
        steps.ledger.operate("nosuchevent", "discard", "ada")


def test_what_is_parked_or_finished_by_a_person_is_in_no_queue(steps: Steps) -> None:
    held, discarded = make(steps, State.HELD), make(steps, State.DISCARDED)

    assert steps.index("due:backlog") == set()
    assert steps.index("finished") == steps.index("bodies") == {discarded}
    assert steps.index("state:held") == {held}


def test_a_held_event_stays_held_however_long(steps: Steps) -> None:
    make(steps, State.HELD)
    steps.pass_time(400 * DAY)

    assert steps.take(10) == []


def test_a_replayed_event_is_due_at_once_and_wakes_the_dispatcher(steps: Steps) -> None:
    event = make(steps, State.DEAD)
    steps.redis.delete(f"{PREFIX}wake")

    found = steps.ledger.operate(event, "replay", "ada")

    assert (found.due, found.code, found.reason) == (found.updated, "", "")
    assert steps.redis.llen(f"{PREFIX}wake") == 1
    assert steps.take() == [event]


def test_a_replayed_unknown_dead_letter_is_looked_for_first(steps: Steps) -> None:
    event = steps.record(LOOKED_IN_VAIN)

    steps.ledger.operate(event, "replay", "ada")

    found = steps.ledger.event(event)
    assert (found.state, found.code) == (State.QUEUED, "unknown")
    assert steps.claim(event).uncertain


def test_a_person_who_has_looked_can_say_so(steps: Steps) -> None:
    event = steps.record(LOOKED_IN_VAIN)

    steps.ledger.operate(event, "replay", "ada", confirmed=True)

    claim = steps.begin(event)
    assert not claim.uncertain
    steps.ledger.record(claim, DONE)
    assert steps.state(event) is State.DELIVERED


def test_discarding_it_first_does_not_get_round_the_look(steps: Steps) -> None:
    event = steps.record(LOOKED_IN_VAIN)
    steps.ledger.operate(event, "discard", "ada")

    steps.ledger.operate(event, "replay", "ada")

    assert steps.claim(event).uncertain


@pytest.mark.parametrize(
    ("state", "force"), [(State.IGNORED, True), (State.DISCARDED, True), (State.DEAD, False)]
)
def test_what_had_ended_skips_the_ignore_rule_when_it_is_replayed(
    steps: Steps,
    state: State,
    force: bool,  # noqa: FBT001 - a column of the table
) -> None:
    event = make(steps, state)

    assert steps.ledger.operate(event, "replay", "ada").force is force


def test_a_replay_looks_the_requester_up_again(steps: Steps) -> None:
    event = steps.accept()
    steps.record(
        Outcome(State.DEAD, code="refused", fields={"requester_refused": 1, "lookups_failed": 3}), event
    )

    found = steps.ledger.operate(event, "replay", "ada")

    assert (found.requester_refused, found.lookups_failed) == (False, 0)


def test_an_event_whose_body_is_aged_out_is_not_replayed(steps: Steps) -> None:
    event = make(steps, State.IGNORED)
    steps.pass_time(31 * DAY)
    steps.ledger.purge()

    with pytest.raises(Forbidden, match="body has been aged out"):
        steps.ledger.operate(event, "replay", "ada")


def test_a_number_tells_that_the_dead_letters_changed(steps: Steps) -> None:
    versions = [steps.ledger.dead_version()]
    event = steps.accept()
    versions.append(steps.ledger.dead_version())
    steps.record(REFUSED, event)
    versions.append(steps.ledger.dead_version())
    steps.ledger.operate(event, "replay", "ada")
    versions.append(steps.ledger.dead_version())

    assert versions == [0, 0, 1, 2]
