"""Mutated requests of every source, through the real app.

`make mutate` sends 10,000, a run of the suite a few hundred.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from service.core import signing
from service.core.errors import RequestError, Unauthorized, UnreadableError
from service.core.events import InboundEventSchema
from service.core.request import Headers, InboundRequest
from service.core.source import Key, Part
from tests.fixtures_http import cases, sign_again
from tests.sources.test_contract import ANSWERS, client_of, post

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from flask.testing import FlaskClient
    from redis import Redis
    from werkzeug.test import TestResponse

    from service.core.source import Source
    from service.web import Web

# Set by `make mutate`: only there new requests are looked for, and the time is looked at.
HUNT = "BRIDGE_MUTATIONS" in os.environ
REQUESTS = int(os.environ.get("BRIDGE_MUTATIONS", "300"))
SLOWEST = 2.0
CASES = [case for case in cases() if case.request.method == "POST"]
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        True,
        -1,
        1e308,
        10**30,
        "",
        "x" * 5000,
        "\ud800",
        "\x00",
        "ä\u202e",
        [],
        {},
        [[]],
        [None],
        {"": {}},
    ]
)
BYTES = st.one_of(
    st.binary(max_size=20),
    st.sampled_from(
        [b"\x00", b"\xff\xfe", b"%", b"%zz", b"&", b"=", b"\r\n\r\n", b"--", b'"', b"[" * 100, b'{"a":' * 50]
    ),
)
CONTENT_TYPES = st.sampled_from(
    [
        "",
        "application/json",
        "application/json; charset=utf-16",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary="x',
        "message/rfc822",
        "text/plain",
        "a/b; c*=utf-8''%ff",
    ]
)


@dataclass
class Tally:
    """What came of all requests."""

    sent: int = 0
    slowest: float = 0.0
    slowest_case: str = ""
    accepted: int = 0


def spliced(draw: Callable[..., Any], body: bytes) -> bytes:
    changed = bytearray(body)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(changed)))
        changed[at : at + draw(st.integers(0, 30))] = draw(BYTES)
    return bytes(changed)


def cut(draw: Callable[..., Any], body: bytes) -> bytes:
    end: int = draw(st.integers(0, len(body)))
    return body[:end]


def repeated(draw: Callable[..., Any], body: bytes) -> bytes:
    times: int = draw(st.integers(2, 20))
    return body * times


def retyped(draw: Callable[..., Any], body: bytes) -> bytes:
    """Put something odd in the place of any value of a JSON body; another body is spliced."""
    try:
        value = json.loads(body)
    except ValueError:
        return spliced(draw, body)
    spots = list(places(value))
    if not spots:
        return json.dumps(draw(ODD)).encode()
    holder, key = draw(st.sampled_from(spots))
    holder[key] = draw(ODD)
    return json.dumps(value).encode()


def places(value: Any) -> list[tuple[Any, Any]]:  # noqa: ANN401 - JSON is any
    if not isinstance(value, dict | list):
        return []
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    return [(value, key) for key in keys] + [spot for key in keys for spot in places(value[key])]


def reheaded(draw: Callable[..., Any], headers: Headers) -> Headers:
    """Drop, empty, damage or repeat one header, or claim another content type."""
    pairs = list(headers)
    at = draw(st.integers(0, len(pairs) - 1))
    name, value = pairs[at]
    how = draw(st.sampled_from(["drop", "empty", "damage", "repeat", "type"]))
    if how == "type":
        return Headers.of(
            [pair for pair in pairs if pair[0].lower() != "content-type"]
            + [("Content-Type", draw(CONTENT_TYPES))]
        )
    damaged = value[: len(value) // 2] + draw(st.text("é\xff,;=\"' az09", max_size=8))
    instead = {"drop": [], "empty": [(name, "")], "damage": [(name, damaged)], "repeat": [pairs[at]] * 2}[how]
    return Headers.of([*pairs[:at], *instead, *pairs[at + 1 :]])


@st.composite
def mutated(draw: Callable[..., Any]) -> tuple[str, InboundRequest, bool]:
    """Give the case, its mutated request, and whether that is signed anew."""
    case = draw(st.sampled_from(CASES))
    request = case.request
    change = draw(st.sampled_from([spliced, cut, repeated, retyped, retyped]))
    request = replace(request, body=change(draw, request.body))
    resign, heads = draw(st.integers(0, 3)) > 0, draw(st.integers(0, 3)) == 0
    if heads and not resign:
        request = replace(request, headers=reheaded(draw, request.headers))
    return str(case), request, resign


def parsed(source: Source, kept: InboundRequest, part: Part) -> object:
    """Give the event that is made of what was kept, or that it will be a dead letter."""
    try:
        return InboundEventSchema().dump(source.parse(signing.from_ledger(kept), part))
    except (RequestError, UnreadableError) as error:
        # The place of what is wrong moves with what was left out before it.
        return type(error)


def holds_something(source: Source, request: InboundRequest) -> bool:
    """Whether a request holds an event or cannot be read: then an answer that all is well is a lost event."""
    try:
        verified = source.verify(request)
        if source.handshake(verified) is not None or not source.accepts(request):
            return False
        return bool(source.identify(verified))
    except RequestError:
        return False
    except UnreadableError:
        return True


def check(client: FlaskClient, source: Source, request: InboundRequest, response: TestResponse) -> bool:
    """Hold one answer against the table of answers; gives whether an event was accepted."""
    web: Web = client.application.extensions["bridge"]
    answer, event = response.headers.get("X-Bridge-Status"), response.headers.get("X-Bridge-Event")
    allowed = ANSWERS | {source.answers.unauthorized, source.answers.unavailable}
    assert response.status_code in allowed
    assert response.status_code != 422 or source.verdict
    assert (event is not None) == (answer in {"accepted", "duplicate"})
    if event is None:
        # A lock that holds here and not there: a server makes one header of repeated ones.
        refused = response.status_code in {422, source.answers.unauthorized, source.answers.unavailable}
        assert refused or not holds_something(source, request)
        return False
    assert response.status_code in {200, 303}
    bodies, read = [], []
    for each in (response.get_json(silent=True) or {}).get("events", [event]):
        found = web.ledger.event(each)
        kept = web.ledger.request(found)
        assert kept is not None
        part = Part((Key(found.dedupe),), found.slice)
        bodies.append(kept.body)
        # What is left out of a body, or sealed in it, before it is stored changes nothing of the event; what
        # broke the body may be among it.
        whole = parsed(source, request, part)
        read.append(isinstance(whole, type) or parsed(source, kept, part) == whole)
    # In a batch some events may be known already, by an earlier request.
    assert answer == "duplicate" or request.body in bodies or all(read)
    return answer == "accepted"


def test_a_mutated_request_is_answered_as_documented_and_what_is_accepted_is_kept(
    redis: Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    clients = {name: client_of(name, redis) for name in sorted({case.source for case in CASES})}
    tally = Tally()

    @settings(
        max_examples=REQUESTS,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        database=None,
        derandomize=not HUNT,
    )
    @given(mutated())
    def send(drawn: tuple[str, InboundRequest, bool]) -> None:
        case, request, resign = drawn
        client = clients[case.partition("/")[0]]
        web: Web = client.application.extensions["bridge"]
        source = next(iter(web.doors.values())).source
        if resign:
            request = sign_again(source, request)
        begun = time.perf_counter()
        response = post(client, request)
        took = time.perf_counter() - begun
        tally.sent += 1
        if took > tally.slowest:
            tally.slowest, tally.slowest_case = took, case
        tally.accepted += check(client, source, request, response)
        if resign:
            refusal = refusal_of(source, request)
            assert refusal is None or response.status_code == source.answers.refusing(refusal)
            assert refusal is not None or response.status_code != source.answers.unauthorized

    send()

    with capsys.disabled():
        print(  # noqa: T201 - what `make mutate` is run for
            f"{tally.sent} mutated requests to {len(clients)} sources, {tally.accepted} accepted and kept; "
            f"the slowest took {tally.slowest * 1000:.0f} ms ({tally.slowest_case})"
        )
    assert tally.accepted > 0
    assert not HUNT or tally.slowest < SLOWEST


def refusal_of(source: Source, request: InboundRequest) -> str | None:
    """Give the lock that does not hold, by its name, or None."""
    try:
        source.handshake(source.verify(request))
    except Unauthorized as error:
        return error.reason
    except RequestError:
        # The vendor was to be asked, and is away.
        return None
    return None
