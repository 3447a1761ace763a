"""Starts processes, restarts those that die, kills those that hang, and stops them in order.

One class serves `bridge worker` (dispatcher and workers) and `bridge up` (store, web, worker,
sandbox). Why not a library: `docs/adr/0001-our-own-supervisor.md`.
"""

from __future__ import annotations

import ctypes
import math
import os
import selectors
import signal
import subprocess
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from config.logging import get_logger
from workers.process import BEGIN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import FrameType

_log = get_logger("supervisor")
PULSE_FD = "BRIDGE_PULSE_FD"
_PR_SET_PDEATHSIG = 1
_SETTLED = 10.0
_MAX_DELAY = 4.0
_READY_WITHIN = 30.0


@dataclass(frozen=True)
class Part:
    """One process to keep running.

    Parts of a lower `stage` start first and stop last; the next stage waits until `ready` is true.
    `hard` is the longest a job may take, in seconds, for a part that pulses.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    stage: int = 0
    grace: float = 25.0
    hard: float | None = None
    ready: Callable[[], bool] | None = None
    keep: Sequence[int] = ()


class _Running:
    """A part's process, as the supervisor sees it. Times are of `time.monotonic`."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.process: subprocess.Popen[bytes] | None = None
        self.pulse: int | None = None
        self.started = 0.0
        # Until its stage is reached it is not due.
        self.start_at = math.inf
        self.delay = 0.25
        self.busy_since: float | None = None

    @property
    def alive(self) -> bool:
        return self.process is not None


class Supervisor:
    """Runs until SIGINT or SIGTERM; call `run` from the main thread."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._all = [_Running(part) for part in sorted(parts, key=lambda part: part.stage)]
        self._selector = selectors.DefaultSelector()
        self._stopping = False

    def run(self, started: Callable[[], None] = lambda: None) -> None:
        """Start everything, call `started`, keep it running, and stop it when told to."""
        reader, writer = os.pipe()
        for descriptor in (reader, writer):
            os.set_blocking(descriptor, False)
        self._selector.register(reader, selectors.EVENT_READ, None)
        previous = {
            number: signal.signal(number, self._on_signal)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)
        }
        wakeup = signal.set_wakeup_fd(writer)
        try:
            if self._start_stages():
                started()
            while not self._stopping:
                self._start_due()
                self._wait(self._next())
                self._reap()
                self._kill_hanging()
            self._stop_stages()
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in previous.items():
                signal.signal(number, handler)
            self._selector.close()
            os.close(reader)
            os.close(writer)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number != signal.SIGCHLD:
            self._stopping = True

    def _start_stages(self) -> bool:
        """Start stage by stage; False where a signal came meanwhile."""
        for running in self._all:
            self._start(running)
            deadline = time.monotonic() + _READY_WITHIN
            while running.part.ready and not running.part.ready():
                if self._stopping or time.monotonic() > deadline:
                    break
                self._wait(0.05)
                self._reap()
                self._start_due()
            if self._stopping:
                return False
        return True

    def _start(self, running: _Running) -> None:
        part = running.part
        environment = {**os.environ, **part.environment}
        keep = list(part.keep)
        writer: int | None = None
        if part.hard is not None:
            running.pulse, writer = os.pipe()
            os.set_blocking(running.pulse, False)
            self._selector.register(running.pulse, selectors.EVENT_READ, running)
            environment[PULSE_FD] = str(writer)
            keep.append(writer)
        running.process = subprocess.Popen(  # noqa: S603 - our own commands
            list(part.command),
            env=environment,
            pass_fds=keep,
            # Ctrl-C in a terminal reaches the whole group: the order of stopping is ours to keep.
            start_new_session=True,
            preexec_fn=partial(die_with, os.getpid()),  # noqa: PLW1509 - this process has one thread
        )
        if writer is not None:
            os.close(writer)
        running.started = time.monotonic()
        running.busy_since = None
        _log.info("started", part=part.name, pid=running.process.pid)

    def _start_due(self) -> None:
        for running in self._all:
            if not running.alive and time.monotonic() >= running.start_at:
                self._start(running)

    def _next(self) -> float | None:
        """Give the seconds until something is to be done, None where only an event can tell."""
        now = time.monotonic()
        times = [running.start_at for running in self._all if not running.alive]
        times += [
            running.busy_since + running.part.hard
            for running in self._all
            if running.busy_since is not None and running.part.hard is not None
        ]
        return max(0.0, min(times) - now) if times else None

    def _wait(self, seconds: float | None) -> None:
        for key, _ in self._selector.select(seconds):
            data = os.read(key.fd, 4096)
            running: _Running | None = key.data
            if running is None:
                continue
            if data:
                running.busy_since = time.monotonic() if data.endswith(BEGIN) else None
            else:
                self._forget_pulse(running)

    def _forget_pulse(self, running: _Running) -> None:
        if running.pulse is not None:
            self._selector.unregister(running.pulse)
            os.close(running.pulse)
            running.pulse = None

    def _reap(self) -> None:
        now = time.monotonic()
        for running in self._all:
            if running.process is None or running.process.poll() is None:
                continue
            code = running.process.returncode
            lived = now - running.started
            running.process = None
            running.busy_since = None
            self._forget_pulse(running)
            if self._stopping:
                continue
            running.delay = 0.25 if lived > _SETTLED else min(running.delay * 2, _MAX_DELAY)
            running.start_at = now + running.delay
            _log.warning("died", part=running.part.name, code=code, again_in=running.delay)

    def _kill_hanging(self) -> None:
        for running in self._all:
            hard, since = running.part.hard, running.busy_since
            if running.process and hard and since is not None and time.monotonic() >= since + hard:
                _log.error("a job passed its hard limit: killing its worker", part=running.part.name)
                running.process.kill()
                running.busy_since = None

    def _stop_stages(self) -> None:
        for stage in sorted({running.part.stage for running in self._all}, reverse=True):
            members = [running for running in self._all if running.part.stage == stage]
            for running in members:
                if running.process:
                    running.process.terminate()
            deadline = time.monotonic() + max(running.part.grace for running in members)
            while any(running.alive for running in members) and time.monotonic() < deadline:
                self._wait(min(0.5, max(0.0, deadline - time.monotonic())))
                self._reap()
            for running in members:
                if running.process:
                    _log.error("did not stop in time: killing it", part=running.part.name)
                    running.process.kill()
                    running.process.wait()


def die_with(
    parent: int, *, library: object | None = None, leave: Callable[[int], object] = os._exit
) -> None:
    """Ask the kernel for SIGTERM when the parent dies. Runs in the child, before it becomes its program.

    Only Linux can: elsewhere a killed supervisor leaves its children running.
    """
    prctl = getattr(library or ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    # It may have died before we asked.
    if os.getppid() != parent:
        leave(1)
