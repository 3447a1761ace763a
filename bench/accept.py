"""How many requests a second the web side accepts, and how long one takes, for each durability.

    python -m bench.accept --seconds 10 --callers 8

Through gunicorn as `bridge web` runs it. The callers are threads here, each with one connection that
stays open; on a small machine they take their share of it from the web side.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

from bench.stack import Stack, free_port, running, serves, wait_until

HEADERS = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
# The durability, and how the server fsyncs by itself and how often it looks who waits.
RUNS = (
    ("memory", "everysec", 10),
    ("fsync", "everysec", 10),
    ("fsync", "everysec", 500),
    ("fsync", "always", 10),
)


def call(port: int, caller: int, ends: float) -> list[float]:
    """Post different forms until the end; gives the seconds that each took."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    took: list[float] = []
    for number in itertools.count():
        began = time.perf_counter()
        if began >= ends:
            connection.close()
            return took
        connection.request("POST", "/hooks/web", f"email=a%40b.example&message={caller}-{number}", HEADERS)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != http.HTTPStatus.OK or b'"accepted"' not in text:
            raise RuntimeError(f"{answer.status}: {text[:200]!r}")
        took.append(time.perf_counter() - began)
    raise AssertionError


def measure(stack: Stack, mode: str, seconds: float, callers: int) -> str:
    """Serve with this durability, call for so long, and give a row of the table."""
    port = free_port()
    config = f'[ledger]\ndurability = "{mode}"\n{stack.config}'
    web = stack.bridge("web", "--host", "127.0.0.1", PORT=str(port), BRIDGE_CONFIG=config)
    try:
        wait_until(lambda: serves(port))
        ends = time.perf_counter() + seconds
        with ThreadPoolExecutor(callers) as pool:
            took = sorted(itertools.chain(*pool.map(lambda caller: call(port, caller, ends), range(callers))))
    finally:
        web.terminate()
        web.wait()
    median, late = statistics.median(took) * 1000, took[int(len(took) * 0.99)] * 1000
    return f"{mode:10} {len(took) / seconds:10.0f} {median:10.1f} {late:10.1f}"


def main() -> None:
    """Measure each durability on a store of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--callers", type=int, default=8)
    options = parser.parse_args()
    print(f"{'appendfsync':11} {'hz':>4} {'durability':10} {'a second':>10} {'median ms':>10} {'p99 ms':>10}")
    for mode, policy, hz in RUNS:
        with running() as stack:
            stack.redis.config_set("appendfsync", policy)
            stack.redis.config_set("hz", hz)
            row = measure(stack, mode, options.seconds, options.callers)
            print(f"{policy:11} {hz:4} {row}", flush=True)


if __name__ == "__main__":
    main()
