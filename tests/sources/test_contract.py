"""Every recorded request goes through the real app, and what it kept through its source's parser."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.channels import load_config
from config.settings import load_settings
from service.app import create_app
from service.core import signing
from service.core.capture import ORIGIN
from service.core.errors import RequestError, UnreadableError, VendorRefused
from service.core.events import InboundEventSchema
from service.core.memory import Forgetful
from service.core.registry import discover
from service.core.request import Headers, InboundRequest
from service.core.source import Key, Part
from tests.fixtures_http import FIXTURES, Case, calls_back, cases, channel_toml, load_channel, sign_again

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from redis import Redis
    from werkzeug.test import TestResponse

    from service.core.source import Source
    from service.web import Web
    from tests.vendor_api import VendorStandIn

HEAD = """
[spacebring]
location = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
[[channels]]
"""
# What design.md section 4 lets a webhook be answered.
ANSWERS = {200, 303, 401, 404, 413, 415, 422, 503}


def client_of(source: str, redis: Redis, *, api_url: str = "") -> FlaskClient:
    """Give a client of the app with the source's channel; its vendor's API may stand elsewhere."""
    config = load_config(HEAD + channel_toml(source, api_url=api_url), environ={})
    settings = load_settings({"BRIDGE_PUBLIC_URL": ORIGIN})
    return create_app(settings, config, redis, clock=load_channel(source).clock).test_client()


def source_of(name: str) -> Source:
    channel = load_channel(name)
    return discover()[name](channel.options, clock=channel.clock)


def post(client: FlaskClient, request: InboundRequest) -> TestResponse:
    return client.open(
        request.url.removeprefix(ORIGIN),
        method=request.method,
        headers=list(request.headers),
        # Not as `data`: of an empty body the client makes a form.
        input_stream=BytesIO(request.body),
        content_length=len(request.body),
    )


def parsed(client: FlaskClient, event: str) -> Any:  # noqa: ANN401 - as in a golden file
    web: Web = client.application.extensions["bridge"]
    found = web.ledger.event(event)
    kept = web.ledger.request(found)
    assert kept is not None
    source = web.doors[found.channel].source
    verified, part = signing.from_ledger(kept), Part((Key(found.dedupe),), found.slice)
    try:
        inbound = source.parse(verified, part)
        if calls_back(source.name) and not inbound.ignore:
            inbound = source.complete(verified, part, inbound, Forgetful())
    except (UnreadableError, VendorRefused) as error:
        return f"unreadable: {error}"
    return InboundEventSchema().dump(inbound)


def outcome(case: Case, redis: Redis, vendors: VendorStandIn) -> dict[str, Any]:
    client = client_of(case.source, redis, api_url=vendors.url(case.source))
    if case.outcome == "duplicate":
        post(client, case.original.request)
    response = post(client, case.request)
    event = response.headers.get("X-Bridge-Event")
    status = response.headers.get("X-Bridge-Status")
    return {
        "status": response.status_code,
        "answer": status,
        "event": parsed(client, event) if event and status == "accepted" else None,
    }


@pytest.mark.parametrize("case", cases(), ids=str)
def test_a_recorded_request_is_answered_and_parsed_as_its_golden_file_says(
    case: Case, redis: Redis, vendors: VendorStandIn
) -> None:
    assert outcome(case, redis, vendors) == case.golden


@pytest.mark.parametrize("case", [case for case in cases() if case.outcome in {"forged", "stale"}], ids=str)
def test_what_is_forged_or_stale_leaves_nothing_behind(case: Case, redis: Redis) -> None:
    client = client_of(case.source, redis)

    response = post(client, case.request)

    web: Web = client.application.extensions["bridge"]
    assert response.status_code in refusals(case.source)
    assert web.ledger.events().events == []


@pytest.mark.parametrize("name", sorted(discover()))
def test_every_source_has_its_fixtures_and_its_page(name: str) -> None:
    outcomes, source = [case.outcome for case in cases(name)], source_of(name)

    assert outcomes.count("accepted") >= 2
    assert "forged" in outcomes or source.scheme() is None
    assert "malformed" in outcomes or source.verdict
    assert {"forged", "refused"} & set(outcomes)
    assert (FIXTURES.parents[1] / "docs" / "sources" / f"{name}.md").is_file()


@pytest.mark.parametrize("name", sorted(discover()))
@pytest.mark.parametrize("body", [b"", b"\x00\xff\xfe", b"{}", b"[]", b"null", b"a=b&a=c", b"--x\r\n"])
def test_a_verified_body_of_rubbish_is_refused_or_kept_but_never_an_error(
    name: str, body: bytes, redis: Redis
) -> None:
    client = client_of(name, redis)
    for content_type in source_of(name).content_types:
        headers = Headers.of([("Content-Type", content_type.replace("*", "x")), *credentials(name)])
        request = InboundRequest("POST", f"{ORIGIN}/hooks/{name}", headers, body)

        response = post(client, sign_again(source_of(name), request))

        assert response.status_code in ANSWERS - {404, 503} | refusals(name)


@settings(max_examples=150)
@given(st.data())
def test_whatever_becomes_of_a_request_only_known_errors_come_out(data: st.DataObject) -> None:
    case = data.draw(st.sampled_from([case for case in cases() if case.outcome == "accepted"]))
    body = bytearray(case.request.body)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, max(0, len(body) - 1)))
        body[at : at + data.draw(st.integers(0, 20))] = data.draw(st.binary(max_size=20))
    source = source_of(case.source)
    request = InboundRequest("POST", case.request.url, case.request.headers, bytes(body))
    verified = signing.from_ledger(request)

    try:
        parts = source.identify(verified)
        events = [source.parse(verified, part) for part in parts]
    except (RequestError, UnreadableError):
        return

    assert all(part.keys for part in parts)
    assert all(InboundEventSchema().dump(event) for event in events)


def refusals(name: str) -> set[int]:
    """Give what a source answers to a lock that does not hold."""
    answers = source_of(name).answers
    return {answers.unauthorized, answers.refusing("signature")}


def credentials(name: str) -> list[tuple[str, str]]:
    locks = load_channel(name).options.locks
    pairs = [("X-Bridge-Token", token.decode()) for token in locks.tokens[:1]]
    return pairs + [("Authorization", f"Basic {base64.b64encode(pair).decode()}") for pair in locks.basic[:1]]
