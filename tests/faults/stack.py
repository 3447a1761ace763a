"""The whole bridge as real processes: Valkey, sandbox, web and workers, with proxies between them."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import requests
from redis.exceptions import RedisError
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from cli.store import server_binary, socket_path, store_part
from sandbox.options import DEFAULT_NETWORK_ID, SandboxOptions
from service.core.ledger.reader import Reader
from service.core.store import PREFIX, connect
from tests.cli.conftest import LOCATION
from tests.conftest import free_port
from tests.faults.proxy import Proxy, Traps
from tests.faults.wire import Commands, Requests
from workers.main import bridge_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from redis import Redis

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
TOKEN = "a-token-for-the-fault-suite"
_START_WITHIN = 40.0
_POLL = 0.05

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Setting:
    """What a stack is made with. Scenarios with the same setting share a stack.

    `whole`: as one `bridge up`, without proxies. `quick`: with a lease and a handover of 2 s and a time-out
    of 1 s, instead of the bridge's own 10 s and a time-out of 2 s.
    """

    processes: int = 4
    rate: float = 500
    sandbox_rate: int = 0
    faketime: bool = False
    whole: bool = False
    quick: bool = True

    @property
    def timeout(self) -> float:
        """The time-out of a call to Spacebring, and so the grace, in seconds."""
        return 1 if self.quick else 2

    def config(self) -> str:
        """Give the bridge.toml."""
        lines = ["[spacebring]", 'location = "downtown"', f"rate = {self.rate}", f"timeout = {self.timeout}"]
        # An outage is a scenario of its own: elsewhere a pause would only slow the faults down.
        times = {"probe": 1, "outage_after": 15, "retry_base": 0.2, "retry_cap": 2}
        if self.quick:
            times |= {"lease": 2, "handover": 2}
        lines += ["[delivery]", *(f"{key} = {value}" for key, value in times.items())]
        lines += ["[locations]", f'downtown = "{LOCATION}"', "[[channels]]", 'name = "api"']
        lines += ['source = "json"', f'token = "{TOKEN}"', 'requester = "none"']
        return "\n".join(lines)


def eventually(what: str, look: Callable[[], _Value], seconds: float) -> _Value:
    """Look until there is something to see, and give it; raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(RedisError, requests.RequestException):
            if found := look():
                return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:.0f} s: {what}")
        time.sleep(_POLL)


class Kept:
    """A process that is started again whenever it ends, as a platform would."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._command, self._environment, self._log = list(command), dict(environment), log
        self._may_run = threading.Event()
        self._ending = False
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, daemon=True)

    @property
    def pid(self) -> int:
        """The process that runs now, or ran last."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Let it run."""
        if not self._thread.is_alive():
            self._thread.start()
        self._may_run.set()

    def kill(self, *, stays_down: bool = False) -> None:
        """SIGKILL the process alone; its children are left to themselves."""
        if stays_down:
            self._may_run.clear()
        if self._process:
            self._process.kill()

    def end(self) -> None:
        """Stop it for good, with all that it has started."""
        self._ending = True
        family = [self.pid, *(pid for pid, _ in descendants(self.pid))] if self.pid else []
        self._may_run.set()
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self._thread.is_alive():
            self._thread.join()

    def _keep(self) -> None:
        while not self._ending:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    self._command, env=self._environment, stdout=log, stderr=log, start_new_session=True
                )
            self._process.wait()
            self._may_run.wait()


def descendants(parent: int) -> Iterator[tuple[int, bytes]]:
    """Give the processes below one, each with its command line."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                above = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(above, []).append(int(entry.name))
    waiting = [parent]
    while waiting:
        for pid in children.get(waiting.pop(), []):
            waiting.append(pid)
            with contextlib.suppress(OSError):
                yield pid, Path(f"/proc/{pid}/cmdline").read_bytes()


class Stack:
    """Everything that runs, from `start` to `end`."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.folder = Path(tempfile.mkdtemp(prefix="faults"))
        self.traps = Traps()
        self._clock = self.folder / "clock"
        self.step_clock(0)
        (self.folder / "store").mkdir()
        self._socket = socket_path(self.folder)
        web, sandbox = free_port(), free_port()
        self.base, self._sandbox = f"http://127.0.0.1:{web}", f"http://127.0.0.1:{sandbox}"
        self._environment = {
            **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")},
            "BRIDGE_CONFIG": setting.config(),
            "BRIDGE_DATA": str(self.folder),
            "BRIDGE_API_TOKEN": TOKEN,
            "BRIDGE_ADMIN_PASSWORD": TOKEN,
            "BRIDGE_SECRET_KEY": TOKEN * 2,
            "PORT": str(web),
            "SANDBOX_PORT": str(sandbox),
            "LOG_FORMAT": "json",
        }
        self._proxies: list[Proxy] = []
        processes = ("--processes", str(setting.processes))
        if setting.whole:
            self.store = self.sandbox = self.web = self.pool = self._kept(
                "up", *bridge_command("up", *processes)
            )
        else:
            api = socket.create_server(("127.0.0.1", 0))
            reach = partial(socket.create_connection, ("127.0.0.1", sandbox))
            self._proxies.append(Proxy(api, reach, Requests, self.traps))
            self._environment |= {
                "SPACEBRING_URL": f"http://127.0.0.1:{api.getsockname()[1]}",
                "SPACEBRING_NETWORK_ID": DEFAULT_NETWORK_ID,
                "SPACEBRING_TOKEN": SandboxOptions(locations={}).token,
            }
            store = store_part(self.folder, server_binary(), 0).command
            limit = ("--rate", str(setting.sandbox_rate), *(["--strict"] if setting.sandbox_rate else []))
            self.store = self._kept("store", *store, **self._faked())
            self.sandbox = self._kept("sandbox", *bridge_command("sandbox", *limit))
            web_command = bridge_command("web", "--host", "127.0.0.1")
            self.web = self._kept("web", *web_command, REDIS_URL=self._proxied("web"))
            pool = bridge_command("worker", *processes)
            self.pool = self._kept("worker", *pool, REDIS_URL=self._proxied("worker"))
        self.redis: Redis = connect(f"unix://{self._socket}")
        self.ledger = Reader(self.redis, PREFIX)
        self.http = requests.Session()
        # The suite's own questions outlive the deaths of the process that they are put to.
        again = Retry(
            60,
            backoff_factor=0.1,
            backoff_max=0.5,
            status_forcelist=[502, 503],
            allowed_methods=None,
            respect_retry_after_header=False,
        )
        self.http.mount("http://", HTTPAdapter(max_retries=again))

    def _kept(self, name: str, *command: str, **environment: str) -> Kept:
        return Kept(command, self._environment | environment, self.folder / f"{name}.log")

    def _faked(self) -> dict[str, str]:
        if not self.setting.faketime:
            return {}
        return {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(self._clock),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def _proxied(self, name: str) -> str:
        path = self.folder / f"{name}.sock"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen(128)

        def reach() -> socket.socket:
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(str(self._socket))
            return connection

        self._proxies.append(Proxy(listener, reach, Commands, self.traps))
        return f"unix://{path}"

    def start(self) -> None:
        """Start everything, and wait until it works; raises TimeoutError."""
        for one in (self.store, self.sandbox, self.web):
            one.start()
        self.store_answers()
        self.pool.start()
        eventually("all workers alive", self.ready, _START_WITHIN)

    def end(self) -> None:
        """SIGKILL everything."""
        self.traps.clear()
        for one in (self.pool, self.web, self.sandbox, self.store):
            one.end()
        for proxy in self._proxies:
            proxy.close()
        self.http.close()
        self.redis.close()

    def forget(self) -> None:
        """Remove its files."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def ready(self) -> bool:
        """Whether all workers are alive, and web and sandbox answer."""
        self.held("GET", "tickets")
        return bool(self.api("stats")["workers"] >= self.setting.processes)

    def store_answers(self) -> None:
        """Wait until Valkey has loaded its data and answers."""
        eventually("Valkey answers", self.redis.ping, _START_WITHIN)

    def api(self, path: str, **query: object) -> Any:  # noqa: ANN401 - as JSON is
        """Ask the bridge's API; raises requests.RequestException."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        answer = self.http.get(f"{self.base}/api/{path}", params=query, headers=headers, timeout=10)  # type: ignore[arg-type] # plain values
        answer.raise_for_status()
        return answer.json()

    def held(self, method: str, what: str, body: object = None) -> Any:  # noqa: ANN401 - as JSON is
        """Ask the sandbox for its `tickets`, `faults` or `requests`, or set them."""
        answer = self.http.request(method, f"{self._sandbox}/sandbox/{what}", json=body, timeout=10)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def pids(self, role: str) -> list[int]:
        """Give the processes of a role: `worker`, `dispatcher`, `web worker`, or a kept one's name."""
        kept = {"web": self.web, "supervisor": self.pool, "store": self.store}
        if role in kept:
            return [kept[role].pid]
        parent = self.web if role == "web worker" else self.pool
        word = b"gunicorn" if role == "web worker" else b"--role\0" + role.encode()
        return sorted(pid for pid, command in descendants(parent.pid) if word in command)

    def kill_everything(self) -> None:
        """SIGKILL all of the bridge at once, Valkey too, as when the machine goes."""
        pids = [pid for kept in (self.pool, self.web) for pid, _ in descendants(kept.pid)]
        for pid in [self.pool.pid, self.web.pid, self.store.pid, *pids]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def step_clock(self, seconds: float) -> None:
        """Set Valkey's clock so far off the real one; only where the stack has libfaketime."""
        new = self._clock.with_suffix(".new")
        new.write_text(f"{seconds:+}\n")
        new.replace(self._clock)
