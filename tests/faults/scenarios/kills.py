"""SIGKILL of every kind of process, at every point of a delivery."""

from __future__ import annotations

import os
import signal

from tests.faults.run import POINTS, Run, scenario
from tests.faults.stack import Setting

_SETTING = Setting(quick=False)


@scenario(_SETTING)
def kill_worker(run: Run) -> None:
    """Attack promises 2 and 3: a worker dies before or after each of its writes, holding an event."""
    for point in run.mixed(*POINTS * run.size(1, 4)):
        run.strike(point, run.kill)
    run.send(run.size(8, 100))


@scenario(_SETTING, short=False)
def kill_looker(run: Run) -> None:
    """Attack promise 3: a worker dies while it looks whether a ticket of unknown fate was made."""
    run.faults(
        {"kind": "reset_after_commit", "every": 2, "times": 40},
        {"kind": "reset", "every": 2, "times": 40},
    )
    # A lister that dies holds the others up for 20 s.
    for point in run.mixed(*("before list", "after list") * 2):
        run.strike(point, run.kill)
    run.send(50)


@scenario(_SETTING)
def kill_dispatcher(run: Run) -> None:
    """Attack promise 2: the dispatcher dies with events handed out, their jobs in the queue or not."""
    points = ("before take", "after take", "before enqueue", "after enqueue")
    for point in run.mixed(*points * run.size(1, 2)):
        run.strike(point, run.kill)
        run.heal()
    run.send(run.size(8, 50))


@scenario(_SETTING)
def kill_web(run: Run) -> None:
    """Attack promise 1: the web process dies before or after the accept; its sender sends again."""
    for point in run.mixed(*("before accept", "after accept") * run.size(2, 8)):
        run.strike(point, run.kill)
    run.send(run.size(8, 100))
    for pid in run.stack.pids("web"):
        os.kill(pid, signal.SIGKILL)
    run.send(run.size(4, 20))


@scenario(_SETTING)
def kill_supervisor(run: Run) -> None:
    """Attack promise 2: the supervisor dies; its workers drain, their successors find what is left."""
    for point in run.random.sample(POINTS, run.size(2, len(POINTS))):
        run.strike(point, run.killing("supervisor"))
        run.heal()
    run.send(run.size(4, 30))


@scenario(_SETTING)
def kill_all(run: Run) -> None:
    """Attack all promises: everything dies at once, Valkey too, with an event at a point of its delivery."""
    for point in run.random.sample(POINTS, run.size(2, len(POINTS))):
        run.strike(point, run.killing("all"))
        run.send(run.size(4, 20))
        run.heal()


@scenario(_SETTING)
def kill_anybody(run: Run) -> None:
    """Attack all promises: some process dies at some message of some event, again and again."""
    roles = ("worker", "dispatcher", "web worker", "web", "supervisor", "store", "worker")
    points = (*POINTS, "before take", "after enqueue", "before accept", "after accept")
    for _ in range(run.size(2, 12)):
        point, role, skip = run.random.choice(points), run.random.choice(roles), run.random.randrange(6)
        run.send(skip)
        run.strike(point, run.killing(role), skip=skip)
        run.heal()
    run.send(run.size(8, 100))


@scenario(Setting(rate=10, whole=True, quick=False), short=False)
def kill_up(run: Run) -> None:
    """Attack all promises: `bridge up` dies with all that it started, and is run again in its directory."""
    for _ in range(5):
        run.send(20)
        run.filed(len(run.tickets()) + run.random.randrange(1, 8))
        run.note("")
        run.stack.kill_everything()
        run.heal()
