import re
from uuid import UUID, uuid4

import pytest
import requests

from sandbox.app import ADMINISTRATOR, DEFAULT_NETWORK_ID, create_app
from sandbox.schemas import TICKET_TYPES
from sandbox.server import running
from tests.sandbox.client import ADA, BASIC, BEARER, BOB, DOWNTOWN, HARBOUR, TICKETS, Client, options, ticket

_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def _issues(response: requests.Response) -> list[tuple[str, tuple[str, ...]]]:
    body = response.json()
    assert (response.status_code, body["type"]) == (400, "validationError")
    assert body["message"]
    assert all(issue["message"] for issue in body["issues"])
    return [(issue["code"], tuple(issue["path"])) for issue in body["issues"]]


def test_a_filed_ticket_is_answered_201_with_the_documented_shape(client: Client) -> None:
    response = client.file(userRefRequester=ADA.user)
    body = response.json()
    filed = body["ticket"]
    assert response.status_code == 201
    assert filed["number"] == 1
    assert (filed["status"], filed["type"], filed["description"]) == ("new", "internet", "No Wi-Fi")
    assert filed["locationRef"] == DOWNTOWN
    assert _ISO.fullmatch(filed["createDate"])
    assert filed["updateDate"] == filed["createDate"]
    assert filed["userRequester"]["id"] == ADA.user
    assert filed["membershipRefRequester"] == filed["membershipRequester"]["id"] == ADA.id
    [activity] = body["activities"]
    assert (activity["type"], activity["ticketRef"]) == ("ticketCreated", filed["id"])
    assert UUID(filed["id"]) != UUID(activity["id"])


def test_the_requester_defaults_to_the_user_of_the_bearer_token(client: Client) -> None:
    filed = client.file().json()["ticket"]
    assert filed["userRequester"]["email"] == ADMINISTRATOR.email
    assert "membershipRequester" not in filed


def test_numbers_count_from_one_in_each_location(client: Client) -> None:
    numbers = [
        client.file(locationRef=ref).json()["ticket"]["number"] for ref in (DOWNTOWN, HARBOUR, DOWNTOWN)
    ]
    assert numbers == [1, 1, 2]


@pytest.mark.parametrize("kind", TICKET_TYPES)
def test_each_documented_type_is_taken(client: Client, kind: str) -> None:
    assert client.file(type=kind).json()["ticket"]["type"] == kind


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, [("invalid_type", ("ticket",))]),
        ([], [("invalid_type", ())]),
        ({"ticket": None}, [("invalid_type", ("ticket",))]),
        ({"ticket": "x"}, [("invalid_type", ("ticket",))]),
        (
            {"ticket": {}},
            [
                ("invalid_type", ("ticket", "locationRef")),
                ("invalid_type", ("ticket", "type")),
                ("invalid_type", ("ticket", "text")),
            ],
        ),
        (ticket(locationRef="downtown"), [("invalid_string", ("ticket", "locationRef"))]),
        (ticket(locationRef=DOWNTOWN + "\n"), [("invalid_string", ("ticket", "locationRef"))]),
        (ticket(locationRef=7), [("invalid_type", ("ticket", "locationRef"))]),
        (ticket(locationRef=str(uuid4())), [("custom", ("ticket", "locationRef"))]),
        (ticket(type="wifi"), [("invalid_enum_value", ("ticket", "type"))]),
        (ticket(text=""), [("too_small", ("ticket", "text"))]),
        (ticket(text=None), [("invalid_type", ("ticket", "text"))]),
        (ticket(text="\ud83d"), [("invalid_string", ("ticket", "text"))]),
        (ticket(userRefRequester="ada"), [("invalid_string", ("ticket", "userRefRequester"))]),
        (ticket(userRefRequester=str(uuid4())), [("custom", ("ticket", "userRefRequester"))]),
    ],
)
def test_a_body_that_is_not_valid_is_answered_400_naming_each_field(
    client: Client, body: object, expected: list[tuple[str, tuple[str, ...]]]
) -> None:
    assert _issues(client.call("POST", TICKETS, json=body)) == expected
    assert client.filed() == 0


@pytest.mark.parametrize(
    ("data", "status"),
    [(b"{", 400), (b"\xff", 400), (b"[" * 200_000, 400), (b'"' + b"x" * 1_000_001 + b'"', 413)],
)
def test_a_body_that_is_not_json_or_too_large_is_refused(client: Client, data: bytes, status: int) -> None:
    response = client.call("POST", TICKETS, data=data, headers={**BEARER, "Content-Type": "application/json"})
    assert (response.status_code, response.json()["type"]) == (status, "invalidRequest")


def test_keys_that_are_not_known_are_left_out_and_uuids_may_be_in_capitals(client: Client) -> None:
    response = client.file(locationRef=DOWNTOWN.upper(), userRefRequester=ADA.user.upper(), priority="high")
    assert response.status_code == 201
    assert response.json()["ticket"]["locationRef"] == DOWNTOWN
    assert "priority" not in response.json()["ticket"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer sandbox-token"}, 401),
        ({**BEARER, "Authorization": "Bearer wrong"}, 401),
        ({**BEARER, "Authorization": "Bearer"}, 401),
        ({**BEARER, "Authorization": "Digest sandbox-token"}, 401),
        ({**BEARER, "Authorization": "Basic c2FuZGJveC1jbGllbnQ6d3Jvbmc="}, 401),
        ({**BEARER, "spacebring-network-id": str(uuid4())}, 403),
        ({**BEARER, "spacebring-network-id": DEFAULT_NETWORK_ID.upper()}, 200),
    ],
)
def test_credentials_that_are_missing_or_wrong_are_refused(
    client: Client, headers: dict[str, str], status: int
) -> None:
    response = client.call("GET", "/locations/v1", headers=headers)
    assert response.status_code == status
    assert status == 200 or response.json()["message"]


def test_basic_reads_without_naming_the_network_but_may_not_file(client: Client) -> None:
    assert client.call("GET", "/locations/v1", headers={}, auth=BASIC).status_code == 200
    refused = client.call("POST", TICKETS, headers={}, auth=BASIC, json=ticket())
    assert (refused.status_code, refused.json()["type"]) == (403, "forbidden")


def test_basic_files_for_nobody_where_it_may() -> None:
    with running(create_app(options(basic_may_create=True))) as url:
        response = requests.post(url + TICKETS, json=ticket(), auth=BASIC, timeout=10)
    assert response.status_code == 201
    assert response.json()["ticket"]["userRequester"] is None


def test_networks_are_listed_without_naming_one(client: Client) -> None:
    response = client.call("GET", "/networks/v1", headers={"Authorization": "Bearer sandbox-token"})
    assert [network["id"] for network in response.json()["networks"]] == [DEFAULT_NETWORK_ID]


def test_locations_are_listed_with_their_titles(client: Client) -> None:
    found = client.call("GET", "/locations/v1").json()["locations"]
    assert {location["id"]: location["title"] for location in found} == options().locations


@pytest.mark.parametrize("email", ["ada@example.com", "ADA@EXAMPLE.COM", "Ada@Example.com"])
def test_a_membership_is_found_by_address_in_any_letter_case(client: Client, email: str) -> None:
    query = {"locationRef": DOWNTOWN, "userEmail": email}
    [found] = client.call("GET", "/community/memberships/v1", params=query).json()["memberships"]
    assert (found["id"], found["userRef"], found["user"]["id"]) == (ADA.id, ADA.user, ADA.user)
    assert (found["status"], found["user"]["email"]) == ("approved", ADA.email)


def test_memberships_belong_to_their_location(client: Client) -> None:
    def emails(**query: str) -> list[str]:
        answer = client.call("GET", "/community/memberships/v1", params=query).json()
        return [found["user"]["email"] for found in answer["memberships"]]

    assert emails(locationRef=DOWNTOWN) == [ADA.email, BOB.email]
    assert emails(locationRef=HARBOUR, userEmail=ADA.email) == []
    assert emails(locationRef=DOWNTOWN, userEmail="eve@example.com") == []


@pytest.mark.parametrize("path", [TICKETS, "/community/memberships/v1"])
def test_a_list_needs_a_location_that_exists(client: Client, path: str) -> None:
    assert _issues(client.call("GET", path)) == [("invalid_type", ("locationRef",))]
    unknown = client.call("GET", path, params={"locationRef": str(uuid4())})
    assert _issues(unknown) == [("custom", ("locationRef",))]


def _pages(client: Client, **query: object) -> list[list[str]]:
    pages: list[list[str]] = []
    token: dict[str, str] = {}
    while not pages or token:
        params = {"locationRef": DOWNTOWN, **query, **token}
        answer = client.call("GET", TICKETS, params=params).json()
        pages.append([found["description"] for found in answer["tickets"]])
        token = {"nextPageToken": answer["nextPageToken"]} if "nextPageToken" in answer else {}
    return pages


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"limit": 2}, [["e", "d"], ["c", "b"], ["a"]]),
        ({"limit": 5}, [["e", "d", "c", "b", "a"]]),
        ({"limit": 3, "order": "createDate:asc"}, [["a", "b", "c"], ["d", "e"]]),
        ({"limit": 3, "order": "updateDate:desc"}, [["b", "e", "d"], ["c", "a"]]),
        ({"limit": 4, "order": "updateDate:asc"}, [["a", "c", "d", "e"], ["b"]]),
    ],
)
def test_a_list_is_read_page_by_page_in_its_order(
    client: Client, query: dict[str, object], expected: list[list[str]]
) -> None:
    refs = {text: client.file(text=text).json()["ticket"]["id"] for text in "abcde"}
    client.file(text="elsewhere", locationRef=HARBOUR)
    client.call("PUT", f"{TICKETS}/{refs['b']}/status", json={"ticket": {"status": "solved"}})
    assert _pages(client, **query) == expected


def test_a_list_holds_25_tickets_unless_told(client: Client) -> None:
    for number in range(26):
        client.file(text=str(number))
    assert [len(page) for page in _pages(client)] == [25, 1]


def test_a_list_can_be_narrowed_to_memberships_of_its_location(client: Client) -> None:
    client.file(text="ada", userRefRequester=ADA.user)
    client.file(text="bob", userRefRequester=BOB.user)
    client.file(text="admin")
    assert _pages(client, membershipRefRequester=ADA.id.upper()) == [["ada"]]
    assert _pages(client, membershipRefRequester=f"{ADA.id}, {BOB.id}") == [["bob", "ada"]]
    query = {"locationRef": HARBOUR, "membershipRefRequester": ADA.id}
    assert _issues(client.call("GET", TICKETS, params=query)) == [("custom", ("membershipRefRequester",))]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"limit": "0"}, "out_of_range"),
        ({"limit": "101"}, "out_of_range"),
        ({"limit": "many"}, "invalid_type"),
        ({"order": "number:asc"}, "invalid_enum_value"),
        ({"nextPageToken": "?"}, "custom"),
        ({"nextPageToken": "e30="}, "custom"),
        ({"nextPageToken": "NQ=="}, "custom"),
        ({"nextPageToken": "WzEsMV0="}, "custom"),
        ({"nextPageToken": "WyJhIiwgOTIyMzM3MjAzNjg1NDc3NTgwOF0="}, "custom"),
        ({"nextPageToken": "WyJcdWQ4M2QiLCAxXQ=="}, "invalid_string"),
    ],
)
def test_a_query_that_is_not_valid_is_answered_400(client: Client, query: dict[str, str], code: str) -> None:
    response = client.call("GET", TICKETS, params={"locationRef": DOWNTOWN, **query})
    assert _issues(response) == [(code, tuple(query))]


def test_a_ticket_is_read_back_by_its_id_in_any_letter_case(client: Client) -> None:
    filed = client.file().json()
    response = client.call("GET", f"{TICKETS}/{filed['ticket']['id'].upper()}")
    assert (response.status_code, response.json()) == (200, filed)


def test_a_ticket_that_is_not_there_is_404_and_an_id_that_is_no_uuid_400(client: Client) -> None:
    status = {"ticket": {"status": "solved"}}
    assert client.call("GET", f"{TICKETS}/{uuid4()}").status_code == 404
    assert client.call("PUT", f"{TICKETS}/{uuid4()}/status", json=status).status_code == 404
    assert _issues(client.call("GET", f"{TICKETS}/42")) == [("invalid_string", ("id",))]


def test_a_status_is_set_and_seen_as_an_activity(client: Client) -> None:
    ref = client.file().json()["ticket"]["id"]
    response = client.call("PUT", f"{TICKETS}/{ref}/status", json={"ticket": {"status": "closed"}})
    assert response.status_code == 200
    assert response.json()["activity"]["data"] == {"status": "closed"}
    read = client.call("GET", f"{TICKETS}/{ref}").json()
    assert read["ticket"] == response.json()["ticket"]
    assert (read["ticket"]["status"], read["ticket"]["statusUpdateDate"]) == (
        "closed",
        read["ticket"]["updateDate"],
    )
    assert [activity["type"] for activity in read["activities"]] == ["ticketCreated", "statusUpdated"]


def test_a_status_that_does_not_exist_is_answered_400(client: Client) -> None:
    ref = client.file().json()["ticket"]["id"]
    response = client.call("PUT", f"{TICKETS}/{ref}/status", json={"ticket": {"status": "done"}})
    assert _issues(response) == [("invalid_enum_value", ("ticket", "status"))]
