"""What a capture must not hold, and what it must still be."""

from __future__ import annotations

import base64
import json
import re
from urllib.parse import parse_qs, quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.capture import ORIGIN, parse_http, write_http
from service.core.request import Headers, InboundRequest
from service.core.scrub import Scrubber

KEY = b"key-for-tests"
SECRET = "shh-secret-of-the-channel"
PRIVATE = (
    *("ann.lee@corp.example", "Ann Lee", "Lee", "+49 30 901820", "555-867-5309", "203.0.113.77"),
    *("2a01:4f8::7", SECRET, "xoxb123456789012345678", "9f86d081884c7d659a2feaa0c55ad015"),
)
PROSE = (
    "Dear team,\nthis is Ann Lee <ann.lee@corp.example>, call +49 30 901820 or 555-867-5309.\n"
    f"From 203.0.113.77 or 2a01:4f8::7 with {SECRET}, xoxb123456789012345678 and "
    "9f86d081884c7d659a2feaa0c55ad015. On 2026-11-25 at 10:00:00 in room 12.\nRegards, Lee"
)


def request(
    kind: str, body: bytes, *pairs: tuple[str, str], url: str = "/hooks/x", token: str = ""
) -> InboundRequest:
    return InboundRequest(
        "POST", ORIGIN + url, Headers.of([("Content-Type", kind), *pairs]), body, path_token=token
    )


def scrubbed(given: InboundRequest, *names: str) -> InboundRequest:
    return Scrubber(KEY, [SECRET], names).request(given)


def holds(made: InboundRequest, *private: str) -> list[str]:
    text = write_http(made).decode("utf-8", "replace").lower()
    return [each for each in private or PRIVATE if each.lower() in text]


def body_of(text: str) -> str:
    return scrubbed(request("text/plain", text.encode())).body.decode()


JSON = json.dumps({"a": [{"text": PROSE}], "n": 5, "z": None}).encode()
BODIES = {
    "text": ("text/plain", PROSE.encode()),
    "json": ("application/json", JSON),
    "json with escapes": ("application/json", JSON.replace(b"@", b"\\u0040")),
    "json in a string": ("application/json", json.dumps(json.dumps({"x": PROSE})).encode()),
    "form": ("application/x-www-form-urlencoded", b"a=" + quote(PROSE).encode() + b"&b"),
    "json in a form": ("application/x-www-form-urlencoded", b"payload=" + quote(JSON).encode()),
    "multipart": (
        "multipart/form-data; boundary=b1",
        b'--b1\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + PROSE.encode() + b"\r\n--b1--\r\n",
    ),
    "base64": (
        "message/rfc822",
        b"Subject: x\r\n\r\n" + base64.encodebytes(PROSE.encode()).replace(b"\n", b"\r\n"),
    ),
    "base64 on one line": (
        "application/json",
        json.dumps({"c": base64.b64encode(PROSE.encode()).decode()}).encode(),
    ),
    "an encoded word": (
        "message/rfc822",
        b"Subject: =?utf-8?Q?=41nn_Lee?= <ann.lee@corp.example>\r\n\r\nLee",
    ),
}


@pytest.mark.parametrize("name", BODIES)
def test_no_secret_and_nobody_is_left_however_the_body_says_it(name: str) -> None:
    kind, body = BODIES[name]

    made = scrubbed(request(kind, body))

    assert holds(made) == []
    decoded = [
        base64.b64decode(run + b"=" * (-len(run) % 4))
        for run in re.findall(rb"[A-Za-z0-9+/]{60,}", made.body)
    ]
    assert not any(each.encode() in text for text in decoded for each in PRIVATE)


def test_the_rest_of_a_body_stays_as_it_is() -> None:
    made = json.loads(scrubbed(request("application/json", JSON)).body)

    assert (made["n"], made["z"]) == (5, None)
    assert "On 2026-11-25 at 10:00:00 in room 12." in made["a"][0]["text"]


@pytest.mark.parametrize(
    "text",
    ["1795478400", "2026-11-25T10:00:00Z", "12:34:56", "v1", "sha256", "GmbH", "3.11.7", "a" * 30, "Hello\n"],
)
def test_times_numbers_and_words_stay(text: str) -> None:
    assert body_of(text) == text


def test_the_same_stays_the_same_and_another_becomes_another() -> None:
    one, two, three = body_of("a@b.example c@b.example a@b.example").split()

    assert one == three != two
    assert all(each.endswith("@example.com") for each in (one, two))
    assert Scrubber(b"other").request(request("text/plain", b"a@b.example")).body != one.encode()


def test_what_is_made_up_has_the_shape_of_what_was() -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", body_of("9f86d081884c7d659a2feaa0c55ad015"))
    assert re.fullmatch(r"\+\d\d \d\d \d{6}", body_of("+49 30 901820"))
    assert body_of("10.1.2.3").startswith("192.0.2.")
    assert body_of("2a01:4f8::7").startswith("2001:db8::")
    assert body_of("=?utf-8?Q?a=40b.example?=").startswith("=?utf-8?B?")


@pytest.mark.parametrize(
    ("body", "gone"),
    [
        ({"first_name": "Zoe", "text": "I am Zoe"}, "Zoe"),
        ({"FromName": "Zoe Q", "x": "zoe ZOE"}, "zoe"),
        ({"name": "Zoe", "email": "z@x.example", "t": "Zoe"}, "Zoe"),
        ({"fields": [{"label": "Your name", "value": "Zoe"}]}, "Zoe"),
        ({"fields": [{"question": "Name", "answer": "Zoe"}]}, "Zoe"),
        ({"mobile": "1234567"}, "1234567"),
        ({"password": "lettersonly"}, "lettersonly"),
        ({"api_key": "abcd1234"}, "abcd1234"),
        ({"z@x.example": 1}, "z@x.example"),
    ],
)
def test_a_key_tells_what_its_value_is(body: dict[str, object], gone: str) -> None:
    made = scrubbed(request("application/json", json.dumps(body).encode()))

    assert holds(made, gone) == []


def test_a_name_that_the_source_found_is_replaced_in_every_writing() -> None:
    made = scrubbed(request("text/plain", b"zoe quick, Zoe Quick, ZOE; quickly"), "Zoe Quick")

    assert holds(made, "zoe", "quick,", "quick;") == []
    assert b"quickly" in made.body


def test_what_is_too_long_for_a_name_is_none() -> None:
    text = "please call the one who was there first"

    assert scrubbed(request("text/plain", text.encode()), text).body == text.encode()


def test_headers_lose_what_opens_a_lock_and_keep_their_shape() -> None:
    made = scrubbed(
        request(
            "text/plain",
            b"",
            ("Host", "internal.corp.example"),
            ("Cookie", "a=b"),
            ("Authorization", "Bearer abcdef0123456789"),
            ("X-Hub-Signature-256", "sha256=9f86d081884c7d659a2feaa0c55ad015"),
            ("Stripe-Signature", "t=1795478400,v1=9f86d081884c7d659a2feaa0c55ad015"),
            ("X-Forwarded-For", "203.0.113.77"),
            ("User-Agent", "Vendor/1.0"),
        )
    )
    headers = dict(made.headers)

    assert holds(made, "internal", "Cookie", "abcdef0123456789", "9f86d081", "203.0.113.77") == []
    assert re.fullmatch(r"Bearer [a-z]{6}\d{10}", headers["Authorization"])
    assert re.fullmatch(r"sha256=[0-9a-f]{32}", headers["X-Hub-Signature-256"])
    assert re.fullmatch(r"t=1795478400,v1=[0-9a-f]{32}", headers["Stripe-Signature"])
    assert (headers["User-Agent"], headers["Host"]) == ("Vendor/1.0", "bridge.example")


def test_a_credential_without_a_scheme_is_masked() -> None:
    made = scrubbed(request("text/plain", b"", ("Authorization", "abc123")))

    assert holds(made, "abc123") == []


def test_the_url_keeps_the_channel_and_loses_the_tokens() -> None:
    given = request(
        "text/plain", b"", url="/hooks/x/tok-123456?token=tok-7890123&a=z%40x.example&b=", token="tok-123456"
    )

    made = scrubbed(given)

    assert made.url.startswith(f"{ORIGIN}/hooks/x/")
    assert holds(made, "tok-123456", "tok-7890123", "z@x.example", "z%40x") == []
    assert parse_qs(made.url.partition("?")[2], keep_blank_values=True).keys() == {"token", "a", "b"}
    assert parse_http(write_http(made)) == made


def test_a_name_in_small_letters_before_its_address_is_replaced() -> None:
    assert "ann" not in body_of("ann lee <z@x.example> and ann")


def test_a_file_is_emptied() -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.png"\r\n\r\n\x89PNG\r\n--b--'
    pdf = base64.b64encode(b"\xff\xfe" * 200)

    assert b"a file of 4 bytes" in scrubbed(request("multipart/form-data; boundary=b", part)).body
    assert set(scrubbed(request("text/plain", pdf)).body) <= set(b"A=")


@pytest.mark.parametrize("body", [b"--b\r\nno name\r\n\r\nx\r\n--b--", b"", b"\xff"])
@pytest.mark.parametrize(
    "kind", ["multipart/form-data; boundary=b", "multipart/form-data", "application/json"]
)
def test_a_broken_body_is_scrubbed_as_far_as_it_can_be_read(kind: str, body: bytes) -> None:
    assert scrubbed(request(kind, body)).body == body


def test_what_only_looks_like_json_is_scrubbed_as_text() -> None:
    assert "z@x.example" not in scrubbed(request("application/json", b"{z@x.example")).body.decode()


def test_json_nested_without_end_is_cut() -> None:
    assert b"null" in scrubbed(request("application/json", b"[" * 100 + b"]" * 100)).body


@given(st.binary(max_size=300), st.sampled_from([kind for kind, _ in BODIES.values()]))
def test_no_body_is_an_error(body: bytes, kind: str) -> None:
    scrubbed(request(kind, body), "Zoe")


@pytest.mark.parametrize(
    "text", ["a" * 200_000, "@" * 200_000, "-a" * 100_000, "1." * 100_000, "Ab " * 60_000, "=?a?b?" * 30_000]
)
def test_a_long_body_takes_no_long_time(text: str) -> None:
    assert body_of(text)
