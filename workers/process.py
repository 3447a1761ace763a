"""One worker process: RQ's `SimpleWorker` with the manners that a supervisor and Heroku ask for."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError
from rq import SimpleWorker, worker_registration
from rq.exceptions import StopRequested

from config.logging import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from redis.client import Pipeline
    from rq import Queue
    from rq.job import Job

_log = get_logger("worker")
# Heroku kills 30 s after SIGTERM; a job that has not ended by now is left to the next holder.
HARD_EXIT = 24.0
BEGIN, END = b"+", b"-"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0
# A worker that ends later than this is replaced without a longer pause.
_SETTLED = 10.0


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

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """Say that this worker lives, and that it is one: a Redis that came back empty has forgotten it."""
        super().heartbeat(timeout, pipeline)
        if pipeline is None:
            worker_registration.register(self)

    def teardown(self) -> None:
        """Say goodbye; where Redis is away, the registration ends by itself."""
        try:
            super().teardown()  # type: ignore[no-untyped-call]  # RQ does not type it
        except RedisError:
            # RQ types it as None for ever.
            listening: Any = self.pubsub_thread
            if listening:
                listening.stop()

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


class Shifts:
    """One worker after another until SIGTERM.

    RQ's own endures that Redis is away while it waits for a job; where Redis goes in the midst of one, or
    is not there at the start, it ends. The event comes due again, and the process waits for Redis. Run it
    in the main thread.
    """

    def __init__(
        self, make: Callable[[], DeliveryWorker], *, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        self._make = make
        self._sleep = sleep
        self._worker: DeliveryWorker | None = None
        self._stopped = False

    @property
    def draining(self) -> bool:
        """Whether a signal has asked this process to stop."""
        return self._stopped or (self._worker is not None and self._worker.draining)

    def run(self) -> None:
        """Work until told to stop."""
        pause = _FIRST_PAUSE
        with suppress(StopRequested):
            while not self.draining:
                # Those of the worker before would stop that one only.
                for number in (signal.SIGTERM, signal.SIGINT):
                    signal.signal(number, self._stop)
                started = time.monotonic()
                self._shift()
                if not self.draining:
                    pause = _FIRST_PAUSE if time.monotonic() - started > _SETTLED else pause
                    self._sleep(pause)
                    pause = min(pause * 2, _LONGEST_PAUSE)

    def _shift(self) -> None:
        try:
            self._worker = self._make()
            self._worker.work(logging_level="WARNING")
        except RedisError as error:
            _log.warning("Redis is away", error=type(error).__name__)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopped = True
        raise StopRequested
