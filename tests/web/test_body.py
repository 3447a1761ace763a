"""How a body that came in is shown, and how times and sizes are said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.dashboard.body import LIMIT, shown, visible
from service.dashboard.words import ago, number, size, span, utc
from tests.web.acts import request

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
MULTIPART = (
    b"--xx\r\nContent-Disposition: form-data; name=subject\r\n\r\nWi-Fi\r\n"
    b'--xx\r\nContent-Disposition: form-data; name=a; filename="a.png"\r\n\r\n\x89PNG\0\0\r\n--xx--\r\n'
)


def test_json_is_indented() -> None:
    assert shown(request('{"a":["é",1]}'.encode())).text == '{\n  "a": [\n    "é",\n    1\n  ]\n}'


@pytest.mark.parametrize("body", [b"{", b"[" * 20_000, b"9" * 10_000])
def test_what_is_no_readable_json_is_shown_as_it_is(body: bytes) -> None:
    assert shown(request(body)).text == body.decode()


def test_form_fields_are_shown_one_a_line() -> None:
    form = "application/x-www-form-urlencoded"

    assert shown(request(b"name=Ada+L&text=a%26b&empty=", form)).text == "name = Ada L\ntext = a&b\nempty = "
    assert shown(request(b"&&", form)).text == "&&"
    assert shown(request(b"a=1&" * 600, form)).text.startswith("a=1&a=1")


def test_an_empty_body_is_said_to_be_empty() -> None:
    assert shown(request(b"")) == shown(request(b"", "image/png"))
    assert shown(request(b"")).note == "The body is empty."


@pytest.mark.parametrize(
    ("content_type", "kind"), [("image/png", "image/png"), ("", "unknown type")], ids=["typed", "untyped"]
)
def test_binary_is_named_and_not_shown(content_type: str, kind: str) -> None:
    body = shown(request(b"\x89PNG\0\0\0", content_type))

    assert (body.text, body.note) == ("", f"Binary, 7 bytes of {kind}: not shown.")
    assert shown(request(b"\xff\xfe\xfd\xfc" * 9)).text == ""


def test_the_parts_of_a_multipart_are_shown_without_their_files() -> None:
    text = shown(request(MULTIPART, 'multipart/form-data; boundary="xx"')).text

    assert "name=subject\n\nWi-Fi" in text
    assert 'filename="a.png"\n\n[binary, 8 bytes]' in text
    assert "PNG" not in text
    assert shown(request(b"plain", "multipart/form-data")).text == "plain"


def test_a_long_body_is_cut_and_says_so() -> None:
    body = shown(request("é".encode() * LIMIT, "text/plain"))

    assert body.note == "The first 32.0 KB of 64.0 KB."
    assert len(body.text) == LIMIT / 2


def test_what_hides_or_reorders_text_is_made_visible() -> None:
    assert visible("a\u202eb\u200bc\x1b[0m\x7f\x9b\r\n\td\ud800") == (
        "a\\u202eb\\u200bc␛[0m␡\ufffd\n\td\\ud800"
    )


@given(
    body=st.binary(max_size=300),
    content_type=st.sampled_from(
        [
            "application/json",
            "text/plain",
            "multipart/form-data; boundary=x",
            "application/x-www-form-urlencoded",
            "",
        ]
    ),
)
def test_whatever_comes_in_can_be_shown(body: bytes, content_type: str) -> None:
    text = shown(request(body, content_type)).text

    assert all(
        letter.isprintable() or letter in "\n\t" or letter.isspace() or ord(letter) > 0xA0 for letter in text
    )
    assert text.encode("utf-8") is not None


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (59.9, "59 s"), (61, "1 min"), (3_700, "1 h 1 min"), (90_061, "1 d 1 h"), (86_405, "1 d")],
)
def test_a_span_is_said_in_two_units(seconds: float, said: str) -> None:
    assert span(seconds) == said


def test_times_are_said_from_now() -> None:
    assert ago(NOW - timedelta(minutes=3), NOW) == "3 min ago"
    assert ago(NOW + timedelta(seconds=20), NOW) == "in 20 s"
    assert ago(NOW, NOW) == "just now"
    assert utc(NOW) == "2026-03-04 05:06:07 UTC"


def test_sizes_and_numbers_are_readable() -> None:
    assert [size(count) for count in (1, 512, 2048, 5 << 20)] == ["1 byte", "512 bytes", "2.0 KB", "5.0 MB"]
    assert number(1234567) == "1,234,567"
