"""Counts what came of the events of one scenario: at the sandbox, and in the ledger."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from service.core.ledger.states import ACTIVE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_KEY = re.compile(r"faults-[a-z0-9_]+-\d+-\d+\b")
RECOVERS_WITHIN = 15.0
_ACTIVE = {state.value for state in ACTIVE}


@dataclass
class Verdict:
    """One row of the table. All but `events`, `struck`, `extra`, `limited` and the times must be 0.

    `extra`: second tickets that the bridge found and closed. `dead`: given up without need; `parked`: left
    to a person with an unknown outcome. `recovery`: the longest time from a SIGKILL until an event was
    claimed again, in seconds.
    """

    scenario: str
    events: int = 0
    struck: int = 0
    lost: int = 0
    duplicated: int = 0
    extra: int = 0
    parked: int = 0
    dead: int = 0
    stuck: int = 0
    limited: int = 0
    recovery: float = 0
    seconds: float = 0
    notes: list[str] = field(default_factory=list)

    def judge(self, accepted: Mapping[str, str], ledger: Iterable[Mapping[str, Any]], tickets: Any) -> None:  # noqa: ANN401 - as JSON is
        """Count. `accepted`: the event that each delivery was answered with; the rest is JSON of the APIs."""
        known = {event["id"]: event for event in ledger}
        filed = by_key(tickets)
        self.events = len(accepted)
        for key, event in accepted.items():
            state, code = (known[event]["status"], known[event]["code"]) if event in known else ("gone", None)
            mine = filed.get(key, [])
            left = [ticket["id"] for ticket in mine if ticket["status"] != "closed"]
            self.duplicated += max(0, len(left) - 1)
            self.extra += len(mine) - max(1, len(left)) if mine else 0
            if state in _ACTIVE:
                self.stuck += 1
            elif state == "dead" and code == "unknown":
                self.parked += 1
            elif state == "delivered":
                if not left:
                    self.lost += 1
                elif known[event]["ticket"]["id"] not in left:
                    self.notes.append(f"{event} names a ticket that does not stand")
            elif state == "gone":
                self.lost += 1
            else:
                self.dead += 1
                self.notes.append(f"{event} is {state}: {known[event]['reason']}")
        for key in filed.keys() - accepted.keys():
            self.notes.append(f"a ticket for {key}, which was never accepted")

    @property
    def failed(self) -> bool:
        """Whether a promise is broken."""
        broken = self.lost + self.duplicated + self.parked + self.dead + self.stuck + len(self.notes)
        return bool(broken) or self.recovery > RECOVERS_WITHIN


def by_key(tickets: Any) -> dict[str, list[Mapping[str, Any]]]:  # noqa: ANN401 - as JSON is
    """Sort tickets by the delivery whose text they hold, so that two events for one delivery count too."""
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for ticket in tickets:
        if key := _KEY.search(ticket["text"]):
            found[key[0]].append(ticket)
    return found


def standing(tickets: Sequence[Mapping[str, Any]]) -> int:
    """Count those that are not closed."""
    return sum(ticket["status"] != "closed" for ticket in tickets)


_COLUMNS = tuple(one.name for one in fields(Verdict) if one.name != "notes")


def table(rows: Sequence[Verdict]) -> str:
    """Give the table of all scenarios, as Markdown."""
    cells = [list(_COLUMNS)]
    for row in [*rows, _total(rows)]:
        values = (getattr(row, name) for name in _COLUMNS)
        cells.append([f"{value:.1f}" if isinstance(value, float) else str(value) for value in values])
    widths = [max(len(line[column]) for line in cells) for column in range(len(_COLUMNS))]
    lines = [
        " | ".join(
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in cells
    ]
    rule = "-|-".join("-" * width for width in widths)
    return "\n".join(f"| {line} |" for line in [lines[0], rule, *lines[1:]])


def _total(rows: Sequence[Verdict]) -> Verdict:
    total = Verdict("all")
    for name in _COLUMNS[1:]:
        values = [getattr(row, name) for row in rows]
        setattr(total, name, max(values, default=0) if name == "recovery" else sum(values))
    return total
