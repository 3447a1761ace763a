import threading
from uuid import uuid4

from tests.conftest import until
from tests.sandbox.client import ADA, BASIC, BEARER, DOWNTOWN, HARBOUR, TICKETS, Client, ticket


def test_the_probe_answers_without_credentials(client: Client) -> None:
    assert client.call("GET", "/livez", headers={}).status_code == 200


def test_every_ticket_is_shown_in_the_order_of_filing(client: Client) -> None:
    client.file(text="first", userRefRequester=ADA.user)
    client.file(text="second", locationRef=HARBOUR)
    first, second = client.call("GET", "/sandbox/tickets", headers={}).json()["tickets"]
    assert (first["number"], first["location"], first["type"], first["text"]) == (
        1,
        "Downtown",
        "internet",
        "first",
    )
    assert first["requester"] == {"id": ADA.user, "name": ADA.name, "email": ADA.email}
    assert first["createDate"] < second["createDate"]
    assert (second["locationRef"], second["text"]) == (HARBOUR, "second")


def test_forgotten_tickets_leave_no_trace_and_numbers_start_again(client: Client) -> None:
    ref = client.file().json()["ticket"]["id"]
    assert client.call("DELETE", "/sandbox/tickets").status_code == 204
    assert client.filed() == 0
    assert client.call("GET", f"{TICKETS}/{ref}").status_code == 404
    assert client.file().json()["ticket"]["number"] == 1


def test_requests_to_the_api_are_counted_by_method_path_and_status(client: Client) -> None:
    for _ in range(2):
        client.file()
    client.file(text="")
    client.call("POST", TICKETS, headers={}, auth=BASIC, json=ticket())
    client.call("GET", TICKETS, params={"locationRef": DOWNTOWN})
    for _ in range(2):
        client.call("GET", f"{TICKETS}/{uuid4()}")
    client.call("GET", "/livez")
    assert client.outcomes() == [
        ("GET", TICKETS, 200, 1),
        ("GET", f"{TICKETS}/<ref>", 404, 2),
        ("POST", TICKETS, 201, 2),
        ("POST", TICKETS, 400, 1),
        ("POST", TICKETS, 403, 1),
    ]
    assert client.call("DELETE", "/sandbox/requests").status_code == 204
    assert client.call("GET", "/sandbox/requests").json() == {
        "total": 0,
        "limited": 0,
        "most_in_flight": 0,
        "counts": [],
    }


def test_the_most_requests_that_were_answered_at_once_are_counted(client: Client) -> None:
    client.file()
    one_by_one = client.call("GET", "/sandbox/requests").json()["most_in_flight"]
    client.faults({"kind": "latency", "seconds": 60})
    waiting = [threading.Thread(target=gone, args=[client]) for _ in range(3)]
    for thread in waiting:
        thread.start()
    for thread in waiting:
        thread.join()
    assert one_by_one == 1
    assert client.call("GET", "/sandbox/requests").json()["most_in_flight"] == 3


def gone(client: Client) -> None:
    """File a ticket, wait until three are on their way, and leave."""
    connection = client.socket()
    head = "\r\n".join(f"{name}: {value}" for name, value in BEARER.items())
    connection.sendall(f"POST {TICKETS} HTTP/1.1\r\nHost: sandbox\r\n{head}\r\n\r\n".encode())
    until(lambda: client.call("GET", "/sandbox/requests").json()["most_in_flight"] == 3)
    connection.close()
