"""What a worker tells the ledger of an event that it holds."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from service.core.ledger.model import clean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.core.ledger.model import Attempt
    from service.core.ledger.states import State


@dataclass(frozen=True)
class Failing:
    """Says that Spacebring does not work for anyone: after `threshold` in a row, delivery pauses.

    With `location` it may be that one only: it stays paused when a delivery elsewhere succeeds.
    """

    kind: Literal["credentials", "outage"]
    threshold: int
    probe: float
    location: str = ""


@dataclass(frozen=True)
class Outcome:
    """What a worker records about an event it holds.

    `attempt` is None where nothing was tried. `delay` is in seconds, for `retrying`. `uncounted`: the
    try does not count against the schedule. `answered`: Spacebring works, so a pause may end. `grace`: a
    ticket may have been made, and only a look after so many seconds can show that it was not. `waits`:
    until the location in `fields` is open again. `stuck`: tried at once, it would do the same again.
    """

    state: State
    reason: str = ""
    code: str = ""
    delay: float = 0
    attempt: Attempt | None = None
    fields: Mapping[str, str | int] = field(default_factory=dict)
    uncounted: bool = False
    answered: bool = False
    failing: Failing | None = None
    grace: float | None = None
    waits: bool = False
    stuck: bool = False

    def as_json(self) -> str:
        """Give what `record.lua` reads: no nulls, no numbers that a float cannot hold, no empty tables."""
        data: dict[str, Any] = {
            "state": self.state.value,
            "reason": clean(self.reason),
            "code": clean(self.code),
            "delay_ms": max(0, int(self.delay * 1000)),
            "uncounted": self.uncounted,
            "answered": self.answered,
            "waits": self.waits,
            "stuck": self.stuck,
        }
        if self.grace is not None:
            data["grace_ms"] = int(self.grace * 1000)
        if self.fields:
            data["fields"] = {
                key: clean(value) if isinstance(value, str) else str(int(value))
                for key, value in self.fields.items()
            }
        if self.attempt is not None:
            attempt = {
                "outcome": self.attempt.outcome,
                "status": self.attempt.status,
                "error": clean(self.attempt.error),
                "duration_ms": self.attempt.duration_ms,
            }
            data["attempt"] = {key: value for key, value in attempt.items() if value is not None}
        if self.failing is not None:
            data["failing"] = {
                "kind": self.failing.kind,
                "threshold": self.failing.threshold,
                "probe_ms": int(self.failing.probe * 1000),
            }
            if self.failing.location:
                data["failing"]["location"] = self.failing.location
        return json.dumps(data)
