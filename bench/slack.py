"""How soon Slack is answered while Spacebring, or Slack's own API, is slow.

    python -m bench.slack --requests 200 --callers 4

Through gunicorn as `bridge web` runs it, with workers whose calls to Spacebring take `--latency` seconds. A
slash command and a mention must be answered long before Slack's 3 seconds, 300 ms are wanted; a shortcut,
whose modal needs one call of Slack's API, within them, however slow that is.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import http.client
import json
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from bench.stack import Stack, free_port, running, serves, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = b"signing-secret-of-the-bench"
CHANNEL = """
[[channels]]
name = "slack"
source = "slack"
secret = "{secret}"
api_url = "{base}"
api_token = "xoxb-bench"
"""
HEADING = "request     slack s   sent    200  median ms     p99 ms     max ms"
FORM, JSON = "application/x-www-form-urlencoded", "application/json"


class Slack(BaseHTTPRequestHandler):
    """Slack's API, which answers `views.open` after so many seconds."""

    seconds = 0.0

    def do_POST(self) -> None:
        """Answer any method with success."""
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.endswith("views.open"):
            time.sleep(self.seconds)
        body = b'{"ok": true, "user": {}}'
        self.send_response(200)
        self.send_header("Content-Type", JSON)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def slack_api() -> Iterator[str]:
    """Run the API; gives its base."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Slack)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def asked(kind: str, number: str) -> tuple[str, str]:
    """Give content type and body of what Slack sends."""
    user = {"user_id": "U1", "user_name": "ann", "team_id": "T1", "channel_id": "C1"}
    if kind == "command":
        fields = {"command": "/ticket", "text": f"No hot water {number}", "trigger_id": number, **user}
        return FORM, urlencode(fields)
    if kind == "shortcut":
        payload = {"type": "shortcut", "trigger_id": number, "user": {"id": "U1"}}
        return FORM, urlencode({"payload": json.dumps(payload)})
    inner = {"type": "app_mention", "user": "U1", "text": "cold", "channel": "C1", "ts": number}
    return JSON, json.dumps({"type": "event_callback", "team_id": "T1", "event_id": number, "event": inner})


def call(port: int, kind: str, caller: int, count: int) -> list[tuple[float, int]]:
    """Post so many; gives the seconds and the status of each."""
    answers: list[tuple[float, int]] = []
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for number in range(count):
        content_type, body = asked(kind, f"{kind}-{caller}-{number}")
        stamp = str(int(time.time()))
        mac = hmac.new(SECRET, f"v0:{stamp}:{body}".encode(), hashlib.sha256).hexdigest()
        headers = {"Content-Type": content_type, "X-Slack-Request-Timestamp": stamp}
        headers["X-Slack-Signature"] = f"v0={mac}"
        began = time.perf_counter()
        connection.request("POST", "/hooks/slack", body, headers)
        answer = connection.getresponse()
        answer.read()
        answers.append((time.perf_counter() - began, answer.status))
    connection.close()
    return answers


def measure(port: int, kind: str, callers: int, count: int) -> str:
    """Give a row of the table."""
    with ThreadPoolExecutor(callers) as pool:
        lists = list(pool.map(lambda caller: call(port, kind, caller, count // callers), range(callers)))
    took = sorted(seconds * 1000 for answers in lists for seconds, _ in answers)
    good = sum(status == http.HTTPStatus.OK for answers in lists for _, status in answers)
    late = took[int(len(took) * 0.99)]
    return f"{len(took):6} {good:6} {statistics.median(took):10.1f} {late:10.1f} {took[-1]:10.1f}"


def serve_and_measure(stack: Stack, base: str, options: argparse.Namespace) -> None:
    """Print the table, a row for each kind of request."""
    config = stack.config + CHANNEL.format(secret=SECRET.decode(), base=base)
    port = free_port()
    web = stack.bridge("web", "--host", "127.0.0.1", PORT=str(port), BRIDGE_CONFIG=config)
    worker = stack.bridge("worker", "--processes", "4", BRIDGE_CONFIG=config)
    try:
        wait_until(lambda: serves(port) and stack.workers_are(4))
        stack.faults({"kind": "latency", "seconds": options.latency})
        print(HEADING)
        for kind, seconds in (("command", 0.0), ("mention", 0.0), ("shortcut", 1.0), ("shortcut", 60.0)):
            Slack.seconds = seconds
            count = options.requests if kind != "shortcut" else options.callers * 3
            row = measure(port, kind, options.callers, count)
            print(f"{kind:10} {seconds:8.1f} {row}", flush=True)
    finally:
        for process in (web, worker):
            process.terminate()
            process.wait()


def main() -> None:
    """Measure on a store of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--callers", type=int, default=4)
    parser.add_argument("--latency", type=float, default=8)
    options = parser.parse_args()
    with slack_api() as base, running(processes=0) as stack:
        sandbox = stack.bridge("sandbox", "--rate", "10")
        try:
            wait_until(stack.answers)
            serve_and_measure(stack, base, options)
        finally:
            sandbox.terminate()
            sandbox.wait()


if __name__ == "__main__":
    main()
