"""What the sources `form` and `json` do beside their recorded requests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from config.channels import load_config
from config.settings import load_settings
from service.app import create_app
from service.core.capture import ORIGIN
from service.core.errors import Invalid
from service.core.registry import discover
from service.core.request import Headers, InboundRequest
from service.core.signing import Locks, from_ledger
from service.core.source import Part, SourceOptions
from tests.sources.test_contract import HEAD

if TYPE_CHECKING:
    from redis import Redis

    from service.core.events import InboundEvent


def parsed(name: str, kind: str, body: bytes) -> InboundEvent:
    request = InboundRequest("POST", f"{ORIGIN}/hooks/x", Headers.of([("Content-Type", kind)]), body)
    source = discover()[name](SourceOptions(name, Locks(), {}))
    return source.parse(from_ledger(request), Part(()))


def form(elapsed: str) -> str:
    body = b"message=Cold&_elapsed=" + elapsed.encode()
    return parsed("form", "application/x-www-form-urlencoded", body).ignore


def posted(body: Any) -> InboundEvent:  # noqa: ANN401 - as JSON is
    return parsed("json", "application/json", json.dumps(body).encode())


@pytest.mark.parametrize("elapsed", ["0", "1.9", "0.", "1.99999999"])
def test_a_form_filled_in_faster_than_a_person_can_is_ignored(elapsed: str) -> None:
    assert form(elapsed) == "spam: filled in too fast"


@pytest.mark.parametrize("elapsed", ["2", "86400.5", "", "-1", "1e9", "NaN", "now", "9" * 5000])
def test_a_form_of_which_nobody_knows_that_it_was_fast_is_kept(elapsed: str) -> None:
    assert form(elapsed) == ""


def test_how_long_a_form_took_is_no_answer() -> None:
    assert parsed("form", "application/x-www-form-urlencoded", b"message=Cold&_elapsed=9").answers == ()


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
