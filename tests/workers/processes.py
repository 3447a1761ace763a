"""A bridge in real processes, each without a supervisor: who ends stays away."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import threading
import time
from typing import Any, Self

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from sandbox.options import DEFAULT_NETWORK_ID
from tests.cli.conftest import CONFIG
from tests.conftest import free_port
from workers.main import bridge_command

WITHIN = 60


class Process:
    """A `bridge` command of its own, with what it prints."""

    def __init__(self, *arguments: str, environment: dict[str, str]) -> None:
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.process = subprocess.Popen(
            bridge_command(*arguments),
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)

    def forget(self) -> None:
        """Look only at what is printed from now on."""
        while not self._lines.empty():
            self._lines.get()

    def read_until(self, *words: str) -> None:
        """Wait until one of the words was printed."""
        deadline = time.monotonic() + WITHIN
        read: list[str] = []
        while not any(word in line for word in words for line in read[-1:]):
            try:
                read.append(self._lines.get(timeout=max(0, deadline - time.monotonic())))
            except queue.Empty:
                raise AssertionError(f"{words} were not printed, but {read[-20:]}") from None

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(WITHIN)
        finally:
            self.process.kill()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


class Bridge:
    """A web side, a dispatcher and a worker on the store of `environment`; all must end well."""

    def __init__(self, sandbox: str, **given: str) -> None:
        port = free_port()
        self.sandbox = sandbox
        self.base = f"http://127.0.0.1:{port}"
        environment = {
            **given,
            "BRIDGE_CONFIG": CONFIG,
            "PORT": str(port),
            "LOG_FORMAT": "json",
            "SPACEBRING_URL": sandbox,
            "SPACEBRING_TOKEN": "sandbox-token",
            "SPACEBRING_NETWORK_ID": DEFAULT_NETWORK_ID,
        }
        self.web = Process("web", "--host", "127.0.0.1", environment=environment)
        self.dispatcher = Process("worker", "--role", "dispatcher", environment=environment)
        self.worker = Process("worker", "--role", "worker", environment=environment)
        self.http = requests.Session()
        # Until the port answers; a 503 is an answer, except where `patiently` is asked for.
        self.http.mount(
            "http://", HTTPAdapter(max_retries=Retry(WITHIN * 5, backoff_factor=0.1, backoff_max=0.2))
        )
        self.patient = requests.Session()
        waiting = Retry(
            WITHIN * 5,
            backoff_factor=0.1,
            backoff_max=0.2,
            status_forcelist=[503],
            allowed_methods=None,
            respect_retry_after_header=False,
        )
        self.patient.mount("http://", HTTPAdapter(max_retries=waiting))

    def post(self, message: str, *, patiently: bool = False) -> requests.Response:
        session = self.patient if patiently else self.http
        return session.post(
            f"{self.base}/hooks/website",
            data={"email": "ann@example.com", "message": message},
            headers={"Accept": "application/json"},
            timeout=WITHIN,
        )

    def tickets(self) -> list[str]:
        tickets: list[dict[str, Any]] = self.http.get(f"{self.sandbox}/sandbox/tickets", timeout=10).json()[
            "tickets"
        ]
        return [ticket["text"].splitlines()[0] for ticket in tickets]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.http.close()
        self.patient.close()
        self.codes = [process.stop() for process in (self.dispatcher, self.worker, self.web)]
