"""One scenario's run: it sends deliveries, kills and stops processes, and waits until all has ended."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import requests

from service.core.ledger.states import ACTIVE
from tests.faults.stack import TOKEN, Setting, Stack, eventually
from tests.faults.verdict import Verdict, by_key, standing

if TYPE_CHECKING:
    from tests.faults.proxy import Act, Hit

# The states of a delivery: before and after each of its writes.
POINTS = tuple(
    f"{when} {what}" for what in ("claim", "begin", "post", "record") for when in ("before", "after")
)
SETTLES_WITHIN = 90.0
_STRIKES_WITHIN = 60.0
_ACCEPTED_WITHIN = 120.0
_MOVES_ON_WITHIN = 60.0
_EXTRA_CLOSED_WITHIN = 60.0
_SENDERS = 8
_ACTIVE = {state.value for state in ACTIVE}

_Choice = TypeVar("_Choice")


class Run:
    """What a scenario acts with. `random` is seeded: the same seed makes the same choices."""

    def __init__(self, stack: Stack, name: str, seed: int, *, full: bool) -> None:
        self.stack, self.full, self.seed = stack, full, seed
        self.random = random.Random(f"{seed}:{name}")
        self.verdict = Verdict(name)
        self.struck: set[str] = set()
        self._started = time.monotonic()
        stack.held("DELETE", "requests")
        self._tag = f"faults-{name}-{seed}"
        self._kills: list[float] = []
        self._pool = ThreadPoolExecutor(_SENDERS)
        self._sessions = threading.local()
        self._answers: list[tuple[str, Future[str]]] = []

    def size(self, short: int, full: int) -> int:
        """Choose by the form of the suite."""
        return full if self.full else short

    def mixed(self, *what: _Choice) -> list[_Choice]:
        """Give these in a random order."""
        return self.random.sample(what, len(what))

    def send(self, count: int, *, copies: int = 1) -> None:
        """Send so many deliveries in the background, each from so many connections at once."""
        first = len({key for key, _ in self._answers})
        for number in range(first, first + count):
            self._post_in_background(f"{self._tag}-{number}", copies)

    def send_again(self) -> None:
        """Send every delivery once more."""
        for key in sorted({key for key, _ in self._answers}):
            self._post_in_background(key, 1)

    def _post_in_background(self, key: str, copies: int) -> None:
        self._answers += [(key, self._pool.submit(self._post, key)) for _ in range(copies)]

    def _post(self, key: str) -> str:
        """Send a delivery until it is answered 200, as a vendor does; gives the event."""
        if not hasattr(self._sessions, "session"):
            self._sessions.session = requests.Session()
        session: requests.Session = self._sessions.session
        deadline = time.monotonic() + _ACCEPTED_WITHIN
        while True:
            try:
                answer = session.post(
                    f"{self.stack.base}/hooks/api",
                    json={"subject": "A fault", "description": f"For {key} of the fault suite"},
                    headers={"Authorization": f"Bearer {TOKEN}", "Idempotency-Key": key},
                    timeout=10,
                )
                if answer.status_code == requests.codes.ok:
                    return str(answer.json()["event"])
                why = f"{answer.status_code} {answer.text[:200]}"
            except requests.RequestException as error:
                why = type(error).__name__
            if time.monotonic() > deadline:
                raise TimeoutError(f"{key} was not accepted: {why}")
            # A vendor's pause before it sends again.
            time.sleep(0.2)

    def strike(self, point: str, act: Act, *, skip: int = 0) -> None:
        """Send events until one of them comes by this point, and act there; raises TimeoutError."""
        # What is tried is one death at a time, not a bridge that never has any.
        self.must("all workers run", self._manned)
        trap = self.stack.traps.arm(point, act, spare=self.struck, skip=skip)
        deadline = time.monotonic() + _STRIKES_WITHIN
        self.send(2)
        while not trap.wait(1):
            if time.monotonic() > deadline:
                self.stack.traps.disarm(trap)
                raise TimeoutError(f"nothing came by: {point}")
            self.send(1)

    def _manned(self) -> bool:
        return len(self.stack.pids("worker")) == self.stack.setting.processes

    def kill(self, hit: Hit) -> bool:
        """SIGKILL the process whose message is held; nothing more of it passes."""
        self.note(hit.subject)
        os.kill(hit.pid, signal.SIGKILL)
        return False

    def killing(self, role: str) -> Act:
        """Give an act that kills a process of this role, or `all` at once, while the message is held."""

        def act(hit: Hit) -> bool:
            self.note(hit.subject)
            if role == "all":
                self.stack.kill_everything()
            else:
                pids = self.stack.pids(role)
                if pids:
                    os.kill(self.random.choice(pids), signal.SIGKILL)
            # It had left its process by then: it arrives.
            return True

        return act

    def note(self, subject: str) -> None:
        """Remember a SIGKILL that is about to happen, and which event is in hand."""
        self._kills.append(time.time())
        self.strike_no_more(subject)

    def strike_no_more(self, subject: str) -> None:
        """Count a strike, and spare the event from now on: three deaths would make it poison."""
        self.verdict.struck += 1
        if subject:
            self.struck.add(subject)

    def stopping(self, *, till_it_ended: bool) -> Act:
        """Give an act that SIGSTOPs who sent what is held till somebody else has claimed or ended the event.

        Then both go on: the process, and what was held.
        """

        def act(hit: Hit) -> bool:
            self.strike_no_more(hit.subject)
            event = self.stack.ledger.events(query=hit.subject, limit=1).events[0]
            os.kill(hit.pid, signal.SIGSTOP)
            try:
                self._expect(
                    f"{hit.point}, stopped: somebody else takes the event over",
                    lambda: self._moved_on(event.id, event.token, till_it_ended=till_it_ended),
                    _MOVES_ON_WITHIN,
                )
            finally:
                os.kill(hit.pid, signal.SIGCONT)
            return True

        return act

    def _moved_on(self, event: str, token: int, *, till_it_ended: bool) -> bool:
        now = self.stack.ledger.event(event)
        return now.state not in ACTIVE or (now.token > token and not till_it_ended)

    def faults(self, *faults: dict[str, object]) -> None:
        """Switch these faults of the sandbox on in place of all others, and count how often those struck."""
        self.verdict.struck += sum(one["struck"] for one in self.stack.held("GET", "faults")["faults"])
        self.stack.held("PUT", "faults", {"faults": list(faults), "seed": self.seed})

    def must(self, what: str, look: Callable[[], Any], seconds: float = 30) -> None:
        """Wait for something that must be seen; raises TimeoutError."""
        eventually(what, look, seconds)

    def play(self, scenario: Scenario) -> None:
        """Play a scenario; what it waits for in vain is a broken promise."""
        try:
            scenario.play(self)
        except TimeoutError as error:
            self.verdict.notes.append(str(error))
        finally:
            self.stack.traps.clear()

    def heal(self) -> None:
        """Wait until all that was accepted has ended, so that one death is not made worse by the next.

        The supervisor is slower to start what dies again and again, and without workers nothing is claimed.
        """
        self.must("all have ended", self.ended, SETTLES_WITHIN)

    def settle(self) -> Verdict:
        """Wait until all events have ended, and count."""
        accepted = self._accepted()
        self._expect("no event is unfinished", self.ended, SETTLES_WITHIN)
        self.faults()
        self._expect("second tickets are closed and alarmed", self._single, _EXTRA_CLOSED_WITHIN)
        tickets = self.tickets()
        self.verdict.limited = int(self.stack.held("GET", "requests")["limited"])
        self.verdict.judge(accepted, self._events(), tickets)
        self.verdict.recovery = self._recovery(accepted)
        self.verdict.seconds = time.monotonic() - self._started
        self._pool.shutdown()
        return self.verdict

    def _expect(self, what: str, look: Callable[[], Any], seconds: float) -> None:
        try:
            eventually(what, look, seconds)
        except TimeoutError as error:
            self.verdict.notes.append(str(error))

    def _accepted(self) -> dict[str, str]:
        accepted: dict[str, str] = {}
        for key, answer in self._answers:
            try:
                event = answer.result()
            except TimeoutError as error:
                self.verdict.notes.append(str(error))
                continue
            if accepted.setdefault(key, event) != event:
                self.verdict.notes.append(f"{key} became two events: {accepted[key]} and {event}")
        return accepted

    def ended(self) -> bool:
        """Whether no event is unfinished."""
        states = self.stack.api("stats")["states"]
        return not any(states.get(state) for state in _ACTIVE)

    def tickets(self) -> list[dict[str, Any]]:
        """Give the tickets of this run's deliveries."""
        tickets = self.stack.held("GET", "tickets")["tickets"]
        return [ticket for ticket in tickets if f"{self._tag}-" in ticket["text"]]

    def filed(self, count: int) -> None:
        """Wait until so many tickets have been filed; raises TimeoutError."""
        self.must(f"{count} tickets are filed", lambda: len(self.tickets()) >= count, SETTLES_WITHIN)

    def _single(self) -> bool:
        alarmed = {event["marker"] for event in self._events() if event["extra_tickets"]}
        return all(
            standing(mine) <= 1 and any(marker in mine[0]["text"] for marker in alarmed)
            for mine in by_key(self.tickets()).values()
            if len(mine) > 1
        )

    def _events(self) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = []
        cursor = None
        while True:
            page = self.stack.api("events", limit=200, **({"cursor": cursor} if cursor else {}))
            events += page["events"]
            cursor = page["cursor"]
            if cursor is None:
                return events

    def _recovery(self, accepted: dict[str, str]) -> float:
        """Give the longest time from a kill until an event that it had left behind was claimed again.

        Those are events that were queued or being delivered, and of which nothing else was written since.
        """
        worst = 0.0
        for event in accepted.values() if self._kills else ():
            steps = [(step.at.timestamp(), step.target) for step in self.stack.ledger.history(event)]
            for kill in self._kills:
                before = [target for at, target in steps if at <= kill]
                after = next(((at, target) for at, target in steps if at > kill), None)
                if before and before[-1] in ("queued", "delivering") and after and after[1] == "delivering":
                    worst = max(worst, after[0] - kill)
        return worst


Play = Callable[[Run], None]


@dataclass(frozen=True)
class Scenario:
    """What to play, and on which stack; not everything is for the short form."""

    play: Play
    setting: Setting
    short: bool


_scenarios: dict[str, Scenario] = {}


def scenario(setting: Setting, *, short: bool = True) -> Callable[[Play], Play]:
    """Register a scenario; its docstring names the promise that it attacks."""

    def register(play: Play) -> Play:
        _scenarios[play.__name__] = Scenario(play, setting, short)
        return play

    return register


def scenarios() -> dict[str, Scenario]:
    """Give all that are registered, those with the same setting in a row."""
    settings = [one.setting for one in _scenarios.values()]
    return dict(sorted(_scenarios.items(), key=lambda named: settings.index(named[1].setting)))
