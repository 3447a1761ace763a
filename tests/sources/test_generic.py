"""What the sources `form` and `json` do beside their recorded requests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from config.channels import load_config
from config.settings import load_settings
from service.app import create_app
from service.core.capture import ORIGIN
from service.core.errors import Invalid
from service.core.events import Sender
from service.core.registry import discover
from service.core.request import Headers, InboundRequest
from service.core.signing import Locks, from_ledger
from service.core.source import Part, SourceOptions
from tests.sources.test_contract import HEAD, source_of

if TYPE_CHECKING:
    from redis import Redis

    from service.core.events import InboundEvent


URLENCODED = "application/x-www-form-urlencoded"


def parsed(name: str, kind: str, body: bytes, /, **mapping: str) -> InboundEvent:
    request = InboundRequest("POST", f"{ORIGIN}/hooks/x", Headers.of([("Content-Type", kind)]), body)
    source = discover()[name](SourceOptions(name, Locks(), mapping))
    return source.parse(from_ledger(request), Part(()))


def form(elapsed: str) -> str:
    body = b"message=Cold&_elapsed=" + elapsed.encode()
    return parsed("form", URLENCODED, body).ignore


def posted(body: Any, name: str = "json", /, **mapping: str) -> InboundEvent:  # noqa: ANN401 - as JSON is
    return parsed(name, "application/json", json.dumps(body).encode(), **mapping)


def refused(body: Any, /, **mapping: str) -> dict[str, tuple[str, ...]]:  # noqa: ANN401
    with pytest.raises(Invalid) as caught:
        posted(body, **mapping)
    return caught.value.fields


@pytest.mark.parametrize("elapsed", ["0", "1.9", "0.", "1.99999999"])
def test_a_form_filled_in_faster_than_a_person_can_is_ignored(elapsed: str) -> None:
    assert form(elapsed) == "spam: filled in too fast"


@pytest.mark.parametrize("elapsed", ["2", "86400.5", "", "-1", "1e9", "NaN", "now", "9" * 5000])
def test_a_form_of_which_nobody_knows_that_it_was_fast_is_kept(elapsed: str) -> None:
    assert form(elapsed) == ""


def test_how_long_a_form_took_is_no_answer() -> None:
    assert parsed("form", URLENCODED, b"message=Cold&_elapsed=9").answers == ()


@pytest.mark.parametrize("name", ["fields", "questions", "answers", "submission", "data"])
def test_questions_are_told_under_their_labels_whatever_the_list_is_called(name: str) -> None:
    event = posted({name: [{"question": "Which room?", "answer": "North"}, {"label": "Since", "value": 3}]})

    assert [(each.label, each.value) for each in event.answers] == [("Which room?", "North"), ("Since", "3")]


@pytest.mark.parametrize(
    "told", [["a"], [], [{"question": "No answer"}], [{"answer": "No question"}], [{"label": 1, "value": 2}]]
)
def test_a_list_of_something_else_is_told_as_it_is(told: list[Any]) -> None:
    event = posted({"subject": "S", "answers": told})

    assert all(each.key.startswith("answers") for each in event.answers)


def test_fields_are_not_replaced_by_another_list() -> None:
    event = posted({"fields": {"room": "1"}, "answers": [{"question": "q", "answer": "a"}]})

    assert ("Room", "1") in [(each.label, each.value) for each in event.answers]


@pytest.mark.parametrize("body", [b'"{"', b'"[1]"', b'"\\"{}\\""', b'"text"'])
def test_a_string_that_holds_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(Invalid):
        parsed("json", "application/json", body)


@pytest.mark.parametrize(
    ("lock", "header"),
    [
        ('token = "token-for-tests-0001"', {"Authorization": "Bearer token-for-tests-0001"}),
        ('token = "token-for-tests-0001"', {"X-Bridge-Token": "token-for-tests-0001"}),
        ('basic = "user:password"', {"Authorization": "Basic dXNlcjpwYXNzd29yZA=="}),
    ],
)
def test_json_takes_a_bearer_a_token_and_basic(lock: str, header: dict[str, str], redis: Redis) -> None:
    config = load_config(f'{HEAD}name = "api"\nsource = "json"\n{lock}\n', environ={})
    client = create_app(load_settings({}), config, redis).test_client()

    assert client.post("/hooks/api", json={"text": "Cold"}, headers=header).status_code == 200
    assert client.post("/hooks/api", json={"text": "Dark"}).status_code == 401


@pytest.mark.parametrize("name", ["json", "standardwebhooks"])
@pytest.mark.parametrize(
    "body",
    [
        {"q3": "ann@example.com", "who": "Ann", "what": "Door", "more": "Stuck"},
        {
            "email": "robot@example.com",
            "name": "Robot",
            "subject": "New entry",
            "description": "See below",
            "fields": {"q3": "ann@example.com", "who": "Ann", "what": "Door", "more": "Stuck"},
        },
        {
            "data": {
                "requester": {"email": "robot@example.com", "name": "Robot"},
                "subject": "New entry",
                "q3": "ann@example.com",
                "who": "Ann",
                "what": "Door",
                "more": "Stuck",
            }
        },
        {
            "answers": [
                *({"type": "email", "label": "Reply to", "value": "robot@example.com"},),
                *({"question": "Q3", "answer": "ann@example.com"}, {"key": "who", "value": "Ann"}),
                *({"title": "What", "value": "Door"}, {"key": "more", "answer": "Stuck"}),
            ]
        },
    ],
)
def test_what_the_channel_names_comes_first_wherever_it_stands(name: str, body: dict[str, Any]) -> None:
    event = posted(body, name, email="q3", name="who", subject="what", body="more")

    assert (event.sender, event.subject, event.body) == (Sender("Ann", "ann@example.com"), "Door", "Stuck")
    assert {"Ann", "Door", "Stuck", "ann@example.com"}.isdisjoint(each.value for each in event.answers)


@pytest.mark.parametrize("name", ["json", "standardwebhooks"])
def test_what_is_put_aside_otherwise_is_told_where_the_channel_names_it(name: str) -> None:
    event = posted(
        {"form_title": "Help", "_topic": "Door", "text": "Stuck"}, name, subject="_topic", email="x"
    )

    assert (event.subject, event.origin, event.answers) == ("Door", "Help", ())
    assert posted({"form_id": "Desk", "text": "Stuck"}, name, name="form_id").sender.name == "Desk"


def test_a_token_among_the_fields_is_told_only_where_the_channel_names_it() -> None:
    body = {"text": "Stuck", "fields": {"token": "one", "_topic": "Door"}}

    event = posted(body, subject="_topic")

    assert (event.subject, event.answers) == ("Door", ())


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"q3": "by post", "text": "Stuck"}, "q3"),
        ([{"data": {"q3": "by post", "email": "ann@example.com", "text": "Stuck"}}], "0.data.q3"),
        ({"text": "Stuck", "fields": [{"label": "Q3 ", "value": "by post"}]}, "fields.0.value"),
        ({"email": "by post", "text": "Stuck"}, "email"),
        ({"data": {"requester": {"email": "by post"}, "text": "Stuck"}}, "data.requester.email"),
    ],
)
def test_an_address_that_is_none_is_refused_by_its_path(body: Any, path: str) -> None:  # noqa: ANN401
    assert refused(body, email="q3") == {path: ("Not a valid e-mail address.",)}


def test_an_address_of_another_field_may_be_anything_where_the_channel_names_its_own() -> None:
    event = posted({"q3": "ann@example.com", "email": "yes, please", "text": "Stuck"}, email="q3")

    assert [event.sender.email, *(each.value for each in event.answers)] == ["ann@example.com", "yes, please"]


def test_the_sender_is_found_where_nothing_names_it() -> None:
    event = posted(
        {"contact": {"mail": "ann@example.com"}, "first_name": "Ann", "last name": "Lee", "note": "Hi"}
    )

    assert event.sender == Sender("Ann Lee", "ann@example.com")


def test_one_address_told_twice_stands_once() -> None:
    event = posted({"email": "ann@example.com", "requester": {"email": "ann@example.com "}, "text": "Stuck"})

    assert event.answers == ()


@pytest.mark.parametrize(
    "body",
    [
        {"description": " \t\n"},
        {"subject": "", "fields": [{"label": "Area", "value": " "}]},
        {"email": "ann@example.com", "name": "Ann"},
        {"text": "\u0000"},
        {"files": [{"url": "https://files.example/s.png"}]},
    ],
)
def test_json_without_any_text_is_refused(body: dict[str, Any]) -> None:
    assert list(refused(body)) == ["description"]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"text": "x", "fields": [{"label": "a", "value": "b"}] * 51}, "fields"),
        ([{"data": {"text": "x", "rooms": [{"list": [1] * 51}]}}], "0.data.rooms.0.list"),
        ({"text": "x", "data": {"text": "x"}, "other": [0] * 51}, "other"),
    ],
)
def test_a_list_of_more_than_fifty_is_refused_by_its_path(body: Any, path: str) -> None:  # noqa: ANN401
    assert refused(body) == {path: ("May have 50 items at most.",)}


def test_a_list_of_fifty_is_taken() -> None:
    assert len(posted({"text": "x", "fields": [{"label": "a", "value": "b"}] * 50}).answers) == 50


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "data:,x", "//x.example/a", "ftp://x.example/a", "a b"]
)
def test_a_file_that_is_no_link_into_the_web_is_refused(link: str) -> None:
    fields = refused({"text": "x", "files": [{"name": "ok"}, {"name": "a", "url": link}]})

    assert fields == {"files.1.url": ("Not an http or https link.",)}


def test_a_file_without_a_name_has_its_links() -> None:
    files = [
        {"url": " HTTPS://files.example/a%20b.png?x=1#y"},
        {"url": "http://files.example/", "name": None},
    ]

    found = posted({"text": "x", "files": files}).files

    assert [(each.name, each.url) for each in found] == [
        ("a b.png", "https://files.example/a%20b.png?x=1#y"),
        ("file", "http://files.example/"),
    ]


@pytest.mark.parametrize("file", [{}, {"name": " "}, {"url": "", "name": None}])
def test_a_file_with_neither_name_nor_link_is_refused(file: dict[str, Any]) -> None:
    assert refused({"text": "x", "files": [file]}) == {"files.0.url": ("Give a link, or at least a name.",)}


def test_what_is_not_as_documented_is_told_as_it_is_to_a_sender_that_reads_no_verdict() -> None:
    body = {"text": ["Stuck"], "requester": "Ann", "files": {"url": "javascript:alert(1)"}, "fields": 7}

    event = posted({"data": body}, "standardwebhooks")

    assert {(each.key, each.value) for each in event.answers} >= {
        *{("requester", "Ann"), ("files.url", "javascript:alert(1)"), ("fields", "7")}
    }
    assert (event.body, event.files) == ("Stuck", ())


@pytest.mark.parametrize("name", ["payload", "data"])
@pytest.mark.parametrize("kind", [URLENCODED, f"{URLENCODED}; charset=utf-8"])
def test_json_may_stand_in_a_field_of_a_form(name: str, kind: str) -> None:
    body = urlencode({"other": "x", name: json.dumps({"subject": "Door", "text": "Stück"})}).encode()

    event = parsed("json", kind, body)

    assert (event.subject, event.body) == ("Door", "Stück")


@pytest.mark.parametrize("body", [b"", b"email=ann%40example.com&message=Cold", b'{"text": "Cold"}'])
def test_a_form_of_other_fields_is_told_where_the_json_goes(body: bytes) -> None:
    with pytest.raises(
        Invalid, match="In a form, the JSON stands in the field payload or data; else send it as"
    ):
        parsed("json", URLENCODED, body)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"n": ' + b"9" * 5000 + b"}", "The body is not JSON: a number has too many digits"),
        (b'{"n": -' + b"9" * 4400 + b"}", "The body is not JSON: a number has too many digits"),
        (b'{"n": "\xff"}', "The body is not UTF-8"),
        (b'{"n": 1e999}', "The body is not JSON: a number is out of range"),
        (b"[1, 2]", "The body is not a JSON object"),
    ],
)
def test_what_is_wrong_with_the_json_is_told_in_our_words(body: bytes, text: str) -> None:
    with pytest.raises(Invalid) as caught:
        parsed("json", "application/json", body)

    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("body", "events"),
    [
        (b'{"type": "ping", "data": {}}', 0),
        (b'{"type": "Webhook.Test", "timestamp": "2026-05-01T10:02:11Z"}', 0),
        (b'{"type": "test", "id": "x", "data": null}', 0),
        (b'{"type": "ping", "data": {"a": null}}', 1),
        (b'{"type": "ping", "data": {}, "text": "Cold"}', 1),
        (b'{"type": "latest", "data": {}}', 1),
        (b'{"type": ["ping"], "data": {}}', 1),
        (b'{"data": {}}', 1),
        (b"ping", 1),
        (b'{"type": "ping"' + b" " * 1000 + b"}", 1),
    ],
)
def test_only_what_is_plainly_a_trial_makes_nothing(body: bytes, events: int) -> None:
    source = discover()["standardwebhooks"](SourceOptions("x", Locks(), {}))
    request = InboundRequest("POST", f"{ORIGIN}/hooks/x", Headers.of([("webhook-id", "m1")]), body)

    assert len(source.identify(from_ledger(request))) == events


@pytest.mark.parametrize("name", sorted(discover()))
def test_who_sends_json_may_call_it_by_a_name_of_its_own(name: str) -> None:
    source = discover()[name](source_of(name).options)
    own, other = (
        source.accepts(InboundRequest("POST", ORIGIN, Headers.of([("Content-Type", kind)]), b""))
        for kind in ("application/vnd.acme.v1+json; charset=utf-8", "application/vnd.acme.v1+xml")
    )

    assert own is ("application/json" in source.content_types)
    assert not other
