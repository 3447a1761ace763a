"""Calling a vendor back: what is sent where, and what each of its answers means."""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter
from contextlib import contextmanager
from heapq import heappop, heappush
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from service.core import vendor_api as module
from service.core.errors import VendorAway, VendorRefused
from service.core.memory import Forgetful, RedisMemory
from service.core.vendor_api import VendorApi

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis import Redis

    from service.core.source import Memory
    from tests.vendor_api import VendorStandIn

TOKEN = "secret-token-for-tests"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
REFUSED = "Acme refuses our api_token"
MEND = "because ***. It takes a key; set it anew, and replay this"
SURVEY = ("v3", "surveys", "105724755", "details")


@contextmanager
def api(
    base: str,
    memory: Memory | None = None,
    *,
    now: float = 1000.0,
    seconds: float = 5.0,
    pick: Callable[[float, float], float] = min,
) -> Iterator[VendorApi]:
    with VendorApi(
        "Acme",
        base,
        HEADERS,
        memory or Forgetful(),
        hint="It takes a key",
        seconds=seconds,
        clock=lambda: now,
        pick=pick,
    ) as made:
        yield made


def read(
    base: str,
    memory: Memory | None = None,
    *,
    now: float = 1000.0,
    pick: Callable[[float, float], float] = min,
) -> dict[str, Any]:
    with api(base, memory, now=now, pick=pick) as made:
        return made.read(*SURVEY, what="the survey", limit=100_000)


@pytest.fixture
def base(vendors: VendorStandIn) -> str:
    return vendors.url("surveymonkey")


@contextmanager
def saying(data: bytes) -> Iterator[str]:
    """A server that answers one request with these bytes, whatever they are, and closes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(data)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def test_the_token_and_the_quoted_path_are_sent_and_the_object_is_given(
    vendors: VendorStandIn, base: str
) -> None:
    with api(base) as made:
        found = made.read(*SURVEY, what="the survey", limit=100_000, query={"a": "b c"})
        with pytest.raises(VendorRefused):
            made.read("../é", "a/b?c#d", what="it", limit=10)

    (path, headers), (odd, _) = vendors.calls
    assert found["title"] == "Tell us about the space"
    assert path == "/surveymonkey/v3/surveys/105724755/details?a=b+c"
    assert odd == "/surveymonkey/..%2F%C3%A9/a%2Fb%3Fc%23d"
    assert (headers["Authorization"], headers["Accept"]) == (f"Bearer {TOKEN}", "application/json")


@pytest.mark.parametrize("segment", ["", ".", ".."])
def test_an_id_that_would_lead_elsewhere_is_not_asked_for(
    vendors: VendorStandIn, base: str, segment: str
) -> None:
    with api(base) as made, pytest.raises(VendorRefused, match="has no id"):
        made.content("v3", segment, "details", what="the survey", limit=10)

    assert vendors.calls == []


def test_what_is_downloaded_gets_no_token(vendors: VendorStandIn, base: str) -> None:
    with api(base) as made:
        found = made.download(f"{base}/v3/surveys/105724755/details.json?sig=x", what="it", limit=100_000)

    ((path, headers),) = vendors.calls
    assert json.loads(found)["id"] == "105724755"
    assert path.endswith("?sig=x")
    assert "Authorization" not in headers


def test_an_address_that_has_expired_says_nothing_of_the_token(vendors: VendorStandIn, base: str) -> None:
    vendors.fail(403, b"<Error><Code>AccessDenied</Code></Error>")

    with api(base) as made, pytest.raises(VendorRefused, match=r"Acme refuses it \(403\): AccessDenied"):
        made.download(f"{base}/a", what="it", limit=1000)


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("http://files.example/a", "https://api.example"),
        ("http://files.example/a", "http://127.0.0.1:1"),
        ("file:///etc/passwd", "https://api.example"),
        ("//files.example/a", "https://api.example"),
        ("https:///a", "https://api.example"),
        ("https://[/a", "https://api.example"),
    ],
)
def test_nothing_is_downloaded_but_by_https(url: str, own: str) -> None:
    with api(own) as made, pytest.raises(VendorRefused, match="gives no https address for it"):
        made.download(url, what="it", limit=10)


@pytest.mark.parametrize("url", ["https://exa mple/", "https://a.example:x/"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with api("https://api.example") as made, pytest.raises(VendorRefused, match="address for it"):
        made.download(url, what="it", limit=10)


def test_a_name_that_no_server_can_have_is_found_out_at_once() -> None:
    with api("https://api.example") as made, pytest.raises(VendorAway, match="does not answer"):
        made.download(f"https://{'a' * 70}.example/", what="it", limit=10)


@pytest.mark.parametrize("status", [204, 206, 408, 425, 429, 500, 502, 503, 504])
def test_what_passes_is_tried_again(vendors: VendorStandIn, base: str, status: int) -> None:
    vendors.fail(status, b'{"message": "later"}' if status != 204 else b"", Retry_After="120")

    with pytest.raises(VendorAway, match=f"Acme does not serve us now \\({status}\\)") as caught:
        read(base)

    assert caught.value.retry_after == 120
    assert caught.value.counts == (status != 429)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (302, "Acme redirects (302), which is never followed: is api_url right?"),
        (400, "Acme refuses the survey (400): because ***"),
        (
            401,
            f"{REFUSED} (401): {MEND}",
        ),
        (
            403,
            f"{REFUSED} (403): {MEND}",
        ),
        (404, "the survey is no longer at Acme, or our api_token cannot see it (404): because ***"),
        (410, "the survey is no longer at Acme, or our api_token cannot see it (410): because ***"),
        (413, "Acme refuses the survey (413): because ***"),
    ],
)
def test_what_stays_refused_says_why_in_the_vendors_words_without_the_token(
    vendors: VendorStandIn, base: str, status: int, said: str
) -> None:
    vendors.fail(
        status, json.dumps({"error": {"message": f"because {TOKEN}"}}).encode(), Location="/elsewhere"
    )

    with pytest.raises(VendorRefused) as caught:
        read(base)

    assert (str(caught.value), caught.value.code) == (said, str(status))
    assert len(vendors.calls) == 1


@pytest.mark.parametrize("body", [b"<h1>Down for a while</h1>", b"[]", b""])
def test_a_page_instead_of_the_apis_answer_is_tried_again(
    vendors: VendorStandIn, base: str, body: bytes
) -> None:
    vendors.fail(200, body)

    with pytest.raises(VendorAway, match="answers for the survey with something else than JSON"):
        read(base)


def test_more_than_the_limit_is_not_taken(vendors: VendorStandIn, base: str) -> None:
    with api(base) as made:
        vendors.fail(200, b"123")
        assert made.content("a", what="it", limit=3) == b"123"
        vendors.fail(200, b"1234")
        with pytest.raises(VendorRefused, match="sends more than 3 bytes for it"):
            made.content("a", what="it", limit=3)


def test_an_answer_that_breaks_off_is_tried_again() -> None:
    with (
        saying(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf") as base,
        pytest.raises(VendorAway, match="Acme breaks off while it sends the survey"),
    ):
        read(base)


@pytest.mark.parametrize("data", [b"", b"not HTTP\r\n\r\n"])
def test_an_answer_that_is_none_is_tried_again(data: bytes) -> None:
    with saying(data) as base, pytest.raises(VendorAway, match="Acme does not answer: ConnectionError"):
        read(base)


def test_where_nobody_listens_it_is_tried_again_and_no_address_is_told() -> None:
    with pytest.raises(VendorAway) as caught:
        read("http://127.0.0.1:1")

    assert str(caught.value) == "Acme does not answer: ConnectionError"


def test_all_calls_together_have_one_deadline(vendors: VendorStandIn, base: str) -> None:
    with api(base, seconds=0.0) as made, pytest.raises(VendorAway, match="no time was left to ask for it"):
        made.content("a", what="it", limit=3)

    assert vendors.calls == []


def test_while_a_vendor_is_away_the_others_do_not_ask_and_one_tries_for_them(
    vendors: VendorStandIn, base: str, redis: Redis
) -> None:
    memory = RedisMemory(redis, "acme")
    vendors.fail(503, b"down")

    with pytest.raises(VendorAway) as first:
        read(base, memory, now=1000)
    with pytest.raises(VendorAway) as second:
        read(base, memory, now=1010)
    vendors.fail(503, b"down")
    with pytest.raises(VendorAway):
        read(base, memory, now=1016)

    assert first.value.counts
    assert (second.value.counts, second.value.retry_after) == (False, 5.0)
    assert str(second.value) == str(first.value)
    assert len(vendors.calls) == 2


def test_who_tries_for_the_others_keeps_them_waiting_until_it_knows(
    vendors: VendorStandIn, base: str, redis: Redis
) -> None:
    memory = RedisMemory(redis, "acme")
    module._Gate(memory, lambda: 1000, min).close("down", 15)

    module._Gate(memory, lambda: 1016, min).enter()
    with pytest.raises(VendorAway, match="down"):
        read(base, memory, now=1016)
    read(base, memory, now=1032)
    read(base, memory, now=1032)

    assert len(vendors.calls) == 2


@pytest.mark.parametrize(("status", "waits"), [(429, 60.0), (502, 15.0)])
def test_others_wait_longer_where_the_vendor_has_enough_of_us(
    vendors: VendorStandIn, base: str, redis: Redis, status: int, waits: float
) -> None:
    memory = RedisMemory(redis, "acme")
    vendors.fail(status)

    with pytest.raises(VendorAway):
        read(base, memory)
    with pytest.raises(VendorAway) as caught:
        read(base, memory)

    assert caught.value.retry_after == waits


def test_others_wait_as_long_as_the_vendor_asks_for(vendors: VendorStandIn, base: str, redis: Redis) -> None:
    memory = RedisMemory(redis, "acme")
    vendors.fail(429, Retry_After="1800")

    with pytest.raises(VendorAway):
        read(base, memory)
    with pytest.raises(VendorAway) as caught:
        read(base, memory)

    assert caught.value.retry_after == 1800


@pytest.mark.parametrize("status", [404, 500])
def test_what_may_be_about_one_thing_alone_keeps_nobody_else_waiting(
    vendors: VendorStandIn, base: str, redis: Redis, status: int
) -> None:
    memory = RedisMemory(redis, "acme")
    vendors.fail(status)

    with pytest.raises((VendorAway, VendorRefused)):
        read(base, memory)

    assert read(base, memory)


def test_what_another_host_answers_says_nothing_of_the_api(
    vendors: VendorStandIn, base: str, redis: Redis
) -> None:
    memory = RedisMemory(redis, "acme")
    vendors.fail(503)

    with api(base, memory) as made, pytest.raises(VendorAway):
        made.download(f"{base}/a", what="it", limit=10)

    assert read(base, memory)


def test_who_waits_comes_back_at_a_time_of_its_own_the_later_the_longer_the_vendor_is_away(
    vendors: VendorStandIn, base: str, redis: Redis
) -> None:
    memory = RedisMemory(redis, "acme")
    latest = []
    for now in (1000, 1020, 1040, 1100, 2000):
        vendors.fail(503)
        with pytest.raises(VendorAway):
            read(base, memory, now=now)
        with pytest.raises(VendorAway) as caught:
            read(base, memory, now=now, pick=max)
        latest.append(caught.value.retry_after)

    read(base, memory, now=2020)
    vendors.fail(503)
    with pytest.raises(VendorAway):
        read(base, memory, now=2030)
    with pytest.raises(VendorAway) as anew:
        read(base, memory, now=2030, pick=max)

    assert latest == [15 + 90, 15 + 210, 15 + 300, 15 + 300, 15 + 300]
    assert anew.value.retry_after == 15 + 90


@pytest.mark.parametrize("pause", [15.0, 900.0])
def test_of_fifteen_hundred_that_wait_about_ten_a_second_come_due(redis: Redis, pause: float) -> None:
    now = 1000.0
    gate = module._Gate(RedisMemory(redis, "acme"), lambda: now, Random(1).uniform)
    gate.close("down", pause)
    due = [(now + number / 95, number) for number in range(1500)]
    claimed: Counter[int] = Counter()

    while due[0][0] < 2500:
        now, number = heappop(due)
        claimed[int(now)] += 1
        try:
            gate.enter()
        except VendorAway as error:
            heappush(due, (now + (error.retry_after or 0), number))
        else:
            gate.close("still down", pause)
            heappush(due, (now + pause, number))

    assert max(claimed[second] for second in range(1100, 2500)) < 30
    assert sum(claimed[second] for second in range(1900, 2500)) < 600 * 10
