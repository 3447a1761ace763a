"""What mails are like in the world, trouble by trouble, and what must come of each.

Loops and threads have no test: the bridge answers no mail, and every mail is a ticket of its own.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from config.channels import Channel
from service.core.capture import ORIGIN
from service.core.errors import UnreadableError
from service.core.events import Sender
from service.core.mail import Attachment, Mail, mail_event
from service.core.mail_headers import MAX_HEADER, addresses, base_address
from service.core.mail_json import best_mail
from service.core.mapping.mapper import map_event
from service.core.mime import read_mail
from service.core.request import Headers, InboundRequest
from service.core.signing import from_ledger
from service.core.source import Part
from tests.fixtures_http import sign_again
from tests.sources.test_contract import client_of, post, source_of

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from redis import Redis
    from werkzeug.test import TestResponse

    from service.core.events import InboundEvent

HEAD = b"From: Ann <ann@customer.example>\r\nSubject: Printer\r\nMessage-ID: <1@customer.example>\r\n"
PLACE = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
BOUNDARY = "xYzZY"


def event_of(*lines: bytes, head: bytes = HEAD, recipient: str = "help@acme.example") -> InboundEvent:
    return mail_event(read_mail(head + b"\r\n".join(lines), recipient=recipient))


def parts(kind: str, *inner: tuple[str, bytes]) -> tuple[bytes, ...]:
    lines = [f"Content-Type: multipart/{kind}; boundary=b".encode(), b""]
    for headers, content in inner:
        lines += [b"--b", f"Content-Type: {headers}".encode(), b"", content]
    return (*lines, b"--b--", b"")


def names(event: InboundEvent) -> list[str]:
    return [file.name for file in event.files]


# 1, 3: automatic mail and bounces


@pytest.mark.parametrize(
    "header",
    [
        *("Auto-Submitted: auto-replied", "X-Autoreply: yes", "X-Autorespond: 1", "X-Auto-Respond: yes"),
        *("Precedence: auto_reply", "X-Precedence: auto-reply", "X-Auto-Response-Suppress: DR"),
        *("Delivered-To: autoresponder", "X-Autoresponder: x", "Precedence: bulk", "X-Precedence: junk"),
        *("Return-Path: <>", "X-Failed-Recipients: a@b.example", "X-Loop: help@acme.example"),
    ],
)
def test_01_no_ticket_is_made_of_what_says_that_a_program_wrote_it(header: str) -> None:
    assert event_of(header.encode(), b"", b"I am away.").ignore != ""
    assert event_of(b"X-Mailer: Outlook", b"", b"It burns.").ignore == ""


def test_03_a_delivery_report_is_a_bounce_whoever_sends_it() -> None:
    report = event_of(*parts("report; report-type=delivery-status", ("text/plain", b"Not delivered")))
    mixed = event_of(
        *parts("mixed", ("text/plain", b"Not delivered"), ("message/delivery-status", b"Status: 5.0.0"))
    )
    robot = event_of(b"", b"x", head=b"From: MAILER-DAEMON@mx.example\r\n")

    assert [each.ignore.partition(":")[0] for each in (report, mixed, robot)] == ["bounce"] * 3


def test_03_a_mail_with_a_mail_in_it_is_no_bounce() -> None:
    inner = b"From: mailer-daemon@mx.example\r\nAuto-Submitted: auto-replied\r\n\r\nNot delivered"

    event = event_of(*parts("mixed", ("text/plain", b"Why did this come back?"), ("message/rfc822", inner)))

    assert (event.ignore, names(event)) == ("", ["message.eml"])


# 5, 7, 8: who wrote, and to whom


def test_07_whoever_forwards_a_mail_asks_for_something() -> None:
    event = event_of(b"", b"Please see below.", b"", b"> From: Bob <bob@customer.example>")

    assert event.sender == Sender("Ann", "ann@customer.example")


def test_08_addresses_are_one_with_and_without_a_tag_and_the_envelope_counts() -> None:
    event = event_of(b"To: everybody@list.example", b"", b"x", recipient="Help+t42@acme.example")

    assert base_address("Help+t42@Acme.example") == "help@acme.example"
    assert event.recipient == "Help+t42@acme.example"


# 9: charsets


@pytest.mark.parametrize(
    ("charset", "raw"),
    [
        ("utf-8", "Grüße ąć".encode()),
        ("x-unknown", "Grüße ąć".encode()),
        ("us-ascii", "Grüße ąć".encode()),
        ('"iso-8859-2; format=flowed"', "Grüße ąć".encode("iso-8859-2")),
        ("", "Grüße ąć".encode()),
    ],
)
def test_09_a_text_is_read_by_its_charset_or_in_spite_of_it(charset: str, raw: bytes) -> None:
    kind = f"Content-Type: text/plain; charset={charset}".encode() if charset else b"X-A: b"

    assert event_of(kind, b"", raw).body == "Grüße ąć"


def test_09_windows_letters_in_latin_1_and_gb18030_in_gb2312_are_read_as_meant() -> None:
    assert event_of(b"Content-Type: text/plain; charset=iso-8859-1", b"", b"\x80 5 \x85").body == "€ 5 …"
    chinese = "打印机".encode("gb18030") + "㐂".encode("gb18030")
    assert event_of(b"Content-Type: text/plain; charset=gb2312", b"", chinese).body == "打印机㐂"


def test_09_nothing_that_a_store_or_a_reader_trips_over_is_left_in_a_text() -> None:
    text = event_of(b"", "a\x00b\x07c\u202ed\udcff".encode("utf-8", "surrogatepass")).body

    assert not set(text) & {"\x00", "\x07", "\u202e", "\udcff"}


# 10: bodies


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        (parts("alternative", ("text/html", b"<p>html</p>"), ("text/plain", b"plain")), "plain"),
        (parts("alternative", ("text/plain", b" "), ("text/html", b"<p>html</p>")), "html"),
        (parts("mixed", ("text/plain", b"One"), ("image/png", b"x"), ("text/plain", b"Two")), "One\n\nTwo"),
        ((b"Content-Type: text/html", b"", b"<table><tr><td>A</td><td>B</td></tr></table>"), "A B"),
        ((b"", b"no type at all"), "no type at all"),
        (
            parts("mixed", ("text/plain; name=body.txt", b"the text came as a file")),
            "the text came as a file",
        ),
        (parts("mixed", ("text/plain; name=a.txt", b"one"), ("text/html; name=b.html", b"two")), "one"),
        ((b"Content-Type: text/plain; format=flowed", b"", b"a line ", b"goes on"), "a line \ngoes on"),
    ],
)
def test_10_what_a_person_wrote_is_found_wherever_it_stands(lines: tuple[bytes, ...], body: str) -> None:
    assert event_of(*lines).body == body


def test_10_a_text_that_came_as_a_file_stays_one_beside_another_text() -> None:
    event = event_of(
        *parts("mixed", ("text/plain", b"See the log."), ("text/plain; name=log.txt", b"x" * 99))
    )

    assert (event.body, names(event)) == ("See the log.", ["log.txt"])


def test_10_a_blank_mail_with_a_file_is_a_ticket() -> None:
    blank = event_of(
        b"Content-Type: image/png; name=p.png", b"", b"x", head=b"From: ann@customer.example\r\n"
    )

    draft = map_event(
        blank,
        channel=Channel("mail", "mailgun", location=PLACE),
        marker="sb-0000000000",
        source_label="Mailgun",
        text_limit=4000,
        find_requester=None,
    ).draft

    assert "p.png" in draft.text


# 11, 12: files


def test_11_images_in_the_text_are_named_also_without_a_name() -> None:
    image = "image/png\r\nContent-ID: <logo@x>\r\nContent-Transfer-Encoding: base64"

    event = event_of(*parts("related", ("text/html", b'<p>Hi<img src="cid:logo@x"></p>'), (image, b"eHh4")))

    assert (event.body, [(file.name, file.size) for file in event.files]) == ("Hi", [("unnamed", 3)])


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ('attachment; filename="C:\\\\temp\\\\a.txt"', "a.txt"),
        ('attachment; filename="=?utf-8?q?a=0D=0Ab=2Epdf?="', "a b.pdf"),
        ("attachment; filename*=iso-8859-1''r%E9sum%E9.pdf", "résumé.pdf"),
        ("attachment; filename*0*=utf-8''long%20; filename*1=name.pdf", "long name.pdf"),
        ("attachment; filename*=utf-8''fdp%E2%80%AEexe.pdf", "fdpexe.pdf"),
        ('attachment; filename=""', "unnamed"),
    ],
)
def test_12_a_files_name_is_a_name_and_nothing_else(disposition: str, name: str) -> None:
    event = event_of(
        b"Content-Type: application/pdf", f"Content-Disposition: {disposition}".encode(), b"", b"x"
    )

    assert names(event) == [name]


# 13, 14, 15: what only mail programs open


@pytest.mark.parametrize("kind", ["application/ms-tnef", "application/vnd.ms-tnef"])
def test_13_outlooks_own_format_is_named_and_said_where_it_is_all(kind: str) -> None:
    beside = event_of(*parts("mixed", ("text/plain", b"Hello"), (f"{kind}; name=winmail.dat", b"x")))
    alone = event_of(f"Content-Type: {kind}; name=winmail.dat".encode(), b"", b"x")

    assert (beside.body, names(beside)) == ("Hello", ["winmail.dat"])
    assert ("only Outlook opens" in alone.body, names(alone)) == (True, ["winmail.dat"])


@pytest.mark.parametrize(
    "kind", ["application/pkcs7-signature", "application/x-pkcs7-signature", "application/pgp-signature"]
)
def test_14_of_a_signed_mail_the_text_is_shown_and_not_the_signature(kind: str) -> None:
    signed = event_of(*parts("signed", ("text/plain", b"It burns."), (f"{kind}; name=smime.p7s", b"x")))

    assert (signed.body, names(signed)) == ("It burns.", [])


def test_14_an_encrypted_mail_is_a_ticket_that_says_so() -> None:
    smime = event_of(b"Content-Type: application/pkcs7-mime; name=smime.p7m", b"", b"x")
    pgp = event_of(
        *parts(
            "encrypted",
            ("application/pgp-encrypted", b"Version: 1"),
            ("application/octet-stream; name=encrypted.asc", b"x"),
        )
    )

    assert all("encrypted" in each.body and not each.ignore for each in (smime, pgp))
    assert (names(smime), names(pgp)) == (["smime.p7m"], ["encrypted.asc"])


def test_14_a_vendor_that_took_the_mail_apart_changes_nothing_of_that() -> None:
    sealed = Attachment("smime.p7m", "application/x-pkcs7-mime; smime-type=enveloped-data", b"x")
    signature = Attachment("smime.p7s", "application/pkcs7-signature; name=smime.p7s", b"x")

    event = mail_event(Mail(Headers(), attachments=(sealed, signature)))

    assert ("encrypted" in event.body, names(event)) == (True, ["smime.p7m"])


def test_15_an_invitation_is_a_file_beside_its_text() -> None:
    calendar = ("text/calendar; method=REQUEST; charset=utf-8", b"BEGIN:VCALENDAR\r\nEND:VCALENDAR")

    event = event_of(*parts("alternative", ("text/plain", b"Shall we meet?"), calendar))
    alone = event_of(f"Content-Type: {calendar[0]}".encode(), b"", calendar[1])

    assert (event.body, names(event), event.ignore) == ("Shall we meet?", ["invitation.ics"], "")
    assert ("invitation" in alone.body, names(alone)) == (True, ["invitation.ics"])


def test_15_an_answer_to_an_invitation_is_automatic_wherever_it_stands() -> None:
    answer = ("text/calendar; method=reply", b"BEGIN:VCALENDAR\r\nEND:VCALENDAR")
    raw = HEAD + b"\r\n".join(parts("alternative", ("text/plain", b"Accepted: Tour \xe9"), answer))

    whole = mail_event(read_mail(raw))
    parsed = mail_event(best_mail(raw.decode("latin-1"), Mail(Headers(), text="Accepted: Tour é"), told=True))

    assert whole.ignore == parsed.ignore == "auto-reply: an answer to an invitation"


# 16, 18: large and poisonous mail; limits are in test_mail and test_bulk


def test_18_a_header_of_twenty_thousand_recipients_is_cut_before_it_is_read() -> None:
    many = ", ".join(f"person{number}@customer.example" for number in range(20_000))

    found = addresses(many)

    assert 0 < len(found) <= MAX_HEADER // len("person0@customer.example")
    assert event_of(f"To: {many}".encode(), b"", b"x", recipient="").recipient == "person0@customer.example"


@pytest.mark.parametrize(
    "header",
    [
        "Subject: " + "=?utf-8?q?a?= " * 20_000,
        "To: " + "(" * 20_000,
        "Content-Type: text/plain" + "".join(f"; a*{number}=b" for number in range(5000)),
        "Content-Type: text/plain" + ";" * 50_000,
        "References: " + "<" * 60_000,
    ],
    ids=["words", "comments", "parameters", "semicolons", "references"],
)
def test_18_no_header_keeps_the_text_from_being_read(header: str) -> None:
    assert (
        event_of(header.encode(), b"", b"It burns.", head=b"From: ann@customer.example\r\n").body
        == "It burns."
    )


# 19, 20, 21: what goes on from here, dates, odd addresses


def test_19_no_header_of_a_sender_ends_a_line() -> None:
    event = event_of(
        b"Subject: =?utf-8?q?hi=0D=0ABcc=3A_x?=",
        b"",
        b"x",
        head=b"From: =?utf-8?q?Ann=0D=0AX=3A_y?= <ann@customer.example>\r\n",
    )

    assert (event.subject, event.sender.name) == ("hi Bcc: x", "Ann X: y")


@pytest.mark.parametrize("date", ["", "Date: Thu, 1 Jan 70 00:00:00 -0000", "Date: soon"])
def test_20_a_mail_of_no_date_or_an_impossible_one_is_a_mail(date: str) -> None:
    assert event_of(date.encode() or b"X-A: b", b"", b"It burns.").body == "It burns."


@pytest.mark.parametrize(
    ("written", "sender"),
    [
        ("", Sender()),
        ("undisclosed-recipients:;", Sender("undisclosed-recipients:;")),
        ("a@customer.example, b@customer.example", Sender("", "a@customer.example")),
        ('"boss@acme.example" <x@evil.example>', Sender("boss@acme.example", "x@evil.example")),
        (
            "Ann (in (the) office) <ann@customer.example>",
            Sender("Ann (in (the) office)", "ann@customer.example"),
        ),
        (f"{'a' * 300}@customer.example", Sender(f"{'a' * 300}@customer.example")),
        ("renée@customer.example", Sender("", "renée@customer.example")),
    ],
)
def test_21_an_odd_writer_is_told_as_far_as_it_is_known(written: str, sender: Sender) -> None:
    event = event_of(b"", b"x", head=f"From: {written}\r\n".encode())

    assert event.sender.email == sender.email
    assert sender.email or event.sender.name == sender.name


# What forms do to mail


def sendgrid(*fields: tuple[str, bytes]) -> InboundRequest:
    body = b"".join(
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; ".encode()
        + (f'name="{name}"'.encode() if name else value)
        + b"\r\n\r\n"
        + (value if name else b"x")
        + b"\r\n"
        for name, value in fields
    )
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    request = InboundRequest(
        "POST",
        f"{ORIGIN}/hooks/sendgrid",
        Headers.of([("Content-Type", kind)]),
        body + f"--{BOUNDARY}--\r\n".encode(),
    )
    return sign_again(source_of("sendgrid"), request)


def received(request: InboundRequest) -> InboundEvent:
    return source_of("sendgrid").parse(from_ledger(request), Part(()))


FROM = ("headers", b"From: Ann <ann@customer.example>\r\nSubject: Printer\r\n")


@pytest.mark.parametrize(
    ("charsets", "raw"),
    [
        (b'{"text": "windows-1252"}', "Grüße €".encode("cp1252")),
        (b'{"text": "UTF-8"}', "Grüße €".encode("cp1252")),
        (b'{"text": "x-nobody-knows"}', "Grüße €".encode()),
        (b'{"text": 7}', "Grüße €".encode()),
        (b"not json", "Grüße €".encode()),
        (b"[]", "Grüße €".encode()),
    ],
    ids=["right", "wrong", "unknown", "no text", "no json", "no object"],
)
def test_form_a_text_is_read_by_the_vendors_charset_or_in_spite_of_it(charsets: bytes, raw: bytes) -> None:
    assert received(sendgrid(FROM, ("text", raw), ("charsets", charsets))).body == "Grüße €"


def test_form_one_letter_of_another_charset_in_a_parts_header_empties_no_form() -> None:
    event = received(sendgrid(FROM, ("text", b"It burns."), ("", b'name="f"; filename="r\xe9sum\xe9.pdf"')))

    assert (event.body, names(event)) == ("It burns.", ["résumé.pdf"])


@pytest.mark.parametrize(
    "request_",
    [
        sendgrid(("email", HEAD + b"\r\n" + b"x" * 600_000)),
        sendgrid(FROM, ("text", b"x"), *[(f"f{number}", b"") for number in range(1100)]),
    ],
    ids=["a field over 500 kB", "over 1,000 parts"],
)
def test_form_no_limit_of_the_framework_refuses_a_mail(request_: InboundRequest, redis: Redis) -> None:
    client: FlaskClient = client_of("sendgrid", redis)

    answer: TestResponse = post(client, request_)

    assert (answer.status_code, answer.headers["X-Bridge-Status"]) == (200, "accepted")


def test_17_one_mail_as_two_webhooks_has_one_key_beside_the_vendors() -> None:
    mail = HEAD + b"\r\n".join(parts("mixed", ("text/plain", b"It burns."), ("image/png; name=p.png", b"x")))
    one = sendgrid(("email", b"Received: from a\r\n" + mail), ("envelope", b'{"to": ["help@acme.example"]}'))
    two = sendgrid(("email", b"Received: from b\r\n" + mail), ("envelope", b'{"to": ["it@acme.example"]}'))
    other = replace(one, body=one.body.replace(b"It burns.", b"It is wet."))

    assert received(one).late_keys == received(two).late_keys != received(other).late_keys
    assert received(one).late_keys


def test_10_a_mail_in_base64_with_lines_of_any_length_is_read() -> None:
    encoded = base64.b64encode("Grüße".encode() * 100)

    event = event_of(b"Content-Transfer-Encoding: base64", b"", encoded[:50], encoded[50:])

    assert event.body == "Grüße" * 100


def test_nesting_behind_bare_carriage_returns_is_counted_and_never_an_error() -> None:
    deep = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\r--b%d\r" % (level, level) for level in range(1000)
    )

    with pytest.raises(UnreadableError, match="parts in the mail"):
        read_mail(deep)
