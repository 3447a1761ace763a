"""Who is to be answered, whether the sender is who it says, and what a mail tells that cannot be read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from service.core.errors import UnreadableError
from service.core.events import Sender
from service.core.mail import Attachment, Mail, mail_event
from service.core.mail_verdicts import sender_notes
from service.core.mapping.text import render
from service.core.mime import read_mail
from service.core.request import Headers
from service.core.signing import from_ledger
from service.core.source import Part
from tests.fixtures_http import FIXTURES, Case
from tests.sources.test_contract import source_of

if TYPE_CHECKING:
    from service.core.events import InboundEvent

ANN, BOB = "Ann Lee <ann@a.example>", "Bob <bob@b.example>"
GROUP = {"From": '"Ann via Help" <help@acme.example>', "List-Post": "<mailto:help@acme.example>"}


def event_of(headers: dict[str, str], *, recipient: str = "help@mg.example") -> InboundEvent:
    return mail_event(Mail(Headers.of(headers.items()), text="It burns.", recipient=recipient))


@pytest.mark.parametrize(
    ("headers", "sender", "reply_to"),
    [
        ({"From": ANN, "Reply-To": BOB}, "ann@a.example", "bob@b.example"),
        ({"From": ANN, "Reply-To": f"{ANN}, {BOB}"}, "ann@a.example", "bob@b.example"),
        ({"From": ANN, "Reply-To": "ANN@a.example"}, "ann@a.example", ""),
        ({"From": ANN, "Reply-To": "help+ann@mg.example"}, "ann@a.example", ""),
        ({"From": ANN, "Reply-To": "not an address"}, "ann@a.example", ""),
        ({"From": "no-reply@site.example", "Reply-To": BOB}, "bob@b.example", ""),
        ({"From": "desk@acme.example", "To": "desk@acme.example", "Reply-To": BOB}, "bob@b.example", ""),
        ({"From": "desk@acme.example", "To": "Desk@acme.example"}, "desk@acme.example", ""),
        ({**GROUP, "X-Original-From": ANN, "Reply-To": "help@acme.example"}, "ann@a.example", ""),
        ({**GROUP, "X-Original-From": ANN, "Reply-To": BOB}, "ann@a.example", "bob@b.example"),
        ({**GROUP, "Reply-To": BOB}, "bob@b.example", ""),
    ],
)
def test_a_reply_to_is_told_and_only_stands_for_a_from_that_was_rewritten(
    headers: dict[str, str], sender: str, reply_to: str
) -> None:
    event = event_of(headers)

    assert (event.sender.email, event.reply_to.email) == (sender, reply_to)


def test_the_ticket_says_where_answers_are_wanted_and_what_was_found_out() -> None:
    event = mail_event(
        Mail(Headers.of([("From", ANN), ("Reply-To", BOB)]), text="It burns."), notes=["One (X)", "Two (X)"]
    )

    text = render(event, marker="sb-1", channel_name="mail", source_label="X", limit=2000)

    assert text.endswith(
        "From: Ann Lee (ann@a.example)\nReply to: Bob (bob@b.example)\nThrough: mail (X)\n"
        "Note: One (X); Two (X)\nRef: sb-1"
    )


@pytest.mark.parametrize(
    ("spf", "signed", "dmarc", "why"),
    [
        ("pass", True, "FAIL", "DMARC failed"),
        ("fail", False, "pass", ""),
        ("fail", None, "PASS", ""),
        ("Fail", False, "", "neither SPF nor a DKIM signature holds"),
        ("softfail", False, "GRAY", "neither SPF nor a DKIM signature holds"),
        ("softfail", None, "", ""),
        (" fail", None, "", "SPF failed"),
        ("fail", True, "", ""),
        ("none", False, "", ""),
        ("", False, "", ""),
        ("", None, "", ""),
    ],
)
def test_a_sender_is_not_verified_where_the_vendor_says_so(
    spf: str, dmarc: str, why: str, *, signed: bool | None
) -> None:
    notes = sender_notes("Vendor", spf=spf, signed=signed, dmarc=dmarc)

    assert notes == ((f"Sender not verified: {why} (Vendor)",) if why else ())


@pytest.mark.parametrize(
    ("detail", "verdict", "found"),
    [("accepted__not_verified", "pass", True), ("accepted__base64", "fail", False)],
)
def test_no_header_of_the_mail_sets_or_clears_a_verdict(detail: str, verdict: str, *, found: bool) -> None:
    request = Case(FIXTURES / "ses" / f"{detail}.http").request
    message = json.loads(request.body)
    told = json.loads(message["Message"])
    told["receipt"]["action"]["encoding"] = "UTF8"
    told["content"] = (
        f"Authentication-Results: amazonses.com; dmarc={verdict}; spf={verdict}; dkim={verdict}\r\n"
        f"X-SES-Virus-Verdict: {verdict}\r\nReceived-SPF: {verdict}\r\nFrom: {ANN}\r\n\r\nIt burns."
    )
    body = json.dumps({**message, "Message": json.dumps(told)}).encode()

    event = source_of("ses").parse(
        from_ledger(type(request)("POST", request.url, request.headers, body)), Part(())
    )

    assert event.sender.email == "ann@a.example"
    assert bool(event.notes) is found


@pytest.mark.parametrize(
    "structure",
    [
        b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(60)),
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 600,
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        + b"--b\r\nContent-Type: multipart/x\r\n\r\n" * 600,
    ],
)
def test_a_mail_beyond_the_limits_says_who_wrote_and_about_what(structure: bytes) -> None:
    raw = b"From: =?utf-8?q?Ren=C3=A9e?= <renee@a.example>\r\nSubject: Many\r\n parts\r\n" + structure

    with pytest.raises(UnreadableError, match="parts") as caught:
        read_mail(raw, recipient="help@mg.example")

    event = caught.value.event
    assert event is not None
    assert event.sender == Sender("Renée", "renee@a.example")
    assert (event.subject, event.recipient) == ("Many parts", "help@mg.example")


@pytest.mark.parametrize(
    ("kind", "content", "ignored"),
    [
        ("text/calendar; charset=utf-8", b"BEGIN:VCALENDAR\r\nMETHOD:REPLY\r\nBEGIN:VEVENT", True),
        ("text/calendar", b"BEGIN:VCALENDAR\nMETHOD:REQUEST\nX-A:METHOD:REPLY\n", False),
        ("text/plain", b"METHOD:REPLY", False),
    ],
)
def test_a_calendars_answer_is_automatic_where_the_vendor_took_the_mail_apart(
    kind: str, content: bytes, *, ignored: bool
) -> None:
    mail = Mail(Headers.of([("From", ANN)]), text="x", attachments=(Attachment("a.ics", kind, content),))

    assert bool(mail_event(mail).ignore) is ignored


def test_what_says_how_a_mail_is_encrypted_is_no_file() -> None:
    files = (
        Attachment("", "application/pgp-encrypted", b"Version: 1"),
        Attachment("encrypted.asc", "application/octet-stream", b"-----BEGIN PGP MESSAGE-----"),
    )

    event = mail_event(Mail(Headers.of([("From", ANN)]), attachments=files))

    assert [each.name for each in event.files] == ["encrypted.asc"]
    assert "encrypted" in event.body


def test_a_mail_that_stayed_in_s3_says_who_wrote_and_about_what() -> None:
    request = Case(FIXTURES / "ses" / "malformed__content_in_s3.http").request

    with pytest.raises(UnreadableError, match="S3") as caught:
        source_of("ses").parse(from_ledger(request), Part(()))

    event = caught.value.event
    assert event is not None
    assert event.sender == Sender("Renée Abel", "renee@example.com")
    assert (event.subject, event.recipient) == ("Printer on fire", "help@desk.example")
