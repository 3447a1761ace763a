"""The suite's own parts: a reader that misses a message, or a count that cannot fail, proves nothing."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.ledger.scripts import source
from tests.faults.proxy import Hit, Proxy, Traps
from tests.faults.run import scenarios
from tests.faults.scenarios import kills
from tests.faults.verdict import Verdict, table
from tests.faults.wire import Commands, Message, Requests

if TYPE_CHECKING:
    from collections.abc import Iterator

EVENT = "01hzy8k3v0" + "0123456789abcdef"
MARKER = "sb-6789abcdef"
CLAIM = hashlib.sha1(source("claim").encode()).hexdigest().encode()
KEY = "faults-x-1-0"


def command(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted(place % (len(data) + 1) for place in places)
    return [data[start:end] for start, end in zip([0, *ends], [*ends, len(data)], strict=True)]


@given(st.lists(st.lists(st.binary(), min_size=1), max_size=5), st.lists(st.integers(0, 10_000), max_size=8))
def test_commands_come_out_whole_however_cut(commands: list[list[bytes]], places: list[int]) -> None:
    sent = [command(b"SET", *words) for words in commands]
    reader = Commands()

    found = [message for piece in cut(b"".join(sent), places) for message in reader.feed(piece)]

    assert [message.raw for message in found] == sent


def test_a_script_is_known_by_its_hash_with_the_marker_of_its_event() -> None:
    (found,) = Commands().feed(command(b"EVALSHA", CLAIM, b"0", b"bridge:", EVENT.encode(), b"10000"))

    assert (found.name, found.subject) == ("claim", MARKER)


def test_a_push_of_a_job_is_the_end_of_its_transaction() -> None:
    sent = [(b"MULTI",), (b"RPUSH", b"rq:queue:tickets", b"job"), (b"EXEC",), (b"MULTI",), (b"EXEC",)]

    found = Commands().feed(b"".join(command(*words) for words in sent))

    assert [message.name for message in found] == ["", "", "enqueue", "", ""]


@given(st.lists(st.binary(max_size=50), max_size=4), st.lists(st.integers(0, 10_000), max_size=8))
def test_requests_come_out_whole_however_cut(bodies: list[bytes], places: list[int]) -> None:
    head = b"POST /support/tickets/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
    sent = [head % len(body) + body for body in bodies]
    reader = Requests()

    found = [message for piece in cut(b"".join(sent), places) for message in reader.feed(piece)]

    assert [message.raw for message in found] == sent
    assert {message.name for message in found} <= {"post"}


def test_a_ticket_is_known_by_the_marker_in_its_text() -> None:
    body = b'{"description": "Cold. Ref: %s"}' % MARKER.encode()
    head = b"POST /support/tickets/v1 HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(body)

    (found,) = Requests().feed(head + body)

    assert (found.name, found.subject) == ("post", MARKER)


def test_a_trap_passes_over_other_points_spared_events_and_as_many_as_it_skips() -> None:
    traps, hits = Traps(), list[Hit]()
    near, far = socket.socketpair(socket.AF_UNIX)

    def act(hit: Hit) -> bool:
        hits.append(hit)
        return False

    with near, far:
        trap = traps.arm("before claim", act, spare={"sb-1"}, skip=1)
        coming = [
            ("after", "sb-2"),
            ("before", "sb-1"),
            ("before", "sb-2"),
            ("before", "sb-3"),
            ("before", "sb-3"),
        ]
        met = [traps.meet(when, Message(b"", "claim", subject), near) for when, subject in coming]

    assert met == [True, True, True, False, True]
    assert [hit.subject for hit in hits] == ["sb-3"]
    assert trap.wait(0)


@pytest.fixture
def echo() -> Iterator[tuple[Traps, int]]:
    """Give a proxy before a server that sends back what it gets, and the proxy's port."""
    listener, traps = socket.create_server(("127.0.0.1", 0)), Traps()

    def connect() -> socket.socket:
        near, far = socket.socketpair()

        def answer() -> None:
            with far, suppress(OSError):
                far.sendall(far.recv(1000))

        threading.Thread(target=answer, daemon=True).start()
        return near

    proxy = Proxy(listener, connect, Requests, traps)
    yield traps, listener.getsockname()[1]
    proxy.close()


def test_the_process_at_the_other_end_is_found_and_can_be_answered_for(echo: tuple[Traps, int]) -> None:
    traps, port = echo
    pids = list[int]()

    def act(hit: Hit) -> bytes:
        pids.append(hit.pid)
        return b"instead"

    traps.arm("before list", act)
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET /support/tickets/v1 HTTP/1.1\r\n\r\n")
        answer = client.recv(100)

    assert answer == b"instead"
    assert pids == [os.getpid()]


def test_an_answer_can_be_held_and_its_connection_ended(echo: tuple[Traps, int]) -> None:
    traps, port = echo
    trap = traps.arm("after list", lambda _hit: False)

    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET /support/tickets/v1 HTTP/1.1\r\n\r\n")
        answer = client.recv(100)

    assert answer == b""
    assert trap.wait(0)


def event(state: str, code: str | None = None, ticket: str | None = None) -> dict[str, object]:
    return {"id": EVENT, "status": state, "code": code, "reason": "why", "ticket": ticket and {"id": ticket}}


def filed(*statuses: str) -> list[dict[str, str]]:
    text = f"For {KEY} of"
    return [{"id": str(number), "text": text, "status": status} for number, status in enumerate(statuses)]


@pytest.mark.parametrize(
    ("ledger", "tickets", "column"),
    [
        ([], [], "lost"),
        ([event("delivered", ticket="0")], [], "lost"),
        ([event("delivered", ticket="0")], filed("closed"), "lost"),
        ([event("delivered", ticket="0")], filed("new", "new"), "duplicated"),
        ([event("retrying")], [], "stuck"),
        ([event("dead", "unknown")], filed("new"), "parked"),
        ([event("dead", "attempts")], [], "dead"),
        ([event("ignored")], [], "dead"),
    ],
)
def test_each_broken_promise_is_counted_and_fails(ledger: object, tickets: object, column: str) -> None:
    verdict = Verdict("x")

    verdict.judge({KEY: EVENT}, ledger, tickets)  # type: ignore[arg-type] # as JSON is

    assert getattr(verdict, column) == 1
    assert verdict.failed


def test_a_second_ticket_that_was_closed_is_counted_and_does_not_fail() -> None:
    verdict = Verdict("x")

    verdict.judge({KEY: EVENT}, [event("delivered", ticket="1")], filed("closed", "new"))

    assert (verdict.extra, verdict.duplicated, verdict.failed) == (1, 0, False)


def test_an_event_whose_ticket_is_the_closed_one_fails() -> None:
    verdict = Verdict("x")

    verdict.judge({KEY: EVENT}, [event("delivered", ticket="0")], filed("closed", "new"))

    assert verdict.failed


def test_a_ticket_of_nobody_fails() -> None:
    verdict = Verdict("x")

    verdict.judge({}, [], filed("new"))

    assert verdict.failed


def test_a_recovery_that_took_too_long_fails() -> None:
    assert Verdict("x", recovery=15.1).failed
    assert not Verdict("x", recovery=14.9).failed


def test_the_table_adds_up() -> None:
    lines = table([Verdict("a", events=2, recovery=1.0), Verdict("b", events=3, recovery=4.0)]).splitlines()

    assert lines[-1].split()[1:4:2] == ["all", "5"]
    assert "4.0" in lines[-1]


def test_every_scenario_says_what_it_attacks() -> None:
    assert all("ttack" in (one.play.__doc__ or "") for one in scenarios().values())
    assert kills.kill_all.__name__ in scenarios()
