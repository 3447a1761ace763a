"""One worker process: RQ's `SimpleWorker` with the manners that a supervisor and Heroku ask for."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from rq import SimpleWorker

from config.logging import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from rq import Queue
    from rq.job import Job

_log = get_logger("worker")
# Heroku kills 30 s after SIGTERM; a job that has not ended by now is left to the next holder.
HARD_EXIT = 24.0
BEGIN, END = b"+", b"-"


class Pulse:
    """Tells the supervisor when a job begins and ends, through a pipe it gave us; silent without one."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def send(self, what: bytes) -> None:
        """Write one byte; a supervisor that is gone ends this process soon anyway."""
        if self._descriptor is not None:
            with suppress(OSError):
                os.write(self._descriptor, what)


class DeliveryWorker(SimpleWorker):
    """Drains on the first signal, ignores further ones, and leaves for good after `hard_exit` seconds."""

    # RQ waits up to a minute between two tries to reach Redis.
    max_connection_wait_time = 5.0
    pulse = Pulse(None)
    hard_exit = HARD_EXIT
    leave: Callable[[int], object] = staticmethod(os._exit)

    @property
    def draining(self) -> bool:
        """Whether a signal has asked this process to stop."""
        return self._shutdown_requested_date is not None

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run a job in this process, between two pulses."""
        self.pulse.send(BEGIN)
        try:
            super().execute_job(job, queue)
        finally:
            self.pulse.send(END)

    def handle_warm_shutdown_request(self) -> None:
        """Begin to drain: nothing new is begun, and the clock runs."""
        timer = threading.Timer(self.hard_exit, self._leave)
        timer.daemon = True
        timer.start()

    def request_force_stop(self, signum: int, frame: FrameType | None) -> None:
        """Ignore a second signal: raising in the middle of a POST would make its outcome unknown."""
        del signum, frame

    def _leave(self) -> None:
        _log.error("still busy: leaving; the event comes due again when its lease ends")
        self.leave(1)
