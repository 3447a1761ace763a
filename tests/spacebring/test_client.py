"""The client against a peer on loopback: what it sends, what it reads, what it refuses."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.outgoing.body import BODY_LIMIT
from service.core.outgoing.transport import Connection
from tests.spacebring.conftest import CERTIFICATE, NETWORK, TOKEN
from workers.spacebring import errors
from workers.spacebring.answers import Failure
from workers.spacebring.auth import BasicAuth
from workers.spacebring.client import SpacebringClient, checked_base_url
from workers.spacebring.limiter import Slot
from workers.spacebring.schemas import CreatedTicket, Location, Member, Ticket

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.spacebring.conftest import Clients, Exchange, Peer

LOCATION = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
DRAFT = {"locationRef": LOCATION, "type": "internet", "text": "No wi-fi \u2603"}
TICKET = {
    "id": "7d44ff15-c768-4045-8ccf-7ac3c169f777",
    "number": 42,
    "status": "new",
    "type": "internet",
    "description": "No wi-fi",
    "locationRef": LOCATION,
    "createDate": "2026-08-20T09:00:00.000Z",
    "updateDate": "2026-08-20T09:00:00.000Z",
    "brandNew": {"field": 1},
}


def body(value: object) -> bytes:
    return json.dumps(value).encode()


def head_of(request: bytes) -> tuple[str, dict[str, str]]:
    first, *lines = request.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    return first, {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}


# Creating.


def test_a_created_ticket_is_returned_with_id_and_number(peer: Peer, make_client: Clients) -> None:
    peer.answers(201, body({"activities": [], "ticket": TICKET, "more": True}))
    created = make_client(peer.url).create_ticket(DRAFT)
    assert created == CreatedTicket(id="7d44ff15-c768-4045-8ccf-7ac3c169f777", number=42)
    line, headers = head_of(peer.requests[0])
    assert line == "POST /support/tickets/v1 HTTP/1.1"
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert headers["spacebring-network-id"] == NETWORK
    assert headers["content-type"] == "application/json"
    assert json.loads(peer.requests[0].partition(b"\r\n\r\n")[2]) == {"ticket": DRAFT}


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        body({"ticket": None}),
        body({"ticket": {}}),
        body({"ticket": {"id": "x"}}),
        body({"ticket": {"number": 1}}),
        body({"ticket": {"id": "", "number": 1}}),
        body({"ticket": {"id": 5, "number": 1}}),
        body({"ticket": {"id": "x", "number": None}}),
    ],
)
def test_a_201_without_a_readable_ticket_is_unknown(peer: Peer, make_client: Clients, answer: bytes) -> None:
    peer.answers(201, answer)
    with pytest.raises(errors.UnknownOutcomeError, match="not readable") as caught:
        make_client(peer.url).create_ticket(DRAFT)
    assert (caught.value.status, caught.value.failure) == (201, Failure.UNREADABLE)


def test_a_whole_ticket_counts_even_if_the_connection_breaks_after_it(
    peer: Peer, make_client: Clients
) -> None:
    def handler(exchange: Exchange) -> None:
        exchange.receive()
        exchange.send(b"HTTP/1.1 201 Created\r\nContent-Length: 9000\r\n\r\n" + body({"ticket": TICKET}))

    peer.handler = handler
    assert make_client(peer.url).create_ticket(DRAFT).number == 42


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, errors.PermanentError),
        (404, errors.PermanentError),
        (409, errors.PermanentError),
        (413, errors.PermanentError),
        (422, errors.PermanentError),
        (302, errors.PermanentError),
        (410, errors.PermanentError),
        (401, errors.CredentialsError),
        (403, errors.CredentialsError),
        (429, errors.TemporaryError),
        (503, errors.UnknownOutcomeError),
        (408, errors.UnknownOutcomeError),
        (500, errors.UnknownOutcomeError),
        (502, errors.UnknownOutcomeError),
        (504, errors.UnknownOutcomeError),
        (200, errors.UnknownOutcomeError),
        (202, errors.UnknownOutcomeError),
        (204, errors.UnknownOutcomeError),
    ],
)
def test_each_status_of_a_create_raises_its_error_with_the_message(
    peer: Peer, make_client: Clients, status: int, error: type[errors.SpacebringError]
) -> None:
    peer.answers(
        status, b"" if status == 204 else b'{"message": "So it is", "type": "thus"}', "Retry-After: 7"
    )
    with pytest.raises(errors.SpacebringError) as caught:
        make_client(peer.url).create_ticket(DRAFT)
    assert type(caught.value) is error
    assert (caught.value.status, caught.value.retry_after) == (status, 7.0)
    assert str(caught.value) == (
        "So it is (thus)" if status != 204 else "Spacebring answered 204 No Content without an explanation"
    )


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (201, errors.TemporaryError),
        (204, errors.TemporaryError),
        (500, errors.TemporaryError),
        (408, errors.TemporaryError),
        (503, errors.TemporaryError),
        (429, errors.TemporaryError),
        (404, errors.PermanentError),
        (401, errors.CredentialsError),
    ],
)
def test_a_read_that_fails_may_be_repeated_unless_it_was_refused(
    peer: Peer, make_client: Clients, status: int, error: type[errors.SpacebringError]
) -> None:
    peer.answers(status)
    with pytest.raises(errors.SpacebringError) as caught:
        make_client(peer.url).locations()
    assert type(caught.value) is error


def test_a_refusal_that_breaks_off_is_still_a_refusal(peer: Peer, make_client: Clients) -> None:
    def handler(exchange: Exchange) -> None:
        exchange.receive()
        exchange.send(b"HTTP/1.1 422 No\r\nContent-Length: 900\r\n\r\nText is too long")

    peer.handler = handler
    with pytest.raises(errors.PermanentError, match="Text is too long"):
        make_client(peer.url).create_ticket(DRAFT)


def test_a_refusal_whose_body_drips_for_ever_is_still_a_refusal(peer: Peer, make_client: Clients) -> None:
    def handler(exchange: Exchange) -> None:
        exchange.receive()
        exchange.send(b"HTTP/1.1 429 No\r\nContent-Length: 100000\r\nRetry-After: 3\r\n\r\n")
        exchange.drip(b"a")

    peer.handler = handler
    with pytest.raises(errors.TemporaryError) as caught:
        make_client(peer.url, timeout=0.3).create_ticket(DRAFT)
    assert caught.value.retry_after == 3.0


def test_credentials_that_the_api_echoes_are_not_in_the_error(peer: Peer, make_client: Clients) -> None:
    peer.answers(401, body({"message": f"Bearer {TOKEN} has expired"}))
    with pytest.raises(errors.CredentialsError, match="has expired") as caught:
        make_client(peer.url).create_ticket(DRAFT)
    assert TOKEN not in str(caught.value)


def test_credentials_that_a_broken_peer_echoes_are_not_in_the_error(peer: Peer, make_client: Clients) -> None:
    def handler(exchange: Exchange) -> None:
        exchange.receive()
        exchange.send(b"x" * 440 + TOKEN.encode() * 9 + b"\r\n")

    peer.handler = handler
    with pytest.raises(errors.UnknownOutcomeError) as caught:
        make_client(peer.url).create_ticket(DRAFT)
    assert TOKEN[:4] not in str(caught.value)


def test_basic_credentials_refused_for_a_create_are_explained(peer: Peer) -> None:
    peer.answers(403, b"a" * 900)
    client = SpacebringClient(peer.url, BasicAuth("id-0", "secret-0"))
    with pytest.raises(errors.CredentialsError, match="OAuth2 only"):
        client.create_ticket(DRAFT)
    with pytest.raises(errors.CredentialsError) as read:
        client.locations()
    assert "OAuth2" not in str(read.value)
    client.close()


# The last check.


class StaleError(OSError):
    """An error of the caller's own that urllib3 would take for one of the socket."""


@pytest.mark.parametrize(
    "error", [StaleError("stale"), BrokenPipeError(), ConnectionResetError(), ValueError("x"), SystemExit(3)]
)
def test_what_the_last_check_raises_reaches_the_caller_unchanged_and_nothing_is_sent(
    peer: Peer, make_client: Clients, error: BaseException
) -> None:
    received: list[bytes] = []
    closed = threading.Event()

    def handler(exchange: Exchange) -> None:
        received.append(exchange.sock.recv(100))
        closed.set()

    def check() -> None:
        raise error

    peer.handler = handler
    cause = error.__cause__ = KeyError("the caller's own cause")
    with pytest.raises(type(error)) as caught:
        make_client(peer.url).create_ticket(DRAFT, last_check=check)
    assert caught.value is error
    assert (error.__cause__, error.__context__) == (cause, None)
    assert closed.wait(10)
    assert received == [b""]


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_the_last_check_comes_once_when_the_connection_stands_and_before_any_byte(
    request: pytest.FixtureRequest, make_client: Clients, *, tls: bool
) -> None:
    peer: Peer = request.getfixturevalue("tls_peer" if tls else "peer")
    stands, received = threading.Event(), threading.Event()
    seen: list[tuple[bool, bool]] = []

    def handler(exchange: Exchange) -> None:
        stands.set()
        while True:
            exchange.receive()
            received.set()
            exchange.answer(201, body({"ticket": TICKET}))

    def check() -> None:
        seen.append((stands.wait(10), received.is_set()))

    peer.handler = handler
    client = make_client(peer.url, ca_bundle=str(CERTIFICATE) if tls else None)
    client.create_ticket(DRAFT, last_check=check)
    assert seen == [(True, False)]
    received.clear()
    client.create_ticket(DRAFT, last_check=check)
    assert seen == [(True, False), (True, False)]
    assert peer.connections == 1


def test_the_last_check_is_not_asked_where_no_connection_stands(peer: Peer, make_client: Clients) -> None:
    asked: list[None] = []
    peer.close()
    with pytest.raises(errors.TemporaryError):
        make_client(peer.url).create_ticket(DRAFT, last_check=lambda: asked.append(None))
    assert asked == []


def test_a_last_check_that_uses_up_the_time_proves_that_nothing_was_sent(
    peer: Peer, make_client: Clients
) -> None:
    received: list[bytes] = []
    closed = threading.Event()

    def handler(exchange: Exchange) -> None:
        received.append(exchange.sock.recv(100))
        closed.set()

    peer.handler = handler
    never = threading.Event()
    with pytest.raises(errors.TemporaryError) as caught:
        make_client(peer.url, timeout=0.2).create_ticket(DRAFT, last_check=lambda: void(never.wait(0.3)))
    assert caught.value.failure is Failure.CONNECT_TIMEOUT
    assert closed.wait(10)
    assert received == [b""]


def void(_: object) -> None:
    """Drop a value."""


# The connection.


def test_one_connection_serves_many_calls(peer: Peer, make_client: Clients) -> None:
    peer.answers(200, body({"locations": []}))
    client = make_client(peer.url)
    for _ in range(3):
        client.locations()
    assert (peer.connections, len(peer.requests)) == (1, 3)


def test_a_connection_idle_for_too_long_is_opened_anew(
    peer: Peer, make_client: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Connection, "max_idle", 0.0)
    peer.answers(200, body({"locations": []}))
    client = make_client(peer.url)
    client.locations()
    client.locations()
    assert peer.connections == 2


def test_a_connection_that_the_server_closed_meanwhile_is_opened_anew(
    peer: Peer, make_client: Clients
) -> None:
    over = threading.Event()

    def handler(exchange: Exchange) -> None:
        exchange.receive()
        exchange.answer(200, body({"locations": []}))
        exchange.sock.shutdown(socket.SHUT_RDWR)
        over.set()

    peer.handler = handler
    client = make_client(peer.url)
    client.locations()
    assert over.wait(10)
    client.locations()
    assert peer.connections == 2


def waits(exchange: Exchange) -> None:
    exchange.over.wait(30)


def test_a_peer_that_does_not_read_cannot_hold_a_large_request(peer: Peer, make_client: Clients) -> None:
    peer.handler = waits
    with pytest.raises(errors.UnknownOutcomeError) as caught:
        make_client(peer.url, timeout=0.3).create_ticket({**DRAFT, "text": "a" * 50_000_000})
    assert caught.value.failure is Failure.READ_TIMEOUT


def test_an_answer_that_was_cut_off_leaves_no_connection_behind(peer: Peer, make_client: Clients) -> None:
    peer.answers(200, b" " * BODY_LIMIT * 2 + body({"locations": []}))
    client = make_client(peer.url)
    for _ in range(2):
        with pytest.raises(errors.TemporaryError, match="not readable"):
            client.locations()
    assert peer.connections == 2


def test_a_compressed_answer_is_limited_by_what_it_becomes(peer: Peer, make_client: Clients) -> None:
    peer.answers(200, gzip.compress(b" " * 50_000_000), "Content-Encoding: gzip")
    with pytest.raises(errors.TemporaryError, match="not readable"):
        make_client(peer.url).locations()


def test_a_name_server_that_does_not_answer_is_not_waited_for(
    make_client: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()

    def getaddrinfo(*_: object) -> list[object]:
        release.wait(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(errors.TemporaryError, match="did not answer in time") as caught:
        make_client("https://slow.example.com", connect_timeout=0.2).create_ticket(DRAFT)
    release.set()
    assert caught.value.failure is Failure.DNS


def addresses(*found: tuple[str, int]) -> Callable[..., list[object]]:
    return lambda *_: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in found]


def test_the_next_address_is_tried_where_one_refuses(
    peer: Peer, make_client: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer.answers(200, body({"locations": []}))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = listener.getsockname()
    monkeypatch.setattr(socket, "getaddrinfo", addresses(closed, ("127.0.0.1", peer.port)))
    assert make_client("http://localhost").locations() == []


def test_an_address_that_swallows_packets_ends_as_a_timeout_while_connecting(
    make_client: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A listener whose backlog is full drops further connection attempts.
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        target = listener.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)  # noqa: FBT003 - the only way to say it
            sock.connect_ex(target)
        with pytest.raises(errors.TemporaryError) as caught:
            make_client(f"http://127.0.0.1:{target[1]}", connect_timeout=0.3).create_ticket(DRAFT)
        for sock in waiting:
            sock.close()
    assert caught.value.failure is Failure.CONNECT_TIMEOUT


def test_a_name_without_an_address_proves_that_nothing_was_sent(
    make_client: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", addresses())
    with pytest.raises(errors.TemporaryError) as caught:
        make_client("http://localhost").create_ticket(DRAFT)
    assert caught.value.failure is Failure.CONNECTION_REFUSED


def test_a_connect_without_time_left_proves_that_nothing_was_sent(make_client: Clients) -> None:
    with pytest.raises(errors.TemporaryError) as caught:
        make_client("http://127.0.0.1:9", connect_timeout=1e-9).create_ticket(DRAFT)
    assert caught.value.failure is Failure.CONNECT_TIMEOUT


def test_redirects_are_not_followed_nor_read_without_bound(peer: Peer, make_client: Clients) -> None:
    peer.answers(307, b"elsewhere", f"Location: {peer.url}/stolen", "Set-Cookie: a=b")
    client = make_client(peer.url)
    for _ in range(2):
        with pytest.raises(errors.PermanentError, match="elsewhere"):
            client.create_ticket(DRAFT)
    assert [head_of(each)[0] for each in peer.requests] == ["POST /support/tickets/v1 HTTP/1.1"] * 2
    assert "cookie" not in head_of(peer.requests[1])[1]


def test_nothing_is_taken_from_the_environment(
    peer: Peer, make_client: Clients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login thief password thief\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    peer.answers(200, body({"locations": []}))
    make_client(peer.url).locations()
    assert head_of(peer.requests[0])[1]["authorization"] == f"Bearer {TOKEN}"


def test_each_request_is_made_in_a_slot_that_starts_just_before_its_first_byte(
    peer: Peer, make_client: Clients
) -> None:
    happened: list[tuple[str, int]] = []

    def slots() -> Slot:
        if len(happened) == 6:
            raise LookupError("no slot")
        note("slot")
        return Slot(lambda: note("start"), lambda: note("release"))

    def note(what: str) -> None:
        happened.append((what, len(peer.requests)))

    peer.answers(200, body({"memberships": [], "nextPageToken": "more"}))
    client = make_client(peer.url, slots=slots)
    client.find_members(LOCATION, "ada@example.com")
    with pytest.raises(LookupError, match="no slot"):
        client.locations()
    one = [("slot", 0), ("start", 0), ("release", 1)]
    assert happened == [*one, *((what, count + 1) for what, count in one)]


def test_the_callers_own_check_comes_last(peer: Peer, make_client: Clients) -> None:
    order: list[str] = []
    slot = Slot(lambda: order.append("start"), lambda: None)
    peer.answers(201, body({"ticket": {"id": "t", "number": 1}}))
    make_client(peer.url).create_ticket({}, last_check=slot.before(lambda: order.append("check")))
    assert order == ["start", "check"]


# Reading.


def member(ref: str | None, email: str | None, **user: object) -> dict[str, object]:
    return {"id": "m", "userRef": ref, "type": "member", "user": {"email": email, "photoUrl": None, **user}}


def test_only_members_with_exactly_this_address_are_returned(peer: Peer, make_client: Clients) -> None:
    memberships = [
        member("u1", "Ada@Example.com", name="Ada", surname="L"),
        member("u2", "ada@example.com.evil.example", name="Eve"),
        member("u3", None),
        member(None, "ada@example.com", id="u4", name=None, surname=None),
        member(None, "ada@example.com"),
        {"userRef": "u5", "user": None},
        {"userRef": "u6"},
    ]
    peer.answers(200, body({"memberships": memberships}))
    found = make_client(peer.url).find_members(LOCATION, " ADA@example.com ")
    assert found == [Member("u1", "Ada@Example.com", "Ada L"), Member("u4", "ada@example.com", "")]
    line = head_of(peer.requests[0])[0]
    assert line == (
        f"GET /community/memberships/v1?locationRef={LOCATION}&userEmail=ada%40example.com HTTP/1.1"
    )


def test_a_letter_of_another_alphabet_is_not_taken_for_a_latin_one(peer: Peer, make_client: Clients) -> None:
    peer.answers(200, body({"memberships": [member("u1", "mark@example.com")]}))
    assert make_client(peer.url).find_members(LOCATION, "mar\u212a@example.com") == []


def test_a_plus_in_an_address_survives_the_query(peer: Peer, make_client: Clients) -> None:
    peer.answers(200, body({"memberships": []}))
    make_client(peer.url).find_members(LOCATION, "ada+x@example.com")
    assert b"userEmail=ada%2Bx%40example.com" in peer.requests[0]


def pages(peer: Peer, tokens: list[str | None]) -> None:
    """Answer each request with one member and the next of `tokens`."""

    def handler(exchange: Exchange) -> None:
        for count, token in enumerate(tokens):
            peer.requests.append(exchange.receive())
            page = {"memberships": [member(f"u{count}", "a@b.example")], "nextPageToken": token}
            exchange.answer(200, body(page))

    peer.handler = handler


@pytest.mark.parametrize(
    ("tokens", "read"),
    [
        ([None], 1),
        ([""], 1),
        (["a", "b", None], 3),
        (["a", "a", "never"], 2),
        (["a", "b", "c", "d", "e", "f"], 5),
    ],
)
def test_pages_of_members_are_followed_to_their_end_but_not_for_ever(
    peer: Peer, make_client: Clients, tokens: list[str | None], read: int
) -> None:
    pages(peer, tokens)
    found = make_client(peer.url).find_members(LOCATION, "a@b.example")
    assert [each.user_ref for each in found] == [f"u{count}" for count in range(read)]
    assert len(peer.requests) == read
    for token, request in zip(tokens, peer.requests[1:], strict=False):
        assert f"nextPageToken={token} ".encode() in request


def test_tickets_are_listed_newest_first_with_the_token_of_the_next_page(
    peer: Peer, make_client: Clients
) -> None:
    bare = {"id": "b", "number": 7, "createDate": "2026-08-20T11:00:00+02:00"}
    nulls = {**TICKET, "description": None, "status": None}
    peer.answers(200, body({"tickets": [TICKET, bare, nulls], "nextPageToken": "n2", "searchQueryNext": "?"}))
    client = make_client(peer.url)
    page = client.list_tickets(LOCATION)
    moment = datetime(2026, 8, 20, 9, 0, tzinfo=UTC)
    assert list(page.tickets) == [
        Ticket(TICKET["id"], 42, "No wi-fi", moment, "new"),  # type: ignore[arg-type]  # of a mixed dict
        Ticket("b", 7, "", moment, ""),
        Ticket(TICKET["id"], 42, "", moment, ""),  # type: ignore[arg-type]  # of a mixed dict
    ]
    assert page.next_page == "n2"
    client.list_tickets(LOCATION, page=page.next_page, limit=5)
    start = f"GET /support/tickets/v1?locationRef={LOCATION}&order=createDate%3Adesc"
    assert [head_of(each)[0] for each in peer.requests] == [
        f"{start}&limit=100 HTTP/1.1",
        f"{start}&limit=5&nextPageToken=n2 HTTP/1.1",
    ]


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"tickets": None},
        {"tickets": [TICKET, {**TICKET, "id": None}]},
        {"tickets": [TICKET, {**TICKET, "createDate": "yesterday"}]},
        {"tickets": [], "nextPageToken": 5},
    ],
)
def test_a_list_with_a_hole_is_no_list(peer: Peer, make_client: Clients, answer: object) -> None:
    peer.answers(200, body(answer))
    with pytest.raises(errors.TemporaryError, match="not readable"):
        make_client(peer.url).list_tickets(LOCATION)


@pytest.mark.parametrize("limit", [0, 101])
def test_a_page_size_that_the_api_refuses_is_refused_here(make_client: Clients, limit: int) -> None:
    with pytest.raises(ValueError, match="1 to 100"):
        make_client("https://api.example.com").list_tickets(LOCATION, limit=limit)


def test_locations_are_returned_with_their_titles(peer: Peer, make_client: Clients) -> None:
    peer.answers(200, body({"locations": [{"id": "a", "title": "Downtown", "address": "x"}, {"id": "b"}]}))
    assert make_client(f"{peer.url}/").locations() == [Location("a", "Downtown"), Location("b", "")]
    assert head_of(peer.requests[0])[0] == "GET /locations/v1 HTTP/1.1"


def test_a_ticket_is_closed(peer: Peer, make_client: Clients) -> None:
    peer.answers(200, body({"ticket": {}, "activity": {}}))

    make_client(peer.url).close_ticket("7d44ff15/../x")

    assert head_of(peer.requests[0])[0] == "PUT /support/tickets/v1/7d44ff15%2F..%2Fx/status HTTP/1.1"
    assert json.loads(peer.requests[0].partition(b"\r\n\r\n")[2]) == {"ticket": {"status": "closed"}}


def test_a_ticket_that_cannot_be_closed_says_why(peer: Peer, make_client: Clients) -> None:
    peer.answers(403, body({"message": "not yours"}))

    with pytest.raises(errors.CredentialsError, match="not yours"):
        make_client(peer.url).close_ticket("t")


# Where it may send.


@pytest.mark.parametrize(
    "url",
    [
        "https://api.spacebring.com",
        "https://api.spacebring.com:8443/prefix",
        "http://localhost:5000",
        "http://127.0.0.1:5000",
        "http://127.9.9.9",
        "http://[::1]:5000",
    ],
)
def test_https_and_http_to_this_machine_are_taken(url: str) -> None:
    assert checked_base_url(url + "/") == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.spacebring.com",
        "https://",
        "https:///path",
        "ftp://api.spacebring.com",
        "http://api.spacebring.com",
        "http://localhost.example.com",
        "http://10.0.0.1",
        "http://2130706433",
        "http://0.0.0.0",
        "http://127.0.0.1@example.com",
        "https://user:hush@api.spacebring.com",
        "http://127.0.0.1\\.example.com",
        "https://api.spacebring.com?x=1",
        "https://api.spacebring.com#x",
        "https://api.spacebring.com/ x",
        "https://api.spacebring.com\n",
        "https://sp\u00e4cebring.com",
        "https://a..b",
        "https://[::1",
        "https://api.spacebring.com:port",
        "https://*.spacebring.com",
    ],
)
def test_any_other_base_url_is_refused_with_the_mend(url: str) -> None:
    with pytest.raises(ValueError, match=r"https://api\.spacebring\.com; plain http is taken only") as caught:
        checked_base_url(url)
    assert "hush" not in str(caught.value)


@given(st.text())
def test_no_text_leads_to_anything_but_a_url_or_a_value_error(text: str) -> None:
    try:
        url = checked_base_url(text)
    except ValueError:
        return
    assert url.lower().startswith(("https://", "http://"))


@pytest.mark.parametrize(("timeout", "connect_timeout"), [(0, 1), (1, 0), (-1, 1)])
def test_timeouts_must_be_positive(make_client: Clients, timeout: float, connect_timeout: float) -> None:
    with pytest.raises(ValueError, match="more than 0 seconds"):
        make_client("https://api.example.com", timeout=timeout, connect_timeout=connect_timeout)


def test_the_client_shows_its_url_and_timeout_but_no_secret(make_client: Clients) -> None:
    client = make_client("https://api.example.com", timeout=7)
    assert client.timeout == 7
    assert TOKEN not in repr(client)
    assert "https://api.example.com" in repr(client)
