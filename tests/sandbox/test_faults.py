import socket
import threading

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from sandbox.app import create_app
from sandbox.faults import BadFaultsError, Fault, parse_faults
from sandbox.server import running
from tests.conftest import until
from tests.sandbox.client import BEARER, DOWNTOWN, FAULTS, HARBOUR, TICKETS, Client, options, ticket

_LONG = 3600


def _raw(client: Client) -> bytes:
    """Send a request that files a ticket over a bare connection, and read until the connection ends."""
    body = b'{"ticket": {"locationRef": "%s", "type": "other", "text": "raw"}}' % DOWNTOWN.encode()
    headers = "".join(f"{name}: {value}\r\n" for name, value in BEARER.items())
    head = f"POST {TICKETS} HTTP/1.1\r\nHost: x\r\n{headers}Content-Type: application/json\r\n"
    with client.socket() as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body + b"and more")
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer


def test_no_fault_is_on_at_first(client: Client) -> None:
    assert client.call("GET", FAULTS).json()["faults"] == []


def test_a_status_fault_answers_for_the_api_with_a_retry_after(client: Client) -> None:
    client.faults({"kind": "status", "status": 503, "retry_after": 7})
    response = client.file()
    assert (response.status_code, response.headers["Retry-After"]) == (503, "7")
    assert response.json()["message"]
    assert client.filed() == 0
    assert client.call("GET", "/locations/v1").status_code == 200


def test_a_fault_strikes_before_credentials_are_looked_at(client: Client) -> None:
    client.faults({"kind": "status", "status": 503, "methods": ["*"]})
    assert client.call("GET", "/locations/v1", headers={}).status_code == 503


def test_faults_are_switched_off(client: Client) -> None:
    client.faults({"kind": "status", "status": 503})
    assert client.call("DELETE", FAULTS).status_code == 204
    assert client.file().status_code == 201


def test_a_fault_strikes_every_nth_request_and_no_more_than_its_times(client: Client) -> None:
    client.faults({"kind": "status", "status": 500, "every": 2, "times": 2})
    assert [client.file().status_code for _ in range(7)] == [201, 500, 201, 500, 201, 201, 201]
    [fault] = client.call("GET", FAULTS).json()["faults"]
    assert (fault["matched"], fault["struck"]) == (4, 2)


def test_rates_repeat_with_the_same_seed(client: Client) -> None:
    document = {"faults": [{"kind": "status", "status": 500, "rate": 0.5}], "seed": 4}
    runs = []
    for _ in range(2):
        assert client.faults(document).json()["seed"] == 4
        runs.append([client.file().status_code for _ in range(20)])
    assert runs[0] == runs[1]
    assert set(runs[0]) == {201, 500}


def test_a_rate_of_nothing_strikes_nothing(client: Client) -> None:
    client.faults({"kind": "status", "status": 500, "rate": 0, "seed": 1})
    assert {client.file().status_code for _ in range(10)} == {201}


def test_a_fault_can_be_meant_for_a_path_and_a_location(client: Client) -> None:
    ref = client.file(locationRef=HARBOUR).json()["ticket"]["id"]
    fault = {"kind": "status", "status": 403, "methods": ["*"], "path": "/support", "location": HARBOUR}
    client.faults(fault)
    assert client.file(locationRef=HARBOUR.upper()).status_code == 403
    assert client.call("GET", TICKETS, params={"locationRef": HARBOUR}).status_code == 403
    assert client.call("GET", f"{TICKETS}/{ref}").status_code == 403
    assert client.file().status_code == 201
    assert client.call("POST", TICKETS, json=[]).status_code == 400
    assert client.call("POST", TICKETS, json=ticket(locationRef=7)).status_code == 400
    assert client.call("GET", f"{TICKETS}/{HARBOUR}").status_code == 404
    query = {"locationRef": HARBOUR}
    assert client.call("GET", "/community/memberships/v1", params=query).status_code == 200


def test_latency_delays_an_answer_and_the_next_fault_still_strikes(client: Client) -> None:
    client.faults([{"kind": "latency", "seconds": 0.01}, {"kind": "status", "status": 502}])
    assert client.file().status_code == 502
    assert [fault["struck"] for fault in client.call("GET", FAULTS).json()["faults"]] == [1, 1]


def test_the_first_fault_that_ends_a_request_hides_those_after_it(client: Client) -> None:
    client.faults([{"kind": "status", "status": 500}, {"kind": "status", "status": 502}])
    assert client.file().status_code == 500
    assert [fault["matched"] for fault in client.call("GET", FAULTS).json()["faults"]] == [1, 0]


@pytest.mark.parametrize(("kind", "filed"), [("timeout_before_commit", 0), ("timeout_after_commit", 1)])
def test_a_silence_ends_with_the_connection_closed_and_no_answer(
    client: Client, kind: str, filed: int
) -> None:
    client.faults({"kind": kind, "seconds": 0.05})
    assert _raw(client) == b""
    assert client.filed() == filed
    assert client.outcomes() == [("POST", TICKETS, "dropped", 1)]


@pytest.mark.parametrize(("kind", "filed"), [("reset", 0), ("reset_after_commit", 1)])
def test_a_reset_is_a_tcp_reset(client: Client, kind: str, filed: int) -> None:
    client.faults({"kind": kind})
    with pytest.raises(ConnectionResetError):
        _raw(client)
    assert client.filed() == filed
    assert client.outcomes() == [("POST", TICKETS, "reset", 1)]


def test_an_error_after_the_commit_leaves_the_ticket_filed(client: Client) -> None:
    client.faults({"kind": "error_after_commit"})
    assert (client.file().status_code, client.filed()) == (500, 1)


def test_an_unreadable_201_leaves_the_ticket_filed(client: Client) -> None:
    client.faults({"kind": "wrong_json"})
    response = client.file()
    assert (response.status_code, client.filed()) == (201, 1)
    with pytest.raises(requests.exceptions.JSONDecodeError):
        response.json()


def test_what_strikes_after_a_commit_leaves_a_refused_request_alone(client: Client) -> None:
    client.faults({"kind": "error_after_commit", "times": 1})
    assert client.file(text="").status_code == 400
    assert client.struck() == 0
    assert client.file().status_code == 500


@pytest.mark.parametrize(
    ("kind", "filed"), [("timeout_before_commit", 0), ("timeout_after_commit", 1), ("latency", 1)]
)
def test_a_wait_ends_when_the_client_goes_away(client: Client, kind: str, filed: int) -> None:
    client.faults({"kind": kind, "seconds": _LONG})
    with pytest.raises(requests.ReadTimeout):
        client.call("POST", TICKETS, json=ticket(), timeout=(10, 0.2))
    until(lambda: len(client.outcomes()) == 1)
    assert client.filed() == filed


def test_a_wait_ends_when_the_client_resets_the_connection(client: Client) -> None:
    client.faults({"kind": "timeout_before_commit", "seconds": _LONG, "methods": ["GET"]})
    connection = client.socket()
    connection.sendall(b"GET /locations/v1 HTTP/1.1\r\nHost: x\r\n\r\n")
    until(lambda: client.struck() == 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()
    until(lambda: len(client.outcomes()) == 1)


def test_what_a_client_still_sends_during_a_wait_is_not_taken_for_its_leaving(client: Client) -> None:
    client.faults({"kind": "timeout_before_commit", "seconds": _LONG, "methods": ["GET"]})
    with client.socket() as connection:
        connection.sendall(b"GET /locations/v1 HTTP/1.1\r\nHost: x\r\n\r\n")
        until(lambda: client.struck() == 1)
        connection.sendall(b"something that nobody reads")
        assert client.outcomes() == []
    until(lambda: len(client.outcomes()) == 1)


def test_a_wait_ends_when_the_server_stops_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    ended: list[object] = []
    with running(create_app(options())) as url:
        client = Client(url)
        client.faults({"kind": "timeout_before_commit", "seconds": _LONG})
        idle = client.socket()

        def hang() -> None:
            with pytest.raises(requests.ConnectionError):
                client.call("POST", TICKETS, json=ticket(), timeout=60)
            ended.append("closed")

        waiting = threading.Thread(target=hang)
        waiting.start()
        until(lambda: client.struck() == 1)
    waiting.join()
    idle.close()
    assert ended == ["closed"]
    assert set(threading.enumerate()) == before


def test_a_wait_without_a_connection_to_watch_lasts_its_time() -> None:
    app = create_app(options())
    tester = app.test_client()
    tester.put(FAULTS, json=[{"kind": "latency", "seconds": 0.001}, {"kind": "reset"}])
    with pytest.raises(ConnectionAbortedError):
        tester.post(TICKETS, json=ticket(), headers=BEARER)


@pytest.mark.parametrize(
    ("document", "errors"),
    [
        ({}, ["faults[0].kind: Missing data for required field."]),
        ("status", ["Give a fault, a list of faults, or {faults, seed}."]),
        (["status"], ["faults[0]: Invalid input type."]),
        ({"faults": 1}, ["faults: Not a valid list."]),
        ({"faults": [], "sed": 1}, ["sed: Unknown field."]),
        ({"faults": [], "seed": "x"}, ["seed: Not a valid integer."]),
        ({"kind": "reset", "speed": 1}, ["faults[0].speed: Unknown field."]),
        ({"kind": "status"}, ["faults[0].status: Say which status."]),
        ({"kind": "latency"}, ["faults[0].seconds: Say how many seconds."]),
        ({"kind": "reset", "seconds": 1}, ["faults[0].seconds: Means nothing to the kind reset."]),
        (
            {"kind": "reset", "rate": 1, "every": 2},
            ["faults[0].every: Give either a rate or every, not both."],
        ),
        (
            {"kind": "reset", "rate": 2},
            ["faults[0].rate: Must be greater than or equal to 0 and less than or equal to 1."],
        ),
        ({"kind": "reset", "times": 0}, ["faults[0].times: Must be greater than or equal to 1."]),
        ({"kind": "reset", "path": "support"}, ["faults[0].path: Must start with a slash."]),
        ({"kind": "reset", "location": "here"}, ["faults[0].location: Not a valid UUID."]),
        (
            {"kind": "reset", "methods": ["BREW"]},
            ["faults[0].methods[0]: Must be one of: GET, HEAD, POST, PUT, PATCH, DELETE, *."],
        ),
    ],
)
def test_a_bad_fault_is_answered_422_naming_what_is_wrong(
    client: Client, document: object, errors: list[str]
) -> None:
    client.faults({"kind": "reset", "path": "/kept"})
    response = client.faults(document)
    assert (response.status_code, response.json()["errors"]) == (422, errors)
    assert response.json()["message"] == "; ".join(errors)
    assert client.call("GET", FAULTS).json()["faults"][0]["path"] == "/kept"


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 200_000])
def test_faults_that_are_not_json_are_answered_422(client: Client, data: bytes) -> None:
    response = client.call("PUT", FAULTS, data=data)
    assert (response.status_code, response.json()["errors"]) == (422, ["The body is not JSON."])


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["faults", "kind"]), inner),
)


@given(_JSON)
def test_whatever_is_given_as_faults_is_read_or_refused_with_a_reason(document: object) -> None:
    reasons: tuple[str, ...] | None = None
    try:
        faults, _ = parse_faults(document)
    except BadFaultsError as error:
        faults, reasons = [], error.errors
    assert reasons != ()
    assert all(isinstance(fault, Fault) for fault in faults)


@given(
    st.builds(
        Fault,
        st.sampled_from(["status", "latency", "timeout_after_commit", "reset", "wrong_json"]),
        rate=st.floats(0, 1),
        methods=st.lists(st.sampled_from(["GET", "POST", "*"]), min_size=1).map(tuple),
        path=st.text().map(lambda rest: f"/{rest}"),
        times=st.none() | st.integers(1, 10),
        location=st.none() | st.uuids().map(str),
    )
)
def test_a_fault_is_the_same_once_written_and_read(fault: Fault) -> None:
    assert parse_faults([fault.document()]) == ([fault], None)
