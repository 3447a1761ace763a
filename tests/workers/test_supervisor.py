"""The supervisor, over small processes of the real kind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import until
from workers.supervisor import PULSE_FD, Part, Supervisor, die_with

if TYPE_CHECKING:
    from collections.abc import Callable

SAY = "import os, sys; open(sys.argv[1], 'a').write(f'{os.getpid()}\\n')"
STAY = f"{SAY}; import signal; signal.pause()"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SAY}; signal.pause()"
HANG = f"{SAY}; os.write(int(os.environ['{PULSE_FD}']), b'+'); import signal; signal.pause()"
WORK = (
    f"{SAY}; fd = int(os.environ['{PULSE_FD}']); os.write(fd, b'+'); os.write(fd, b'-'); os.close(fd); "
    "import signal; signal.pause()"
)


def part(name: str, code: str, log: Path, **options: object) -> Part:
    return Part(name, (sys.executable, "-S", "-c", code, str(log)), **options)  # type: ignore[arg-type]


def starts(log: Path) -> list[int]:
    return [int(line) for line in log.read_text().split()] if log.exists() else []


def run_until(supervisor: Supervisor, enough: Callable[[], bool]) -> None:
    """Run it, and stop it as Ctrl-C does once that is so."""
    done = threading.Event()

    def watch() -> None:
        while not enough() and not done.wait(0.02):
            pass
        os.kill(os.getpid(), signal.SIGINT)

    watcher = threading.Thread(target=watch)
    watcher.start()
    supervisor.run()
    done.set()
    watcher.join()


def test_a_part_that_ends_is_started_again(tmp_path: Path) -> None:
    log = tmp_path / "log"

    run_until(Supervisor([part("short", SAY, log)]), lambda: len(starts(log)) >= 2)

    assert len(set(starts(log))) >= 2


def test_a_part_whose_job_hangs_is_killed_and_started_again(tmp_path: Path) -> None:
    log = tmp_path / "log"

    run_until(Supervisor([part("hanging", HANG, log, hard=0.2)]), lambda: len(starts(log)) >= 2)

    assert len(set(starts(log))) >= 2


def test_a_part_whose_jobs_end_is_left_alone(tmp_path: Path) -> None:
    log, other = tmp_path / "log", tmp_path / "other"
    parts = [part("working", WORK, log, hard=0.2), part("short", SAY, other)]

    run_until(Supervisor(parts), lambda: len(starts(other)) >= 3 and bool(starts(log)))

    assert len(starts(log)) == 1


def test_stages_start_in_order_and_stop_in_reverse(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    order: list[str] = []

    def ready() -> bool:
        order.append("second" if starts(second) else "first")
        return bool(starts(first))

    parts = [part("second", STAY, second, stage=2), part("first", STAY, first, stage=1, ready=ready)]
    told = threading.Event()

    def stop() -> None:
        told.wait(20)
        os.kill(os.getpid(), signal.SIGTERM)

    stopper = threading.Thread(target=stop)
    stopper.start()
    Supervisor(parts).run(told.set)
    stopper.join()

    assert told.is_set()
    assert set(order) == {"first"}


def test_a_signal_while_starting_ends_it_before_the_next_stage(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    parts = [
        part("first", STAY, first, ready=lambda: False),
        part("second", SAY, second, stage=1),
    ]

    run_until(Supervisor(parts), lambda: bool(starts(first)))

    assert starts(second) == []


def test_a_part_that_will_not_stop_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"

    run_until(Supervisor([part("stubborn", STUBBORN, log, grace=0.3)]), lambda: bool(starts(log)))

    (pid,) = starts(log)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_part_dies_with_its_parent(tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = (
        "import sys; from workers.supervisor import Part, Supervisor; "
        f"Supervisor([Part('p', (sys.executable, '-S', '-c', {STAY!r}, {str(log)!r}))]).run()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        until(lambda: starts(log))
        parent.kill()
    (pid,) = starts(log)
    until(lambda: not _runs(pid))


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


class _Library:
    """A C library without prctl, as on macOS."""


def test_a_child_whose_parent_is_gone_leaves_at_once() -> None:
    left: list[int] = []

    die_with(-1, library=_Library(), leave=left.append)
    die_with(os.getppid(), library=_Library(), leave=left.append)

    assert left == [1]


class _Linux:
    """A C library with prctl, that remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def prctl(self, option: int, value: int) -> None:
        self.asked.append((option, value))


def test_on_linux_the_kernel_is_asked_for_a_signal_at_the_parents_death() -> None:
    library = _Linux()

    die_with(os.getppid(), library=library)

    assert library.asked == [(1, signal.SIGTERM)]
