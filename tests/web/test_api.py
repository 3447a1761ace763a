"""The operator's API."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from service.core.ledger import State
from tests.web.acts import LOCATION
from tests.web.conftest import BEARER, SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask
    from flask.testing import FlaskClient
    from redis import Redis

    from service.core.ledger import Ledger
    from tests.web.acts import Acts


def get(client: FlaskClient, path: str, status: int = 200) -> Any:  # noqa: ANN401 - JSON
    answer = client.get(path, headers=BEARER)
    assert answer.status_code == status, answer.text
    return answer.get_json()


def post(client: FlaskClient, path: str, body: object = None, status: int = 200) -> Any:  # noqa: ANN401 - JSON
    options = {} if body is None else {"json": body}
    answer = client.post(path, headers=BEARER, **options)
    assert answer.status_code == status, answer.text
    return answer.get_json()


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer wrong", "Basic the-api-token", "the-api-token", "Bearer tökén", "Bearer ☃"],
)
def test_without_the_right_bearer_token_it_is_401(client: FlaskClient, header: str) -> None:
    raw = header.encode().decode("latin-1")

    answer = client.get("/api/events", headers={"Authorization": raw})

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert set(answer.get_json()) == {"code", "status", "message"}


def test_without_a_configured_token_it_is_401_and_says_so(make: Callable[..., Flask]) -> None:
    client = make(replace(SETTINGS, api_token=None)).test_client()

    answer = client.get("/api/stats", headers=BEARER)

    assert answer.status_code == 401
    assert "BRIDGE_API_TOKEN is not set" in answer.get_json()["message"]


def test_a_delivered_event_shows_everything(client: FlaskClient, acts: Acts) -> None:
    event = acts.delivered(number=12)

    shown = get(client, f"/api/events/{event}")

    assert shown["id"] == event
    assert shown["marker"] == f"sb-{event[-10:]}"
    assert (shown["channel"], shown["source"], shown["status"]) == ("web", "json", "delivered")
    assert datetime.fromisoformat(shown["received_at"]).utcoffset() == timedelta()
    assert datetime.fromisoformat(shown["updated_at"]) >= datetime.fromisoformat(shown["received_at"])
    assert shown["due_at"] is None
    assert shown["dedupe_key"].startswith("key-")
    assert shown["repeats"] == 0
    assert shown["sender"] == {"name": "Ada Lovelace", "email": "ada@example.com"}
    assert shown["subject"] == "The Wi-Fi is down"
    assert shown["draft"] == {
        "locationRef": LOCATION,
        "text": "The text",
        "type": "internet",
        "userRefRequester": None,
    }
    assert shown["ticket"] == {"id": "ticket-12", "number": 12}
    (attempt,) = shown["attempts"]
    assert datetime.fromisoformat(attempt.pop("at")).utcoffset() == timedelta()
    assert attempt == {"outcome": "delivered", "status": 201, "error": None, "duration_ms": 1234}
    assert (shown["reason"], shown["code"]) == (None, None)


def test_a_new_event_has_no_draft_no_ticket_no_attempts_and_is_due(client: FlaskClient, acts: Acts) -> None:
    event = acts.accept()

    shown = get(client, f"/api/events/{event}")

    assert (shown["draft"], shown["ticket"], shown["attempts"]) == (None, None, [])
    assert shown["due_at"] == shown["received_at"]


def test_a_dead_letter_carries_spacebrings_message(client: FlaskClient, acts: Acts) -> None:
    event = acts.dead("text is too long", code="refused")

    shown = get(client, f"/api/events/{event}")

    assert (shown["status"], shown["reason"], shown["code"]) == ("dead", "text is too long", "refused")
    assert shown["attempts"][0]["error"] == "text is too long"


def test_events_come_newest_first_and_page_by_page(client: FlaskClient, acts: Acts) -> None:
    ids = [acts.accept() for _ in range(5)]

    first = get(client, "/api/events?limit=2")
    second = get(client, f"/api/events?limit=2&cursor={first['cursor']}")
    third = get(client, f"/api/events?limit=2&cursor={second['cursor']}")

    seen = [event["id"] for page in (first, second, third) for event in page["events"]]
    assert sorted(seen) == sorted(ids)
    received = [event["received_at"] for page in (first, second, third) for event in page["events"]]
    assert received == sorted(received, reverse=True)
    assert third["cursor"] is None
    assert all(event["due_at"] for event in first["events"])


def test_events_are_filtered_by_states_channel_and_text(client: FlaskClient, acts: Acts) -> None:
    dead = acts.dead(channel="mail")
    delivered = acts.delivered(number=31)
    queued = acts.accept()

    def found(query: str) -> set[str]:
        return {event["id"] for event in get(client, f"/api/events?{query}")["events"]}

    assert found("status=dead") == {dead}
    assert found("status=dead,queued") == {dead, queued}
    assert found("channel=mail") == {dead}
    assert found("q=%2331") == {delivered}
    assert found("q=wi-fi&status=delivered") == {delivered}


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("status=lost", "status: lost is no status; give one of queued, delivering, retrying, dead"),
        ("status=dead,lost", "status: lost is no status"),
        ("limit=0", "limit: "),
        ("limit=201", "limit: "),
        ("limit=x", "limit: Not a valid integer."),
        ("cursor=nonsense", "cursor: "),
        ("cursor=" + "9" * 100, "cursor: "),
        ("q=" + "x" * 201, "q: "),
    ],
)
def test_a_wrong_filter_is_422_and_says_what_would_be_right(
    client: FlaskClient, query: str, says: str
) -> None:
    problem = get(client, f"/api/events?{query}", 422)

    assert (problem["code"], problem["status"]) == (422, "Unprocessable Entity")
    assert problem["message"].startswith(says)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("POST", "/replay"), ("POST", "/discard")],
    ids=["get", "replay", "discard"],
)
def test_an_unknown_event_is_404(client: FlaskClient, method: str, path: str) -> None:
    answer = client.open(f"/api/events/nothing{path}", method=method, headers=BEARER)

    assert answer.status_code == 404
    assert answer.get_json()["code"] == 404
    assert "No event nothing" in answer.get_json()["message"]


def test_a_dead_letter_is_replayed(client: FlaskClient, acts: Acts, ledger: Ledger) -> None:
    event = acts.dead()

    shown = post(client, f"/api/events/{event}/replay")

    assert (shown["id"], shown["status"], shown["reason"]) == (event, "queued", None)
    assert ledger.history(event)[-1].by == "api"


@pytest.mark.parametrize(
    ("body", "code"), [({}, "unknown"), ({"confirm": True}, None)], ids=["", "confirmed"]
)
def test_what_may_be_filed_is_looked_for_unless_a_person_has_looked(
    client: FlaskClient, acts: Acts, body: dict[str, bool], code: str | None
) -> None:
    shown = post(client, f"/api/events/{acts.unknown()}/replay", body)

    assert (shown["status"], shown["code"]) == ("queued", code)


@pytest.mark.parametrize("operation", ["replay", "discard"])
def test_a_delivered_event_is_neither_replayed_nor_discarded(
    client: FlaskClient, acts: Acts, operation: str
) -> None:
    event = acts.delivered()

    problem = post(client, f"/api/events/{event}/{operation}", status=409)

    assert f"{operation} is not possible" in problem["message"]


def test_an_event_is_discarded(client: FlaskClient, acts: Acts) -> None:
    shown = post(client, f"/api/events/{acts.dead()}/discard")

    assert shown["status"] == "discarded"


def test_bulk_replay_does_what_the_filters_say(client: FlaskClient, acts: Acts, ledger: Ledger) -> None:
    mail = acts.dead("422: type is wrong", channel="mail")
    web = acts.dead("422: location is wrong")
    named = acts.dead("413: too long")
    unknown = acts.unknown()
    path = "/api/dead-letters/replay"

    assert post(client, path, {"channel": "mail"}) == {"replayed": 1}
    assert post(client, path, {"reason": "LOCATION"}) == {"replayed": 1}
    assert post(client, path, {"ids": []}) == {"replayed": 0}
    assert post(client, path, {"ids": [named, named, mail, "none"]}) == {"replayed": 1}
    assert post(client, path, {"confirm": True}) == {"replayed": 1}
    assert post(client, path) == {"replayed": 0}

    assert {ledger.event(event).state for event in (mail, web, named, unknown)} == {State.QUEUED}


def test_bulk_discard_does_what_the_filters_say(client: FlaskClient, acts: Acts, ledger: Ledger) -> None:
    unknown, dead = acts.unknown(), acts.dead()

    assert post(client, "/api/dead-letters/discard", {"reason": "unknown"}) == {"discarded": 1}
    assert ledger.event(unknown).state is State.DISCARDED
    assert ledger.event(dead).state is State.DEAD


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"chanel": "mail"}, "chanel: Unknown field."),
        ({"ids": "all"}, "ids: Not a valid list."),
        ({"ids": [1]}, "ids: Not a valid string."),
        ([], "Invalid input type."),
    ],
)
def test_a_wrong_bulk_filter_replays_nothing(
    client: FlaskClient, acts: Acts, ledger: Ledger, body: object, says: str
) -> None:
    event = acts.dead()

    problem = post(client, "/api/dead-letters/replay", body, 422)

    assert says in problem["message"]
    assert ledger.event(event).state is State.DEAD


def test_a_filter_that_is_not_sent_as_json_is_415_and_replays_nothing(
    client: FlaskClient, acts: Acts, ledger: Ledger
) -> None:
    event = acts.dead()

    answer = client.post("/api/dead-letters/replay", headers=BEARER, data='{"channel": "mail"}')

    assert answer.status_code == 415
    assert ledger.event(event).state is State.DEAD


def test_a_body_that_is_no_json_is_400_and_a_huge_one_413(client: FlaskClient) -> None:
    broken = client.post(
        "/api/dead-letters/replay", headers=BEARER, data="{", content_type="application/json"
    )
    huge = client.post(
        "/api/dead-letters/replay", headers=BEARER, data="x" * (1 << 20 | 1), content_type="application/json"
    )

    assert (broken.status_code, broken.get_json()["message"]) == (400, "Invalid JSON body.")
    assert (huge.status_code, huge.get_json()["code"]) == (413, 413)


def test_stats_say_how_the_bridge_does(client: FlaskClient, acts: Acts, redis: Redis) -> None:
    acts.dead()
    acts.accept()
    redis.rpush("rq:queue:dead-letter", "dead-1")

    stats = get(client, "/api/stats")

    assert stats["states"] == {state.value: int(state in {State.DEAD, State.QUEUED}) for state in State}
    assert stats["queues"] == {"tickets": 0, "dead-letter": 1}
    assert stats["due"] == {"person": 0, "backlog": 1}
    assert stats["oldest_waiting"]["seconds"] >= 0
    assert datetime.fromisoformat(stats["oldest_waiting"]["at"]).utcoffset() == timedelta()
    assert stats["workers"] == 0
    assert stats["delivery"]["healthy"] is False
    assert stats["turned_away"] == []
    assert "No worker is running" in stats["delivery"]["why"]


def test_stats_of_an_empty_ledger_have_no_oldest(client: FlaskClient) -> None:
    assert get(client, "/api/stats")["oldest_waiting"] is None


def test_without_redis_it_is_503(make: Callable[..., Flask], away: Redis) -> None:
    answer = make(redis=away).test_client().get("/api/events", headers=BEARER)

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "10"
    assert "Redis" in answer.get_json()["message"]


def test_answers_are_not_cached(client: FlaskClient) -> None:
    assert client.get("/api/stats", headers=BEARER).headers["Cache-Control"] == "no-store"


DESIGNED = {
    ("get", "/api/events"),
    ("get", "/api/events/{event}"),
    ("post", "/api/events/{event}/replay"),
    ("post", "/api/events/{event}/discard"),
    ("post", "/api/dead-letters/replay"),
    ("post", "/api/dead-letters/discard"),
    ("get", "/api/stats"),
    ("get", "/api/openapi.json"),
}


def test_the_openapi_document_names_every_call_and_each_reference_resolves(client: FlaskClient) -> None:
    document = get(client, "/api/openapi.json")
    calls = {(key, path) for path, item in document["paths"].items() for key in item if key != "parameters"}

    assert document["openapi"].startswith("3.")
    assert document["components"]["securitySchemes"] == {"bearer": {"type": "http", "scheme": "bearer"}}
    assert document["security"] == [{"bearer": []}]
    assert calls == DESIGNED
    for method, path in DESIGNED:
        call = document["paths"][path][method]
        assert call["summary"]
        assert {"200", "401", "503"} <= set(call["responses"])
        assert all({"description", "$ref"} & set(answer) for answer in call["responses"].values())
    text = json.dumps(document)
    for name in ("schemas", "responses"):
        for key in text.split(f'"#/components/{name}/')[1:]:
            assert key.partition('"')[0] in document["components"][name]


def test_the_openapi_document_tells_the_parameters(client: FlaskClient) -> None:
    document = get(client, "/api/openapi.json")

    listed = {entry["name"] for entry in document["paths"]["/api/events"]["get"]["parameters"]}
    bulk = document["components"]["schemas"]["BulkReplayBody"]["properties"]
    assert listed == {"status", "channel", "q", "limit", "cursor"}
    assert set(bulk) == {"channel", "reason", "ids", "confirm"}
    assert document["paths"]["/api/events/{event}/replay"]["post"]["requestBody"]["required"] is False


def test_a_real_answer_has_exactly_the_documented_properties(client: FlaskClient, acts: Acts) -> None:
    document = get(client, "/api/openapi.json")["components"]["schemas"]

    shown = get(client, f"/api/events/{acts.delivered()}")

    assert set(shown) == set(document["EventView"]["properties"])
    assert set(shown["draft"]) == set(document["DraftView"]["properties"])
    assert set(shown["attempts"][0]) == set(document["AttemptView"]["properties"])


def test_blank_parameters_are_as_good_as_none(client: FlaskClient) -> None:
    answer = client.get("/api/events?status=&channel=&q=&limit=&cursor=", headers=BEARER)

    assert answer.status_code == 200


def test_an_unknown_path_below_the_api_is_told_as_json(client: FlaskClient) -> None:
    assert client.get("/api/nothing", headers=BEARER).get_json()["code"] == 404
