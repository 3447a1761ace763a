"""What a ticket shows of the files in a mail."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import (
    PKCS7EnvelopeBuilder,
    PKCS7Options,
    PKCS7SignatureBuilder,
)
from hypothesis import given
from hypothesis import strategies as st

from service.core.invitation import invitation
from service.core.mail import Attachment, Mail, mail_event
from service.core.mail_shown import MAX_SHOWN, MAX_SIZE, is_shown, shown
from service.core.mime import read_mail
from service.core.request import Headers
from service.core.smime import signed_content
from service.core.tnef import packet_text

EVENT = "BEGIN:VCALENDAR\r\n{method}BEGIN:VEVENT\r\n{rows}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
ICS = EVENT.format(method="", rows="SUMMARY:Tea").encode()
MAIL = b"From: Bo <bo@a.example>\r\nSubject: Keys\r\n\r\nAt the desk.\r\n"


def calendar(*rows: str, method: str = "REQUEST") -> str:
    return invitation(EVENT.format(method=f"METHOD:{method}\r\n", rows="\r\n".join(rows)).encode())


def test_an_invitation_says_what_when_where_and_by_whom() -> None:
    said = calendar(
        "SUMMARY;LANGUAGE=en:Tea\\, and\\;",
        "  cake",
        "DTSTART:20261124T100000Z",
        "DTEND:20261124T113000Z",
        "RRULE:FREQ=WEEKLY",
        "LOCATION:Room 4\\nfloor 2",
        "organizer;cn=Ann:MAILTO:ann@a.example",
        "DESCRIPTION:Bring\\na cup\\\\plate",
    )

    assert said == (
        "Invitation: Tea, and; cake\nWhen: 2026-11-24 10:00 UTC to 2026-11-24 11:30 UTC, repeatedly\n"
        "Where: Room 4 floor 2\nBy: Ann (ann@a.example)\n\nBring\na cup\\plate"
    )


@pytest.mark.parametrize(
    ("method", "called"),
    [("CANCEL", "Cancelled"), ("REPLY", "Answer to an invitation"), ("PUBLISH", "Calendar entry")],
)
def test_what_a_calendar_wants_is_told(method: str, called: str) -> None:
    assert calendar("SUMMARY:Tea", method=method) == f"{called}: Tea"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("DTSTART;VALUE=DATE:20261124", "When: 2026-11-24"),
        ('DTSTART;TZID="Europe/Berlin":20261124T100000', "When: 2026-11-24 10:00 (Europe/Berlin)"),
        ("DTSTART:20261124T100000", "When: 2026-11-24 10:00"),
        ("DTSTART:soon", "When: soon"),
        ("ORGANIZER:mailto:ann@a.example", "By: ann@a.example"),
        ("ORGANIZER;CN=ann@a.example:mailto:ann@a.example", "By: ann@a.example"),
    ],
)
def test_moments_and_people_read_as_they_are_meant(row: str, said: str) -> None:
    assert calendar(row) == f"Invitation: without a title\n{said}"


def test_of_an_events_alarm_and_of_what_is_no_row_nothing_is_told() -> None:
    said = calendar("SUMMARY:Tea", "BEGIN:VALARM", "SUMMARY:Ring", "END:VALARM", "no row", "SUMMARY:Second")

    assert said == "Invitation: Tea"


@pytest.mark.parametrize(
    "content", [b"", b"BEGIN:VCALENDAR\nEND:VCALENDAR", b"END:VEVENT", ICS[:30], b"\xff\xfe"]
)
def test_a_calendar_without_an_event_says_nothing(content: bytes) -> None:
    assert invitation(content) == ""


def test_no_more_than_a_few_events_are_told() -> None:
    assert invitation(ICS * 9).count("Tea") == 5


def test_an_invitation_in_a_raw_mail_is_shown_below_its_text_and_named() -> None:
    raw = (
        b"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n"
        b"Content-Type: text/plain\r\n\r\nCome!\r\n"
        b"--b\r\nContent-Type: text/calendar; method=REQUEST\r\n\r\n" + ICS + b"--b--\r\n"
    )

    event = mail_event(read_mail(raw))

    assert event.body == "Come!\n\nCalendar entry: Tea"
    assert [file.name for file in event.files] == ["invitation.ics"]


def test_a_forwarded_mail_is_shown_with_its_writer_and_its_files_are_named() -> None:
    raw = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nSee below.\r\n--b\r\n"
        b"Content-Type: message/rfc822\r\n\r\nFrom: Bo <bo@a.example>\r\nDate: today\r\nSubject: Keys\r\n"
        b"Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nAt the desk.\r\n--c\r\n"
        b'Content-Type: image/png; name="k.png"\r\n\r\nx\r\n--c--\r\n--b--\r\n'
    )

    event = mail_event(read_mail(raw))

    assert event.body == (
        "See below.\n\nForwarded message\nFrom: Bo <bo@a.example>\nDate: today\nSubject: Keys\n\nAt the desk."
    )
    assert [file.name for file in event.files] == ["message.eml", "k.png"]


def test_of_a_servers_report_only_the_name_is_told() -> None:
    mail = read_mail(b"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; a\r\n\r\n")

    assert (mail.text, [each.name for each in mail.attachments]) == ("", ["message.eml"])


def test_a_mail_in_a_file_is_shown_if_it_can_be_read() -> None:
    nested = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        + b"--b\r\nContent-Type: multipart/x\r\n\r\n" * 600
    )

    said = shown([Attachment("a.eml", "message/rfc822", MAIL), Attachment("b.eml", "message/rfc822", nested)])

    assert said == "Forwarded message\nFrom: Bo <bo@a.example>\nSubject: Keys\n\nAt the desk."


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("text/calendar; method=REQUEST", "", True),
        ("Application/MS-TNEF", "", True),
        ("application/octet-stream", "invite.ICS", True),
        ("", "winmail.dat", True),
        ("image/png", "invite.ics", False),
        ("application/octet-stream", "report.pdf", False),
        ("", "", False),
    ],
)
def test_what_can_be_shown_is_told_by_its_type_or_where_that_says_nothing_by_its_name(
    kind: str, name: str, *, expected: bool
) -> None:
    assert is_shown(kind, name) is expected


def test_no_more_is_shown_than_a_letter_holds() -> None:
    few = [Attachment("a.ics", "text/calendar", ICS)] * (MAX_SHOWN + 5)
    large = Attachment("b.ics", "text/calendar", ICS + b" " * MAX_SIZE)

    assert shown([large, *few]).count("Tea") == MAX_SHOWN
    assert shown([large, Attachment("c.ics", "text/calendar")]) == ""


def test_a_mail_that_is_nothing_but_its_file_has_that_for_its_text() -> None:
    event = mail_event(Mail(Headers(), attachments=(Attachment("a.ics", "text/calendar", ICS),)))

    assert event.body == "Calendar entry: Tea"


def attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("<BII", 1, kind, len(data)) + data + b"\0\0"


def packet(*attributes: bytes) -> bytes:
    return struct.pack("<IH", 0x223E9F78, 1) + b"".join(attributes)


def test_outlooks_packet_shows_its_text_and_names_its_files() -> None:
    content = packet(
        attribute(0x00069007, struct.pack("<II", 1250, 0)),
        attribute(0x0002800C, "Dobrý den\0".encode("cp1250")),
        attribute(0x00018010, "smlouva č. 1.pdf\0".encode("cp1250")),
        attribute(0x00018010, b"b.doc\0"),
        attribute(0x00069003, b"other"),
    )

    assert packet_text(content) == "Dobrý den\n\nFiles in Outlook's packet: smlouva č. 1.pdf, b.doc"


def test_a_packet_of_countless_parts_is_read_only_so_far() -> None:
    body = attribute(0x0002800C, b"text")

    assert packet_text(packet(*[attribute(0, b"")] * 1999, body)) == "text"
    assert packet_text(packet(*[attribute(0, b"")] * 2000, body)) == ""


@pytest.mark.parametrize(
    "content",
    [b"", b"no packet at all", packet(), packet(attribute(0x0002800C, b"text"))[:-4], packet(b"\1\2")],
)
def test_a_packet_that_is_none_or_broken_says_nothing(content: bytes) -> None:
    assert packet_text(content) == ""


def certificate() -> tuple[x509.Certificate, rsa.RSAPrivateKey]:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Ann")])
    now = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(1))
    return builder.sign(key, SHA256()), key


def test_a_mail_that_is_signed_as_a_whole_is_read_and_one_that_is_encrypted_is_not() -> None:
    own, key = certificate()
    inner = b"Content-Type: text/plain\r\n\r\nThe door sticks.\r\n"
    signer = PKCS7SignatureBuilder().set_data(inner).add_signer(own, key, SHA256())
    signed = signer.sign(Encoding.DER, [PKCS7Options.Binary])
    sealed = PKCS7EnvelopeBuilder().set_data(inner).add_recipient(own).encrypt(Encoding.DER, [])

    kind = "application/pkcs7-mime"
    assert shown([Attachment("smime.p7m", kind, signed)]) == "The door sticks."
    assert shown([Attachment("smime.p7m", kind, sealed)]) == ""


OID = bytes.fromhex("06092a864886f70d010702")
DATA = bytes.fromhex("06092a864886f70d010701")


def streamed(pieces: bytes, oid: bytes = OID) -> bytes:
    """A signed mail as Outlook streams it: lengths that are not told, the content in pieces."""
    content = b"\x30\x80" + DATA + b"\xa0\x80\x24\x80" + pieces + b"\0\0\0\0\0\0"
    return b"\x30\x80" + oid + b"\xa0\x80\x30\x80\x02\x01\x01\x31\x00" + content + b"\0\0\0\0\0\0"


def test_a_signed_mail_in_pieces_is_put_together() -> None:
    assert signed_content(streamed(b"\x04\x03abc\x24\x05\x04\x03def\x05\x00")) == b"abcdef"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x30",
        b"\x30\x80",
        b"\x30\x05ab",
        b"\x30\x84\xff\xff\xff\xff",
        b"\x1f\x01\x00",
        b"\x30\x02\x05\x00",
        streamed(b"", oid=DATA),
        b"\x30\x80" * 50,
        b"\x30\x83\x03\x00\x00" + b"\x05\x00" * 98_304,
    ],
)
def test_what_is_no_signed_mail_holds_none(content: bytes) -> None:
    assert signed_content(content) is None


def test_pieces_within_pieces_are_followed_only_so_far() -> None:
    pieces = b"\x04\x01x"
    for _ in range(20):
        pieces = b"\x24" + bytes([len(pieces)]) + pieces

    assert signed_content(streamed(pieces)) == b""


def test_a_signed_mail_beyond_the_limits_is_not_shown() -> None:
    own, key = certificate()
    nested = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        + b"--b\r\nContent-Type: multipart/x\r\n\r\n" * 600
    )
    signed = PKCS7SignatureBuilder().set_data(nested).add_signer(own, key, SHA256())

    content = signed.sign(Encoding.DER, [PKCS7Options.Binary])

    assert shown([Attachment("smime.p7m", "application/pkcs7-mime", content)]) == ""


@given(st.binary(max_size=300))
def test_any_bytes_are_shown_or_not_but_never_an_error(content: bytes) -> None:
    for read in (invitation, packet_text, signed_content):
        read(content)
        read(struct.pack("<IH", 0x223E9F78, 1) + content)
        read(streamed(content))
        read(b"BEGIN:VEVENT\n" + content)
