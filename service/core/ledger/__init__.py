"""The ledger: the record in Redis of every event, its state and every attempt. It is the truth."""

from service.core.ledger.ledger import Ledger
from service.core.ledger.model import (
    Acceptance,
    Attempt,
    Claim,
    Closed,
    Event,
    ExtraTicket,
    HandedOut,
    Keeping,
    Operation,
    Page,
    Pause,
    Stats,
    Step,
    Timings,
)
from service.core.ledger.outcome import Failing, Outcome
from service.core.ledger.states import ACTIVE, FINISHED, PARKED, TRANSITIONS, State

__all__ = [
    "ACTIVE",
    "FINISHED",
    "PARKED",
    "TRANSITIONS",
    "Acceptance",
    "Attempt",
    "Claim",
    "Closed",
    "Event",
    "ExtraTicket",
    "Failing",
    "HandedOut",
    "Keeping",
    "Ledger",
    "Operation",
    "Outcome",
    "Page",
    "Pause",
    "State",
    "Stats",
    "Step",
    "Timings",
]
