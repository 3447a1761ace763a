"""`python -m tests.faults`: run the fault suite and print its table; 1 where a promise was broken."""

from __future__ import annotations

import argparse
import contextlib
import random
import signal
import sys
import time
from dataclasses import replace

from tests.faults import scenarios as _registered  # noqa: F401 - registers them
from tests.faults.run import Run, scenarios
from tests.faults.stack import FAKETIME, Setting, Stack
from tests.faults.verdict import Verdict, table


class Suite:
    """Runs scenarios one after the other; a stack serves all in a row that have its setting."""

    def __init__(self, seed: int, *, full: bool) -> None:
        self._seed, self._full = seed, full
        self._stack: Stack | None = None
        self.rows: list[Verdict] = []
        self.failed: list[str] = []

    def run(self, name: str) -> None:
        """Run one scenario, and start afresh after one that failed."""
        scenario = scenarios()[name]
        setting = scenario.setting if self._full else replace(scenario.setting, quick=True)
        if setting.faketime and FAKETIME is None:
            print(f"{name}: NOT RUN: Valkey's clock cannot be stepped; install the package libfaketime")
            return
        run = Run(self._on(setting), name, self._seed, full=self._full)
        run.play(scenario)
        verdict = run.settle()
        self.rows.append(verdict)
        print(f"{name}: {'FAILED' if verdict.failed else 'passed'} in {verdict.seconds:.1f} s", flush=True)
        if verdict.failed:
            print(f"  {verdict}")
            self.failed.append(name)
            form = "faults" if self._full else "faults-short"
            print(f"  logs in {run.stack.folder}; replay with: make {form} SEED={self._seed} ONLY={name}")
            self.end(keep=True)

    def _on(self, setting: Setting) -> Stack:
        if self._stack is None or self._stack.setting != setting:
            self.end()
            self._stack = Stack(setting)
            self._stack.start()
        return self._stack

    def end(self, *, keep: bool = False) -> None:
        """Stop what runs."""
        if self._stack is not None:
            self._stack.end()
            if not keep:
                self._stack.forget()
            self._stack = None


def main() -> int:
    """Read the arguments, run, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--full", action="store_true", help="the long form: more events, more faults")
    parser.add_argument("--seed", type=int, help="repeat the choices of an earlier run")
    parser.add_argument("--only", nargs="*", choices=tuple(scenarios()), metavar="SCENARIO")
    given = parser.parse_args()
    # So that nothing is left running where CI ends this.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    seed = random.SystemRandom().randrange(10_000) if given.seed is None else given.seed
    suite = Suite(seed, full=given.full)
    print(f"{'Full' if given.full else 'Short'} form, seed {seed}", flush=True)
    started = time.monotonic()
    with contextlib.ExitStack() as ending:
        ending.callback(suite.end)
        for name, one in scenarios().items():
            if name in given.only if given.only else given.full or one.short:
                suite.run(name)
    print(f"\n{table(suite.rows)}\n\nSeed {seed}, {time.monotonic() - started:.0f} s.", end=" ")
    print(f"FAILED: {', '.join(suite.failed)}" if suite.failed else "All promises held.")
    return 1 if suite.failed or not suite.rows else 0


if __name__ == "__main__":
    sys.exit(main())
