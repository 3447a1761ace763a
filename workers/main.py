"""`bridge worker`: a supervisor over one dispatcher and a pool of RQ worker processes."""

from __future__ import annotations

import os
import signal
import socket
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rq import Queue
from sentry_sdk.integrations.rq import RqIntegration

from config.logging import get_logger
from config.sentry import report_errors
from service.core.errors import ConfigError
from service.core.ledger import Timings
from service.core.mapping.requesters import RequesterCache
from service.core.memory import RedisMemory
from service.core.queue import SERIALIZER, SWEEPS, TICKETS
from service.core.store import PREFIX, connect
from service.core.wiring import open_doors, open_ledger
from workers import sweep
from workers.delivery import Deliverer, install
from workers.dispatcher import Dispatcher
from workers.process import DeliveryWorker, Pulse, Shifts
from workers.receipts import Teller
from workers.reconcile import Reconciler
from workers.schedule import Schedule
from workers.spacebring.client import SpacebringClient
from workers.spacebring.credentials import credentials
from workers.spacebring.limiter import Limiter
from workers.supervisor import PULSE_FD, Part, Supervisor
from workers.verdicts import Options

if TYPE_CHECKING:
    from types import FrameType

    from redis import Redis

    from config.channels import Config
    from config.settings import Settings
    from config.store import StoreAddress

_log = get_logger("worker")
_ROOT = Path(__file__).resolve().parent.parent
# An idle worker blocks for `worker_ttl` - 15 s in a pop: it notices within 5 s that it should stop.
WORKER_TTL = 20
# A longer wait for the limiter is better spent in the ledger: the event comes due again.
MAX_WAIT = 5
NO_STORE = "REDIS_URL is not set: give the URL of a Redis or Valkey server, such as redis://localhost:6379/0"


def bridge_command(*arguments: str) -> tuple[str, ...]:
    """Give the command line of a `bridge` process, run by this interpreter."""
    return (sys.executable, str(_ROOT / "bin" / "bridge"), *arguments)


def run_pool(config: Config, processes: int) -> None:
    """Run one dispatcher and so many workers until SIGTERM; each is restarted when it dies."""
    hard = timings(config).hard
    parts = [Part("dispatcher", bridge_command("worker", "--role", "dispatcher"))]
    parts += [
        Part(f"worker-{number}", bridge_command("worker", "--role", "worker"), hard=hard)
        for number in range(1, processes + 1)
    ]
    Supervisor(parts).run()


def timings(config: Config) -> Timings:
    """Give the lease times; a job may take a call's whole time-out for each of its few calls."""
    delivery, timeout = config.delivery, config.spacebring.timeout
    return Timings(
        lease=delivery.lease,
        handover=delivery.handover,
        renew=delivery.lease * 0.3,
        hard=max(60.0, timeout * 4 + 20),
        grace=timeout,
    )


def options(config: Config) -> Options:
    """Give what a deployment may set for delivery."""
    delivery = config.delivery
    return Options(
        text_limit=config.spacebring.text_limit,
        probe=delivery.probe,
        outage_after=delivery.outage_after,
        schedule=Schedule(delivery.retry_base, delivery.retry_cap, tries=delivery.tries),
    )


def run_dispatcher(settings: Settings, config: Config) -> None:
    """Dispatch until SIGTERM."""
    report_errors(settings.sentry_dsn)
    redis = connect(store(settings))
    stopped: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        stopped.append(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    ledger = open_ledger(redis, config, timings=timings(config))
    doors = open_doors(config)
    Teller(ledger, redis, doors, stopping=lambda: bool(stopped)).start()
    Dispatcher(ledger, redis, stopping=lambda: bool(stopped)).run()


def run_worker(settings: Settings, config: Config) -> None:
    """Work jobs until SIGTERM."""
    report_errors(settings.sentry_dsn, RqIntegration())
    redis = connect(store(settings))
    name = f"{socket.gethostname()}-{os.getpid()}"
    shifts = Shifts(partial(_shift, settings, redis, name))
    timeout = config.spacebring.timeout
    limiter = Limiter(redis, rate=config.spacebring.rate, timeout=timeout, max_wait=MAX_WAIT)
    # Tokens are renewed in the middle of other calls, whose place serves for that too.
    placeless = partial(limiter.call, with_place=False)
    auth = credentials(settings, redis, timeout=timeout, slots=placeless)
    # The delivery takes its slot by itself, before it begins an attempt.
    client = SpacebringClient(settings.spacebring_url, auth, timeout=timeout)
    looking = SpacebringClient(settings.spacebring_url, auth, timeout=timeout, slots=limiter.call)

    def look_up(location: str, email: str) -> str | None:
        return next((member.user_ref for member in looking.find_members(location, email)), None)

    ledger = open_ledger(redis, config, timings=timings(config))
    reconciler = Reconciler(ledger, redis, looking)
    sweep.install(sweep.Sweeper(ledger, reconciler, looking))
    doors = open_doors(config)
    install(
        Deliverer(
            ledger,
            doors,
            client,
            find_requester=RequesterCache(redis, look_up, prefix=PREFIX),
            reconciler=reconciler,
            limiter=limiter,
            worker=name,
            options=options(config),
            memory=partial(RedisMemory, redis),
            stopping=lambda: shifts.draining,
        )
    )
    shifts.run()


def _shift(settings: Settings, redis: Redis, name: str) -> DeliveryWorker:
    """Give an RQ worker with a connection of its own."""
    pulse = os.environ.get(PULSE_FD)
    one = DeliveryWorker(
        # In this order: no delivery waits for a sweep that has not begun.
        [Queue(queue, connection=redis, serializer=SERIALIZER) for queue in (TICKETS, SWEEPS)],
        name=f"{name}-{os.urandom(3).hex()}",
        connection=connect(store(settings)),
        serializer=SERIALIZER,
        worker_ttl=WORKER_TTL,
        log_job_description=False,
    )
    one.pulse = Pulse(int(pulse) if pulse else None)
    return one


def store(settings: Settings) -> StoreAddress:
    """Give the address of Redis; raises ConfigError where there is none."""
    if settings.store is None:
        raise ConfigError([NO_STORE])
    return settings.store
