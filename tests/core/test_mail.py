"""Mail: raw MIME, headers, HTML, mrkdwn."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.errors import UnreadableError
from service.core.events import Sender
from service.core.html_text import html_to_text
from service.core.json_body import flatten, read_json
from service.core.mail import Mail, mail_event
from service.core.mail_headers import addresses, header_text, ignore_reason, sender_of
from service.core.mime import MAX_HEADERS, read_mail
from service.core.request import Headers
from service.core.slack.mrkdwn import escape, plain
from service.core.text import decode

ANN = Sender("Ann", "ann@customer.example")


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One</p><p>Two &amp; three</p>", "One\n\nTwo & three"),
        ("<ul><li>a</li><li>b</li></ul>", "- a\n\n- b"),
        ("a<br>b", "a\nb"),
        ("<table><tr><td>a</td><td>b</td></tr></table>", "a b"),
        ("<a href='https://x.example'>here</a>", "here (https://x.example)"),
        ("<a href=https://x.example>https://x.example</a>", "https://x.example"),
        ('<a href="javascript:x()">here</a> <a>there</a>', "here there"),
        ("<style>b{}</style>seen<script>x('</p>')</script>", "seen"),
        ("<script>never closed <p>seen</p><script>again", "never closed\n\nseen\n\nagain"),
        ("1 < 2 <!-- hidden > --> <b>bold</b>", "1 < 2 bold"),
        ("cut <b off", "cut <b off"),
        ("<!doctype html><?xml?><span>x</span>", "x"),
    ],
)
def test_html_reads_as_text(html: str, text: str) -> None:
    assert html_to_text(html) == text


@given(st.text(alphabet="<>/!-aplscrit =\"'&; \n", max_size=300))
def test_any_markup_gives_some_text(html: str) -> None:
    assert isinstance(html_to_text(html), str)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("Plain", "Plain"),
        ("=?utf-8?b?w6k=?= and =?iso-8859-1?q?=E9?=", "é and é"),
        ("=?utf-8?b?abcde?= x", "=?utf-8?b?abcde?= x"),
        ("=?nope?q?a?=", "a"),
        ("plain =?utf-8?q?b?=", "plain b"),
        ("=?x", "=?x"),
    ],
)
def test_a_header_is_decoded_where_it_can_be(raw: str, text: str) -> None:
    assert header_text(raw) == text


@pytest.mark.parametrize(
    ("raw", "emails"),
    [
        ("Ann <ann@a.example>, bob@b.example", ["ann@a.example", "bob@b.example"]),
        ("undisclosed-recipients:;", []),
        ("broken <<ann@a.example", ["ann@a.example"]),
        ("(" * 4000, []),
    ],
)
def test_addresses_are_found_and_nothing_else(raw: str, emails: list[str]) -> None:
    assert [each.email for each in addresses(raw)] == emails


@pytest.mark.parametrize(
    ("headers", "email"),
    [
        ({"From": "ann@a.example", "Reply-To": "x@b.example"}, "ann@a.example"),
        ({"From": "no-reply@site.example", "Reply-To": "ann@a.example"}, "ann@a.example"),
        ({"From": "www@mg.example", "Reply-To": "ann@a.example"}, "ann@a.example"),
        ({"Reply-To": "ann@a.example"}, "ann@a.example"),
        (
            {"From": "list@l.example", "List-Post": "<mailto:list@l.example>", "Reply-To": "ann@a.example"},
            "ann@a.example",
        ),
        (
            {
                "From": "list@l.example",
                "List-Post": "<mailto:list@l.example>",
                "X-Original-From": "ann@a.example",
            },
            "ann@a.example",
        ),
        (
            {"From": "ann@a.example", "List-Post": "<mailto:list@l.example>", "Reply-To": "list@l.example"},
            "ann@a.example",
        ),
        ({"From": "Only a name"}, ""),
    ],
)
def test_the_sender_is_who_wrote(headers: dict[str, str], email: str) -> None:
    assert sender_of(Headers.of(headers.items()), "help@mg.example").email == email


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({}, ""),
        ({"Auto-Submitted": "no"}, ""),
        ({"Auto-Submitted": "auto-generated; x"}, "auto-reply"),
        ({"X-Autoreply": "yes"}, "auto-reply"),
        ({"X-Auto-Response-Suppress": "OOF, All"}, "auto-reply"),
        ({"Precedence": "auto-reply"}, "auto-reply"),
        ({"Delivered-To": "autoresponder"}, "auto-reply"),
        ({"Content-Type": "text/calendar; method=REPLY"}, "auto-reply"),
        ({"Content-Type": "multipart/report; x"}, "bounce"),
        ({"X-Failed-Recipients": "a@b.example"}, "bounce"),
        ({"Return-Path": "<>"}, "bounce"),
        ({"Precedence": "junk"}, "bulk"),
        ({"List-Unsubscribe": "<mailto:x@y.example>"}, "bulk"),
        ({"List-Unsubscribe": "<mailto:x@y.example>", "List-Post": "<mailto:l@y.example>"}, ""),
        ({"List-Unsubscribe": "<mailto:x@y.example>", "List-Post": "NO (announcements)"}, "bulk"),
        ({"X-Loop": "help+1@mg.example"}, "own mail"),
    ],
)
def test_what_no_person_wrote_is_ignored_with_its_reason(headers: dict[str, str], why: str) -> None:
    reason = ignore_reason(Headers.of(headers.items()), ANN, "help@mg.example", None)

    assert reason.startswith(why)
    assert bool(reason) == bool(why)


@pytest.mark.parametrize(
    ("sender", "envelope", "why"),
    [
        (Sender("", "mailer-daemon@x.example"), None, "bounce"),
        (Sender("", "Help@mg.example"), None, "own mail"),
        (ANN, "", "bounce"),
        (ANN, "ann@customer.example", ""),
    ],
)
def test_who_wrote_and_the_envelope_tell_as_well(sender: Sender, envelope: str | None, why: str) -> None:
    reason = ignore_reason(Headers(), sender, "help@mg.example", envelope)

    assert reason.startswith(why)
    assert bool(reason) == bool(why)


def mime(*lines: str) -> bytes:
    return "\r\n".join(lines).encode("latin-1")


def test_of_alternatives_the_plain_one_is_read_wherever_it_stands() -> None:
    mail = read_mail(
        mime(
            *("Content-Type: multipart/alternative; boundary=b", "", "--b", "Content-Type: text/html", ""),
            *("<p>html</p>", "--b", "Content-Type: text/plain", "", "plain", "--b--", ""),
        )
    )

    assert mail.text.strip() == "plain"


def test_a_mail_with_html_alone_is_read_as_text() -> None:
    assert read_mail(mime("Content-Type: text/html", "", "<p>a</p>")).text == "a"


def test_files_are_named_as_their_headers_say() -> None:
    mail = read_mail(
        mime(
            *("Content-Type: multipart/mixed; boundary=b", "", "--b"),
            *("Content-Type: text/plain; name*=iso-8859-1''r%E9.txt", "", "x", "--b"),
            *("Content-Type: application/pdf", "", "x", "--b"),
            *("Content-Type: message/rfc822", "", "Subject: inner", "", "hello", "--b--", ""),
        )
    )

    assert [each.name for each in mail.attachments] == ["ré.txt", "unnamed", "message.eml"]


def test_a_parameter_that_cannot_be_read_is_left_out() -> None:
    kind = 'Content-Type: text/plain; filename*=filename=xname*=\\";filename*1*'
    mail = read_mail(mime(kind, "", "caf\xe9"))

    assert "caf" in mail.text


def test_a_multipart_without_its_boundary_is_shown_rather_than_lost() -> None:
    assert "hello" in read_mail(mime("Content-Type: multipart/mixed", "", "hello")).text


@pytest.mark.parametrize(
    "raw",
    [
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        + b"--b\r\nContent-Type: multipart/x\r\n\r\n" * 600,
        b"".join(
            b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (depth, depth)
            for depth in range(60)
        ),
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 600,
    ],
)
def test_a_mail_beyond_the_limits_is_refused(raw: bytes) -> None:
    with pytest.raises(UnreadableError):
        read_mail(raw)


def test_headers_are_cut_to_their_limit() -> None:
    mail = read_mail(b"".join(b"X-%d: %s\r\n" % (number, b"a" * 8000) for number in range(20)) + b"\r\nbody")

    assert sum(len(name) + len(value) for name, value in mail.headers) <= MAX_HEADERS


def test_a_mail_without_id_and_date_has_no_late_key() -> None:
    event = mail_event(Mail(headers=Headers.of([("From", "ann@a.example"), ("To", "help@mg.example")])))

    assert event.late_keys == ()
    assert event.recipient == "help@mg.example"


@given(st.binary(max_size=400))
def test_any_bytes_are_a_mail_or_refused(raw: bytes) -> None:
    try:
        event = mail_event(read_mail(raw))
    except UnreadableError:
        return
    assert event.kind == "email"


@pytest.mark.parametrize(
    ("given_text", "shown"),
    [
        ("Hi <@U123|ann> see <#C1|general>", "Hi @ann see #general"),
        ("<@U123> <#C9>", "@Ann Lee #C9"),
        ("<!here> <!subteam^S1|@ops> <!date^1392734382^{date}|Feb 18>", "@here @ops Feb 18"),
        ("<https://a.b/?x=1&amp;y=2|docs>", "docs (https://a.b/?x=1&y=2)"),
        ("<mailto:a@b.co|a@b.co>", "a@b.co"),
        ("5 &lt; 6 &amp;&amp; a &gt; b / &amp;lt;", "5 < 6 && a > b / &lt;"),
    ],
)
def test_mrkdwn_reads_as_in_slack(given_text: str, shown: str) -> None:
    assert plain(given_text, lambda user: {"U123": "Ann Lee"}.get(user, user)) == shown


@given(st.text())
def test_escaped_text_comes_back_as_it_was(text: str) -> None:
    assert plain(escape(text)) == text


def test_nested_values_become_texts_with_their_paths() -> None:
    assert list(flatten("a", [1, {"b": True}])) == [("a", "1"), ("a.1.b", "Yes")]


@pytest.mark.parametrize("number", [b"1e999", b"NaN", b"-Infinity"])
def test_a_number_that_is_none_is_refused_where_it_matters(number: bytes) -> None:
    with pytest.raises(UnreadableError):
        read_json(b"[" + number + b"]", strict=True)


def test_a_number_is_read_as_it_is() -> None:
    assert read_json(b"[1.5]") == [1.5]


def test_a_charset_that_is_none_is_passed_over() -> None:
    assert decode("é".encode(), "zlib") == "é"
    assert decode(b"\x81", "utf-7") == "\x81"


@pytest.mark.parametrize(
    ("raw", "charset", "text"),
    [
        (b"Hi +AOk-", "unicode-1-1-utf-7", "Hi é"),
        (b"Hi +AOk-", "UTF-7", "Hi é"),
        (b"1 + 1 = +", "utf-7", "1 + 1 = +"),
        ("Grüße".encode(), "iso-8859-1", "Grüße"),
        ("Grüße".encode(), "us-ascii", "Grüße"),
        ("Grüße".encode(), "windows-1252", "Grüße"),
        ("Grüße “€”".encode("cp1252"), "iso-8859-1", "Grüße “€”"),
        (b"plain", "latin-1", "plain"),
        (b"\x81\xe9", "iso-8859-1", "\x81é"),
    ],
)
def test_a_text_is_read_as_what_it_is_whatever_is_declared(raw: bytes, charset: str, text: str) -> None:
    assert decode(raw, charset) == text
