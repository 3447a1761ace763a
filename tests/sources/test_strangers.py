"""What a source was never meant to get: other vendors' requests, and values of other types."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from service.core import signing
from service.core.capture import ORIGIN
from service.core.errors import RequestError, UnreadableError
from service.core.events import InboundEventSchema
from service.core.registry import discover
from tests.fixtures_http import Case, cases, sign_again
from tests.sources.test_contract import client_of, credentials, post, source_of
from tests.sources.test_mutations import check, places

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from service.core.request import InboundRequest
    from service.core.source import Source

OTHER_TYPES: list[Any] = [None, 0, "text", [], ["text"], [{}], {"a": "text"}]


def first_accepted() -> dict[str, Case]:
    """Give one good request of each source."""
    return {case.source: case for case in reversed(cases()) if case.outcome == "accepted"}


@pytest.mark.parametrize("name", sorted(discover()))
def test_another_vendors_request_is_answered_as_documented_and_kept(name: str, redis: Redis) -> None:
    source, client = source_of(name), client_of(name, redis)
    others = [case for other, case in first_accepted().items() if other != name]

    for case in others:
        headers = case.request.headers
        for header, value in credentials(name):
            headers = headers.replaced(**{header.replace("-", "_"): value})
        url = f"{ORIGIN}/hooks/{name}"
        request = sign_again(source, replace(case.request, url=url, headers=headers))

        check(client, source, request, post(client, request))


@pytest.mark.parametrize("name", sorted(discover()))
def test_a_value_of_another_type_is_read_or_refused_but_never_an_error(name: str) -> None:
    source = source_of(name)

    for case in cases(name):
        if case.outcome == "accepted":
            for body in retyped(case.request.body):
                only_known_errors(source, replace(case.request, body=body))


def retyped(body: bytes) -> Iterator[bytes]:
    """Give the JSON with each of its values in turn replaced by each other type."""
    try:
        value = json.loads(body)
    except ValueError:
        return
    for holder, key in places(value):
        whole = holder[key]
        for instead in OTHER_TYPES:
            holder[key] = instead
            yield json.dumps(value).encode()
        holder[key] = whole


def only_known_errors(source: Source, request: InboundRequest) -> None:
    verified = signing.from_ledger(request)
    try:
        for part in source.identify(verified):
            InboundEventSchema().dump(source.parse(verified, part))
    except (RequestError, UnreadableError):
        pass
