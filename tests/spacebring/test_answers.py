"""The table of answers: each row, each status, and each failure as real sockets make it."""

from __future__ import annotations

import gc
import socket
import warnings
from typing import TYPE_CHECKING

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from tests.spacebring.conftest import CERTIFICATE
from workers.spacebring import errors
from workers.spacebring.answers import (
    TABLE,
    Action,
    Failure,
    Proves,
    as_markdown,
    classify_exception,
    classify_status,
    row,
    unwrapped,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.spacebring.conftest import Clients, Exchange, Peer

DRAFT = {"locationRef": "3c90c3cc-0d44-4b50-8888-8dd25736052a", "type": "other", "text": "x"}


@pytest.mark.parametrize(
    ("statuses", "failure", "proves", "action"),
    [
        ([201], Failure.CREATED, Proves.FILED, Action.DELIVER),
        ([429], Failure.RATE_LIMITED, Proves.REFUSED, Action.RETRY),
        ([503], Failure.UNAVAILABLE, Proves.UNKNOWN, Action.LOOK),
        ([400], Failure.BAD_REQUEST, Proves.REFUSED, Action.DEAD),
        ([404], Failure.NOT_FOUND, Proves.REFUSED, Action.DEAD),
        ([409], Failure.CONFLICT, Proves.REFUSED, Action.DEAD),
        ([413], Failure.TOO_LARGE, Proves.REFUSED, Action.DEAD),
        ([422], Failure.UNPROCESSABLE, Proves.REFUSED, Action.DEAD),
        ([300, 301, 302, 303, 304, 307, 308, 399], Failure.REDIRECT, Proves.REFUSED, Action.DEAD),
        ([402, 405, 406, 410, 418, 425, 451, 499], Failure.CLIENT_ERROR, Proves.REFUSED, Action.DEAD),
        ([401], Failure.UNAUTHORIZED, Proves.REFUSED, Action.PAUSE),
        ([403], Failure.FORBIDDEN, Proves.REFUSED, Action.PAUSE),
        ([408], Failure.REQUEST_TIMEOUT, Proves.UNKNOWN, Action.LOOK),
        ([500, 501, 502, 504, 520, 599], Failure.SERVER_ERROR, Proves.UNKNOWN, Action.LOOK),
        ([200, 202, 204, 299], Failure.OTHER_SUCCESS, Proves.UNKNOWN, Action.LOOK),
        ([-1, 0, 100, 101, 199, 600, 999], Failure.OTHER_STATUS, Proves.UNKNOWN, Action.LOOK),
    ],
)
def test_each_status_has_its_row(
    statuses: list[int], failure: Failure, proves: Proves, action: Action
) -> None:
    for status in statuses:
        found = classify_status(status)
        assert (found.failure, found.proves, found.action) == (failure, proves, action), status


@given(st.integers())
def test_any_number_has_a_row_and_only_proof_leads_to_a_retry(status: int) -> None:
    found = classify_status(status)
    assert found in TABLE
    if found.action is Action.RETRY:
        assert found.proves in {Proves.NOTHING_SENT, Proves.REFUSED}


def test_every_failure_has_exactly_one_row() -> None:
    assert sorted(each.failure for each in TABLE) == sorted(Failure)
    assert all(row(failure).failure is failure for failure in Failure)


def test_a_create_is_unknown_exactly_where_nothing_is_proved() -> None:
    for each in TABLE:
        assert (each.action is Action.LOOK) == (each.proves is Proves.UNKNOWN)


def test_what_is_unknown_for_a_create_is_a_retry_for_a_read_and_nothing_else_changes() -> None:
    for each in TABLE:
        expected = Action.RETRY if each.action is Action.LOOK else each.action
        assert each.action_for(creates=False) is expected
        assert each.action_for(creates=True) is each.action


def test_the_rendered_table_shows_every_row_with_its_sentence() -> None:
    lines = as_markdown().splitlines()
    assert len(lines) == len(TABLE) + 2
    assert len({line.count("|") for line in lines}) == 1
    for line, each in zip(lines[2:], TABLE, strict=True):
        assert line.startswith(f"| `{each.failure}` | {each.label} |")
        assert line.endswith(f"| {each.why} |")


# What a peer does, and the row it leads to.


def never_answers(exchange: Exchange) -> None:
    exchange.receive()
    exchange.over.wait(30)


def drips_its_head(exchange: Exchange) -> None:
    exchange.receive()
    exchange.send(b"HTTP/1.1 201 Created\r\nX-Long: ")
    exchange.drip(b"a")


def drips_interim_answers(exchange: Exchange) -> None:
    exchange.receive()
    exchange.drip(b"HTTP/1.1 100 Continue\r\n\r\n")


def drips_its_body(exchange: Exchange) -> None:
    exchange.receive()
    exchange.send(b"HTTP/1.1 201 Created\r\nContent-Length: 100000\r\n\r\n")
    exchange.drip(b" ")


def closes_after_reading(exchange: Exchange) -> None:
    exchange.receive()


def resets_after_reading(exchange: Exchange) -> None:
    exchange.receive()
    exchange.reset()


def resets_at_the_first_byte(exchange: Exchange) -> None:
    # Sooner, and the reset could reach the client before its connection stands.
    exchange.sock.recv(1)
    exchange.reset()


def closes_within_the_head(exchange: Exchange) -> None:
    exchange.receive()
    exchange.send(b"HTTP/1.1 201 Crea")


def closes_within_the_body(exchange: Exchange) -> None:
    exchange.receive()
    exchange.send(b'HTTP/1.1 201 Created\r\nContent-Length: 900\r\n\r\n{"ticket": {"id": "7d44"')


def resets_within_the_body(exchange: Exchange) -> None:
    exchange.receive()
    exchange.send(b"HTTP/1.1 201 Created\r\nContent-Length: 900\r\n\r\n{")
    exchange.reset()


def closes_within_a_chunk(exchange: Exchange) -> None:
    exchange.receive()
    exchange.send(b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{")


def sends_a_bad_chunk(exchange: Exchange) -> None:
    exchange.receive()
    exchange.send(b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n{")


def speaks_no_http(exchange: Exchange) -> None:
    exchange.receive()
    exchange.send(b"220 mail.example.com ESMTP\r\n")


def sends_an_endless_status_line(exchange: Exchange) -> None:
    exchange.receive()
    exchange.send(b"HTTP/1.1 201 " + b"a" * 100_000)


def contradicts_itself_on_the_length(exchange: Exchange) -> None:
    exchange.receive()
    exchange.send(b"HTTP/1.1 201 Created\r\nContent-Length: 3, 4\r\n\r\n{}")


def sends_what_is_not_gzip(exchange: Exchange) -> None:
    exchange.receive()
    exchange.answer(201, b"{}", "Content-Encoding: gzip")


PEERS = [
    (never_answers, Failure.READ_TIMEOUT),
    (drips_its_head, Failure.READ_TIMEOUT),
    (drips_interim_answers, Failure.READ_TIMEOUT),
    (drips_its_body, Failure.READ_TIMEOUT),
    (closes_after_reading, Failure.RESET),
    (resets_after_reading, Failure.RESET),
    (resets_at_the_first_byte, Failure.RESET),
    (closes_within_the_body, Failure.RESET),
    (resets_within_the_body, Failure.RESET),
    (closes_within_a_chunk, Failure.RESET),
    (sends_a_bad_chunk, Failure.RESET),
    (closes_within_the_head, Failure.UNREADABLE),
    (speaks_no_http, Failure.GARBLED),
    (sends_an_endless_status_line, Failure.GARBLED),
    (contradicts_itself_on_the_length, Failure.OTHER),
    (sends_what_is_not_gzip, Failure.OTHER),
]


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize(("handler", "failure"), PEERS, ids=[handler.__name__ for handler, _ in PEERS])
def test_after_the_bytes_have_left_a_failed_create_is_unknown_and_a_failed_read_a_retry(
    request: pytest.FixtureRequest,
    make_client: Clients,
    handler: Callable[[Exchange], None],
    failure: Failure,
    *,
    tls: bool,
) -> None:
    peer: Peer = request.getfixturevalue("tls_peer" if tls else "peer")
    peer.handler = handler
    client = make_client(peer.url, timeout=0.5, ca_bundle=str(CERTIFICATE) if tls else None)

    with pytest.raises(errors.UnknownOutcomeError) as created:
        client.create_ticket(DRAFT)
    with pytest.raises(errors.TemporaryError) as read:
        client.locations()

    # A peer that resets before reading may be seen by TLS first; either way it is unknown.
    expected = {failure, Failure.TLS_BROKEN} if tls and handler is resets_at_the_first_byte else {failure}
    assert created.value.failure in expected
    assert isinstance(read.value, errors.TemporaryError)
    assert created.value.retry_after is None


def test_a_peer_that_breaks_tls_after_the_handshake_leaves_a_create_unknown(
    tls_peer: Peer, make_client: Clients
) -> None:
    def breaks_the_record(exchange: Exchange) -> None:
        exchange.receive()
        with socket.socket(fileno=exchange.sock.detach()) as raw:
            raw.sendall(b"\x17\x03\x03\x00\x20" + b"\x00" * 32)

    tls_peer.handler = breaks_the_record
    with pytest.raises(errors.UnknownOutcomeError) as caught:
        make_client(tls_peer.url, ca_bundle=str(CERTIFICATE)).create_ticket(DRAFT)
    assert caught.value.failure is Failure.TLS_BROKEN


def test_tls_broken_within_the_body_leaves_a_create_unknown(tls_peer: Peer, make_client: Clients) -> None:
    def breaks_the_record(exchange: Exchange) -> None:
        exchange.receive()
        exchange.send(b"HTTP/1.1 201 Created\r\nContent-Length: 900\r\n\r\n{")
        with socket.socket(fileno=exchange.sock.detach()) as raw:
            raw.sendall(b"\x17\x03\x03\x00\x20" + b"\x00" * 32)

    tls_peer.handler = breaks_the_record
    with pytest.raises(errors.UnknownOutcomeError) as caught:
        make_client(tls_peer.url, ca_bundle=str(CERTIFICATE)).create_ticket(DRAFT)
    assert (caught.value.failure, caught.value.status) == (Failure.TLS_BROKEN, 201)


def test_a_reset_on_a_connection_kept_alive_is_unknown(peer: Peer, make_client: Clients) -> None:
    def answers_once(exchange: Exchange) -> None:
        exchange.receive()
        exchange.answer(200, b'{"locations": []}')
        exchange.receive()
        exchange.reset()

    peer.handler = answers_once
    client = make_client(peer.url)
    client.locations()
    with pytest.raises(errors.UnknownOutcomeError) as caught:
        client.create_ticket(DRAFT)
    assert caught.value.failure is Failure.RESET
    assert peer.connections == 1


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_closed_port_proves_that_nothing_was_sent(make_client: Clients, scheme: str) -> None:
    with pytest.raises(errors.TemporaryError, match="refused") as caught:
        make_client(f"{scheme}://127.0.0.1:{closed_port()}").create_ticket(DRAFT)
    assert caught.value.failure is Failure.CONNECTION_REFUSED


def test_an_unknown_name_proves_that_nothing_was_sent(make_client: Clients) -> None:
    with pytest.raises(errors.TemporaryError) as caught:
        make_client("https://spacebring.invalid").create_ticket(DRAFT)
    assert caught.value.failure is Failure.DNS


def speaks_plain_text(exchange: Exchange) -> None:
    exchange.sock.recv(65_536)
    exchange.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def closes_in_the_handshake(exchange: Exchange) -> None:
    exchange.sock.recv(65_536)


def resets_in_the_handshake(exchange: Exchange) -> None:
    exchange.sock.recv(65_536)
    exchange.reset()


def stays_silent(exchange: Exchange) -> None:
    exchange.over.wait(30)


@pytest.mark.parametrize("handler", [speaks_plain_text, closes_in_the_handshake, resets_in_the_handshake])
def test_a_failed_handshake_proves_that_nothing_was_sent(
    peer: Peer, make_client: Clients, handler: Callable[[Exchange], None]
) -> None:
    peer.handler = handler
    with pytest.raises(errors.TemporaryError) as caught:
        make_client(peer.url.replace("http:", "https:")).create_ticket(DRAFT)
    assert caught.value.failure is Failure.TLS


def test_a_reset_before_the_handshake_proves_that_nothing_was_sent(peer: Peer, make_client: Clients) -> None:
    peer.handler = resets_at_the_first_byte
    with warnings.catch_warnings():
        # Python's ssl leaves its socket to the collector if the peer is gone before the handshake begins.
        warnings.simplefilter("ignore", ResourceWarning)
        with pytest.raises(errors.TemporaryError) as caught:
            make_client(peer.url.replace("http:", "https:")).create_ticket(DRAFT)
        assert caught.value.failure is Failure.TLS
        del caught
        gc.collect()


def test_a_handshake_without_end_is_a_timeout_while_connecting(peer: Peer, make_client: Clients) -> None:
    peer.handler = stays_silent
    client = make_client(peer.url.replace("http:", "https:"), connect_timeout=0.3)
    with pytest.raises(errors.TemporaryError) as caught:
        client.create_ticket(DRAFT)
    assert caught.value.failure is Failure.CONNECT_TIMEOUT


def test_an_untrusted_certificate_proves_that_nothing_was_sent_and_says_why(
    tls_peer: Peer, make_client: Clients
) -> None:
    tls_peer.answers(201)
    with pytest.raises(errors.TemporaryError, match="self-signed certificate") as caught:
        make_client(tls_peer.url).create_ticket(DRAFT)
    assert caught.value.failure is Failure.TLS
    assert tls_peer.requests == []


def test_the_classification_holds_for_a_plain_requests_call_too(peer: Peer, tls_peer: Peer) -> None:
    peer.handler = closes_after_reading
    for url, failure in (
        (peer.url, Failure.RESET),
        (f"http://127.0.0.1:{closed_port()}", Failure.CONNECTION_REFUSED),
        (tls_peer.url, Failure.TLS),
    ):
        with pytest.raises(requests.RequestException) as caught:
            requests.get(url, timeout=5)
        assert classify_exception(caught.value).failure is failure


def test_an_exception_that_nobody_knows_proves_nothing() -> None:
    assert classify_exception(requests.RequestException("?")).action is Action.LOOK


def test_what_the_caller_was_handling_is_not_taken_for_the_cause() -> None:
    error = requests.ConnectionError("after sending")
    error.__context__ = ConnectionRefusedError()
    assert list(unwrapped(error)) == [error]


def test_exceptions_that_hold_each_other_are_looked_at_once() -> None:
    inner, outer = ValueError(), requests.ConnectionError()
    outer.__cause__, inner.__cause__ = inner, outer
    assert list(unwrapped(outer)) == [outer, inner]
