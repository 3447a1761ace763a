"""Error bodies of every shape and Retry-After headers of every spelling."""

from __future__ import annotations

import json
import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.outgoing.reading import MESSAGE_LIMIT, error_message, readable, retry_after
from workers.spacebring.auth import BasicAuth, BearerAuth
from workers.spacebring.errors import (
    CredentialsError,
    PermanentError,
    SpacebringError,
    TemporaryError,
    UnknownOutcomeError,
)

NOW = datetime(2026, 8, 20, 9, 0, tzinfo=UTC)
SECRET = "s3cret/+=v4lue"
AUTH = BasicAuth("our-client", SECRET)

VALIDATION = json.dumps(
    {
        "message": "Invalid request parameters",
        "type": "validationError",
        "issues": [
            {"code": "invalid_type", "path": ["ticket", "locationRef"], "message": "Required"},
            {"path": ["ticket", "tags", 0], "code": "too_big"},
            {"path": "text", "message": "Too short"},
            "Be kind",
            {},
            None,
        ],
    }
).encode()
VALIDATION_MESSAGE = (
    "Invalid request parameters (validationError): ticket.locationRef: Required; "
    "ticket.tags.0: too_big; text: Too short; Be kind"
)
PAGE = b"""<!DOCTYPE html><html><head><title>502 Bad Gateway</title><style>b{}</style></head>
<body><script>alert(1)</script><h1>Nginx &amp; friends</h1></body></html>"""

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(SECRET),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["message", "type", "code", "issues", "errors", "error", "path", "detail"])
            | st.text(),
            inner,
        )
    ),
)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"message": "Location not found", "type": "notFound"}', "Location not found (notFound)"),
        (b'{"message": "Location not found"}', "Location not found"),
        (b'{"type": "notFound"}', "notFound"),
        (
            b'{"code":"invalidParams","message":"locationRef is required"}',
            "locationRef is required (invalidParams)",
        ),
        (VALIDATION, VALIDATION_MESSAGE),
        (b'{"issues":[{"message":"Required","path":["text"]}]}', "text: Required"),
        (b'{"errors":["first","second"]}', "first; second"),
        (b'{"error":{"message":"Inner","code":7}}', "Inner (7)"),
        (b'{"error":"invalid_token","error_description":"It has expired"}', "It has expired"),
        (b'{"error":"invalid_token"}', "invalid_token"),
        (b'{"title":"Bad","detail":"Worse"}', "Worse"),
        (b'{"message": {"deep": 1}, "issues": "none"}', '{"message": {"deep": 1}, "issues": "none"}'),
        (b"{}", "{}"),
        (b'"Only a string"', "Only a string"),
        (b"[1, 2]", "[1, 2]"),
        (b"true", "true"),
        (b"  upstream\r\n connect   error ", "upstream connect error"),
        (b"\xef\xbb\xbfwith a mark", "with a mark"),
        (b"\xff\xfe broken", "\ufffd\ufffd broken"),
        (PAGE, "502 Bad Gateway Nginx & friends"),
        (b'{"message": "a\\u0000b\\u001b[31m\\u202ec\\ud800"}', "ab[31mc"),
        (b"", "Spacebring answered 502 Bad Gateway without an explanation"),
        (b" \n", "Spacebring answered 502 Bad Gateway without an explanation"),
        (b"null", "Spacebring answered 502 Bad Gateway without an explanation"),
        (b"<html></html>", "Spacebring answered 502 Bad Gateway without an explanation"),
    ],
)
def test_a_body_of_each_shape_becomes_its_message(body: bytes, message: str) -> None:
    assert error_message(502, body) == message


def test_a_status_without_a_name_is_named_by_its_number() -> None:
    assert error_message(599, b"") == "Spacebring answered 599 without an explanation"


def test_json_nested_without_end_is_shown_as_text() -> None:
    assert error_message(500, b"[" * 100_000).startswith("[[[")


def test_only_the_first_issues_are_shown() -> None:
    body = json.dumps({"issues": [f"issue{n}" for n in range(50)]}).encode()
    assert error_message(400, body) == "; ".join(f"issue{n}" for n in range(10))


def is_safe(message: str) -> bool:
    return 0 < len(message) <= MESSAGE_LIMIT and not any(
        unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for char in message
    )


@given(st.integers(), st.binary() | st.text().map(lambda text: text.encode(errors="replace")))
def test_any_bytes_become_a_short_safe_message(status: int, body: bytes) -> None:
    assert is_safe(error_message(status, body))


@given(JSON)
def test_any_json_becomes_a_short_safe_message_without_our_secret(value: object) -> None:
    message = error_message(400, json.dumps(value).encode(), redact=AUTH.redact)
    assert is_safe(message)
    assert SECRET not in message


@given(st.text(), st.text(), st.sampled_from(["", "<p>", '{"message": "']))
def test_a_secret_is_taken_out_wherever_it_stands(before: str, after: str, start: str) -> None:
    body = f"{start}{before}{SECRET}{after}".encode(errors="replace")
    assert SECRET not in error_message(400, body, redact=AUTH.redact)


@pytest.mark.parametrize("length", range(470, 505))
def test_no_part_of_a_secret_stays_where_a_message_is_cut(length: int) -> None:
    message = error_message(400, b"a" * length + SECRET.encode() * 3, redact=AUTH.redact)
    assert "s3cret" not in message


@pytest.mark.parametrize(
    "body",
    [
        b"s3cret\\/+=v4lue",
        b'{"message": "s3cret\\/+=v4lue"}',
        b'{"message": "s3cret\\u002f+=v4lue"}',
        b'{"message": "s3cr\\u0000et/+=v4lue"}',
        b"<p>s3cret&#47;+=v4lue</p>",
        b"s3cret%2F%2B%3Dv4lue",
        AUTH.authorization().encode(),
    ],
)
def test_an_escaped_secret_is_taken_out_too(body: bytes) -> None:
    message = error_message(400, body, redact=AUTH.redact)
    assert SECRET not in message
    assert "%2Fv4lue" not in message
    assert AUTH.authorization() not in message


@given(st.text(), st.integers(min_value=1, max_value=600))
def test_readable_text_is_one_line_within_its_limit_and_stays_as_it_is(text: str, limit: int) -> None:
    line = readable(text, limit)
    assert len(line) <= limit
    assert readable(line, limit) == line


@pytest.mark.parametrize("kind", [TemporaryError, PermanentError, CredentialsError, UnknownOutcomeError])
def test_every_error_is_a_spacebring_error_with_a_readable_message(kind: type[SpacebringError]) -> None:
    error = kind("a\x00\n" + "b" * 600, status=400, retry_after=1.5)
    assert isinstance(error, SpacebringError)
    assert is_safe(str(error))
    assert (error.status, error.retry_after, error.failure) == (400, 1.5, None)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("3600", 3600.0),
        ("3601", 3600.0),
        ("9" * 300, 3600.0),
        ("9" * 5000, None),
        ("-1", None),
        ("+5", None),
        ("5s", None),
        ("nan", None),
        ("inf", None),
        ("\u0667", None),
        ("", None),
        (None, None),
        ("soon", None),
        ("Thu, 20 Aug 2026 09:00:30 GMT", 30.0),
        ("Thu, 20 Aug 2026 09:00:30 -0000", 30.0),
        ("Thursday, 20-Aug-26 09:00:30 GMT", 30.0),
        ("Thu, 20 Aug 2026 11:00:30 +0200", 30.0),
        ("Fri, 21 Aug 2026 09:00:00 GMT", 3600.0),
        ("Thu, 20 Aug 2026 08:59:59 GMT", None),
        ("Thu, 20 Aug 2026 09:00:00 +99999999999999", None),
        ("Thu, 99 Aug 2026 09:00:00 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -2300", 3600.0),
    ],
)
def test_retry_after_is_read_in_each_of_its_forms(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, now=NOW) == seconds


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d+ \d+:\d+:\d+ [+-]?\d*(GMT)?"))
def test_any_retry_after_is_none_or_within_an_hour(value: str) -> None:
    seconds = retry_after(value, now=NOW)
    assert seconds is None or 0 <= seconds <= 3600


@given(st.floats(min_value=0, max_value=10_000), st.integers(min_value=-12, max_value=14))
def test_a_date_in_any_zone_means_the_seconds_until_then(ahead: float, zone: int) -> None:
    moment = (NOW + timedelta(seconds=int(ahead))).astimezone(timezone(timedelta(hours=zone)))
    assert retry_after(format_datetime(moment), now=NOW) == min(int(ahead), 3600)


def test_retry_after_counts_from_the_present_unless_told() -> None:
    assert retry_after("Thu, 20 Aug 2099 09:00:00 GMT") == 3600
    assert retry_after("Thu, 20 Aug 2009 09:00:00 GMT") is None


def test_a_bearer_token_is_redacted_and_not_shown() -> None:
    auth = BearerAuth("tok-1", "net")
    assert auth.redact("Bearer tok-1 refused") == "Bearer [secret] refused"
