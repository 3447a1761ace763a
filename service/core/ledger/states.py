"""The states of an event and what may follow: the one table that code, scripts and docs share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """Where an event stands."""

    QUEUED = "queued"
    DELIVERING = "delivering"
    RETRYING = "retrying"
    DEAD = "dead"
    HELD = "held"
    DELIVERED = "delivered"
    IGNORED = "ignored"
    DISCARDED = "discarded"


# Always in the `due` set.
ACTIVE = frozenset({State.QUEUED, State.DELIVERING, State.RETRYING})
# Waiting for a person: never in `due`, never aged out.
PARKED = frozenset({State.DEAD, State.HELD})
# Never in `due`; aged out by retention.
FINISHED = frozenset({State.DELIVERED, State.IGNORED, State.DISCARDED})


@dataclass(frozen=True)
class Transition:
    """One row of the table: what may follow, which script does it, and when."""

    origin: State
    target: State
    script: str
    when: str


TRANSITIONS = (
    Transition(State.QUEUED, State.DELIVERING, "claim", "a worker takes it up"),
    Transition(State.QUEUED, State.HELD, "operate", "a person holds it"),
    Transition(State.QUEUED, State.DISCARDED, "operate", "a person gives it up before it is taken up"),
    Transition(State.DELIVERING, State.DELIVERING, "claim", "its worker died: another takes over"),
    Transition(State.DELIVERING, State.QUEUED, "record", "its worker stops and hands it back unsent"),
    Transition(State.DELIVERING, State.RETRYING, "record", "a failure that passes"),
    Transition(State.DELIVERING, State.DELIVERED, "record", "Spacebring made the ticket"),
    Transition(
        State.DELIVERING,
        State.IGNORED,
        "record",
        "it makes no ticket: auto-reply, spam, duplicate, a batch taken apart",
    ),
    Transition(
        State.DELIVERING, State.DEAD, "record", "refused for good, out of attempts, unreadable, unknown"
    ),
    Transition(
        State.DELIVERING,
        State.DEAD,
        "claim",
        "claimed three times and nothing came of it: poison, or unknown",
    ),
    Transition(State.RETRYING, State.DELIVERING, "claim", "its back-off is over"),
    Transition(State.RETRYING, State.HELD, "operate", "a person holds it"),
    Transition(State.RETRYING, State.DISCARDED, "operate", "a person gives it up"),
    Transition(State.DEAD, State.QUEUED, "operate", "a person replays it"),
    Transition(State.DEAD, State.DISCARDED, "operate", "a person gives it up"),
    Transition(State.HELD, State.QUEUED, "operate", "a person releases or replays it"),
    Transition(State.HELD, State.DISCARDED, "operate", "a person gives it up"),
    Transition(State.IGNORED, State.QUEUED, "operate", "a person replays it; the ignore rule is skipped"),
    Transition(State.DISCARDED, State.QUEUED, "operate", "a person replays it; the ignore rule is skipped"),
)


def allowed(script: str) -> dict[str, list[str]]:
    """Give what may follow each state by that script, as the scripts read it."""
    return {
        origin.value: [
            row.target.value for row in TRANSITIONS if (row.origin, row.script) == (origin, script)
        ]
        for origin in State
    }


def as_markdown() -> str:
    """Render the table for `docs/architecture.md`."""
    head = "| from | to | by | when |\n|---|---|---|---|\n"
    return head + "".join(
        f"| {row.origin} | {row.target} | `{row.script}` | {row.when} |\n" for row in TRANSITIONS
    )
