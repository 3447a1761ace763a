"""What tells one request from the next: an id that its sender gives to several does not swallow any."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.fixtures_http import FIXTURES, Case
from tests.sources.test_contract import client_of, post

if TYPE_CHECKING:
    from redis import Redis


def statuses(redis: Redis, name: str, detail: str, *changes: dict[str, Any]) -> list[str | None]:
    """Send a recorded JSON request, then again with each of the changes."""
    request = Case(FIXTURES / name / f"accepted__{detail}.http").request
    client, told = client_of(name, redis), json.loads(request.body)
    bodies = [request.body, *(json.dumps({**told, **change}).encode() for change in changes)]
    answers = [post(client, replace(request, body=body)) for body in bodies]
    return [answer.headers.get("X-Bridge-Status") for answer in answers]


@pytest.mark.parametrize(
    ("name", "detail", "other"),
    [
        ("parseur", "document", {"wish": "Please hurry."}),
        ("zapier", "json", {"message": "It is gone."}),
        ("mailparser", "json", {"subject": "Another"}),
        ("cf7", "serial", {"your-message": "It is warm."}),
        ("cf7", "serial", {"_contact_form_title": "Sales", "your-message": "x"}),
    ],
)
def test_the_same_id_with_other_content_is_another_request(
    name: str, detail: str, other: dict[str, Any], redis: Redis
) -> None:
    assert statuses(redis, name, detail, {}, other, other) == [
        "accepted",
        "duplicate",
        "accepted",
        "duplicate",
    ]


def test_an_id_in_json_may_be_a_persons(redis: Redis) -> None:
    own = {"id": "contact-form", "message": "A"}

    found = statuses(redis, "json", "flat", own, {**own, "message": "B"}, own, {**own, "message": "B"})

    assert found == ["accepted", "accepted", "accepted", "duplicate", "duplicate"]
