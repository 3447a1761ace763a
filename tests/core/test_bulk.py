"""Large and dense bodies: read as small ones are, or refused before anything is built of them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from unicodedata import normalize
from urllib.parse import parse_qsl

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.core import mime
from service.core.answers import MAX_ANSWERS
from service.core.errors import Invalid, UnreadableError
from service.core.forms import MAX_FIELDS, MAX_LONE, MAX_NAME, Form, read_form
from service.core.json_body import MAX_PATH, MAX_PIECES, read_json, read_object
from service.core.registry import discover
from service.core.request import Headers, InboundRequest
from service.core.signing import Locks, from_ledger
from service.core.source import Part, SourceOptions
from service.core.text import clean, first_line
from tests.fixtures_http import Case, cases

if TYPE_CHECKING:
    from service.core.mail import Mail

MAILS = [case for case in cases("cloudflare") if case.outcome == "accepted"]


def form(body: bytes) -> Form:
    kind = [("Content-Type", "application/x-www-form-urlencoded")]
    return read_form(InboundRequest("POST", "https://bridge.example/hooks/x", Headers.of(kind), body))


@given(st.lists(st.sampled_from([*b"%%%%=&&++4aAfZ\n\r\t \xe9_", 0x25, 0x3D])).map(bytes))
def test_a_form_is_read_as_the_standard_library_reads_it(body: bytes) -> None:
    pairs = parse_qsl(body.decode("latin-1"), keep_blank_values=True, encoding="latin-1")

    read = form(body).fields

    assert [value for _, value in read] == [value.encode("latin-1") for _, value in pairs]
    assert len(read) == len(pairs)


def test_a_form_has_so_many_fields_and_so_many_escapes_of_nothing() -> None:
    most = form(b"&".join([b"a=b"] * MAX_FIELDS))
    loose = form(b"a=" + b"%" * MAX_LONE)

    assert len(most.fields) == MAX_FIELDS
    assert loose.raw("a") == b"%" * MAX_LONE
    with pytest.raises(UnreadableError, match="not urlencoded"):
        form(b"a=" + b"%" * (MAX_LONE + 1))


def test_a_name_is_no_longer_than_names_are() -> None:
    assert form(b"a" * MAX_NAME + b"=x").text("a" * MAX_NAME) == "x"
    with pytest.raises(UnreadableError, match="name is longer than"):
        form(b"a" * (MAX_NAME + 1) + b"=x")


@pytest.mark.parametrize("unit", ["[],", "{},", "1,", '"",', '"a":1,'])
def test_json_of_too_many_pieces_is_refused_before_it_is_built(unit: str) -> None:
    dense = "[" + unit * MAX_PIECES + "1]"

    with pytest.raises(UnreadableError, match=f"more than {MAX_PIECES} pieces"):
        read_json(dense.encode())


def test_what_stands_in_a_text_is_no_piece() -> None:
    text = '[{,\\"\n' * 10

    assert read_object(json.dumps({"a": text}).encode(), pieces=3) == {"a": text}
    with pytest.raises(UnreadableError, match="pieces"):
        read_object(json.dumps({"a": text}).encode(), pieces=2)


def test_a_text_that_does_not_end_is_one_piece() -> None:
    with pytest.raises(UnreadableError, match="not JSON"):
        read_json(b'["' + b'\\"' * 1000, pieces=2)


def test_a_batch_of_a_thousand_mails_is_not_too_many_pieces() -> None:
    mail = {"headers": {f"X-{number}": "value" for number in range(100)}, "to": [["a@b.example", None]]}

    assert len(read_json(json.dumps([{"event": "inbound", "msg": mail}] * 1000).encode())) == 1000


@pytest.fixture
def every_bulk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mime, "_SHOWN", 0)


def both_ways(raw: bytes) -> tuple[Mail | str, Mail | str]:
    """Read a mail with its bulks in their places and with as many as possible taken out."""
    read: list[Mail | str] = []
    for shown in (len(raw), 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(mime, "_SHOWN", shown)
            try:
                read.append(mime.read_mail(raw))
            except UnreadableError as error:
                read.append(str(error))
    return read[0], read[1]


@pytest.mark.parametrize("case", MAILS, ids=str)
def test_a_mail_is_the_same_whether_its_bulk_is_taken_out_or_not(case: Case) -> None:
    whole, outlined = both_ways(case.request.body)

    assert whole == outlined


LINES = st.sampled_from(
    [
        *(b"--b", b"--b--", b"--c", b"--c--", b"-- ", b"--bb", b"", b"", b"\r", b"a\rb", b"a\r--b", b"\r--c"),
        *(b"Content-Type: multipart/mixed; boundary=b", b"Content-Type: multipart/alternative; boundary=c"),
        *(b"Content-Type: text/plain; charset=latin-1", b"Content-Type: image/png; name=p.png"),
        *(b"Content-Transfer-Encoding: base64", b"Content-Transfer-Encoding: quoted-printable"),
        *(
            b"Content-Type: message/rfc822",
            b"Subject: x",
            b" folded",
            b"no header",
            b"caf\xe9 =3D",
            b"aGVsbG8=",
        ),
    ]
)


@example([b"Content-Type: message/rfc822", b"", b"Content-Type: multipart/mixed; boundary=b", b""], b"\n")
@example(
    [
        *(b"Content-Type: multipart/digest; boundary=b", b"", b"--b", b"", b"Subject: x"),
        *(b"Content-Type: multipart/mixed; boundary=c", b"", b"--b--"),
    ],
    b"\n",
)
@example([b"Content-Type: multipart/mixed; boundary=b", b"--b", b"", b"", b""], b"\r\n")
@given(st.lists(LINES, max_size=30), st.sampled_from([b"\n", b"\r\n"]))
def test_any_lines_are_the_same_mail_whether_their_bulk_is_taken_out_or_not(
    lines: list[bytes], end: bytes
) -> None:
    whole, outlined = both_ways(end.join(lines))

    assert whole == outlined


@pytest.mark.usefixtures("every_bulk")
def test_a_bulk_comes_back_byte_by_byte() -> None:
    head = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    files = [bytes([number]) * 5 + b"\r\n\n\xff" * 3 for number in (65, 66)]
    parts = [b"--b\r\nContent-Type: image/png\r\n\r\n" + file + b"\r\n" for file in files]

    mail = mime.read_mail(head + b"".join(parts) + b"--b--\r\n")

    assert [each.content for each in mail.attachments] == files


def test_a_mail_has_so_many_lines_that_may_bound_a_part() -> None:
    lines = mime.MAX_LINES + 1

    assert mime.read_mail(b"Subject: x\n\n" + b"\n" * 2 * lines).headers.get("Subject") == "x"
    with pytest.raises(UnreadableError, match="lines in the mail"):
        mime.read_mail(b"Subject: x\n\n" + b"--\n" * 2 * lines)


CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\u202d\u202e]")
LETTERS = st.characters(codec="utf-8") | st.sampled_from("\r\n\x00\x1f\x7f\x85\x86\u2028\u202e\t é\u0301")


@given(st.text(LETTERS) | st.text(st.characters(max_codepoint=127)))
def test_a_text_is_cleaned_alike_whether_it_is_ascii_or_not(text: str) -> None:
    lines = re.sub("\r\n?|[\x85\u2028\u2029]", "\n", text)

    assert clean(text) == normalize("NFC", CONTROLS.sub("", lines)).strip()


def test_the_first_line_of_a_text_without_an_end_is_cut() -> None:
    assert first_line("\n " + "word " * 100_000, 9) == "word wor…"


@pytest.mark.parametrize("name", ["json", "standardwebhooks", "zapier", "cognito", "basin"])
def test_a_name_that_everything_below_would_repeat_is_refused(name: str) -> None:
    told = {"a" * (MAX_PATH + 1): {"b": "x"}}

    with pytest.raises((UnreadableError, Invalid), match="longer than 1000 characters"):
        read(name, wrapped(name, told))


@pytest.mark.parametrize("name", ["json", "standardwebhooks", "zapier", "cognito", "gravityforms"])
def test_more_answers_than_any_form_has_are_refused(name: str) -> None:
    told = {f"a{number}": "x" for number in range(MAX_ANSWERS + 1)}

    with pytest.raises((UnreadableError, Invalid), match="more than 2000"):
        read(name, wrapped(name, told))


def wrapped(name: str, told: dict[str, str] | dict[str, dict[str, str]]) -> dict[str, Any]:
    return {"data": told} if name == "standardwebhooks" else told


def read(name: str, body: dict[str, Any]) -> object:
    source = discover()[name](SourceOptions("x", Locks(), {}))
    pairs = Headers.of([("Content-Type", "application/json")])
    request = InboundRequest("POST", "https://bridge.example/hooks/x", pairs, json.dumps(body).encode())
    return source.parse(from_ledger(request), Part(()))
