"""What single sources do beside their recorded requests."""

from __future__ import annotations

import pytest

from service.core.capture import ORIGIN
from service.core.errors import RequestError, UnreadableError
from service.core.registry import discover
from service.core.request import Headers, InboundRequest
from service.core.signing import Locks, from_ledger
from service.core.source import Part, Source, SourceOptions
from tests.fixtures_http import cases

SECRET = b"test-secret-0123456789"
BODY = '{"hello":"wörld"}'.encode()
SLACK_EXAMPLE = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
    b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)


def source(name: str, secret: bytes = SECRET, now: float = 1_700_000_000) -> Source:
    options = SourceOptions(name, Locks(secrets=(secret,)), {})
    return discover()[name](options, clock=lambda: now)


def request(kind: str, body: bytes, **headers: str) -> InboundRequest:
    pairs = [("Content-Type", kind), *((name.replace("_", "-"), value) for name, value in headers.items())]
    return InboundRequest("POST", f"{ORIGIN}/hooks/x", Headers.of(pairs), body)


def test_typeforms_signature_is_as_computed_elsewhere() -> None:
    signature = "sha256=fF6J1Z1i19JAwDT895dqasZN4e5aB/0Lqz0mUA0AyJs="

    source("typeform").verify(request("application/json", BODY, Typeform_Signature=signature))


def test_slacks_signature_is_as_computed_elsewhere() -> None:
    signed = request(
        "application/json",
        BODY,
        X_Slack_Request_Timestamp="1700000000",
        X_Slack_Signature="v0=ae32ae753c7fb459ab96035398ec7c4620c0970813ca7693f1c955ab43343aa4",
    )

    source("slack").verify(signed)


def test_slacks_own_example_holds() -> None:
    signed = request(
        "application/x-www-form-urlencoded",
        SLACK_EXAMPLE,
        X_Slack_Request_Timestamp="1531420618",
        X_Slack_Signature="v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
    )

    source("slack", b"8f742231b10e8888abcd99yyyzzz85a5", 1_531_420_618).verify(signed)


def test_mailgun_signs_a_multipart_body_at_its_end() -> None:
    (case,) = [case for case in cases("mailgun") if case.path.stem == "accepted__attachment"]
    mailgun = source("mailgun")

    verified = mailgun.verify(mailgun.sign(case.request, SECRET))

    assert mailgun.parse(verified, Part(())).subject == "Two files"


def test_a_mailgun_body_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(RequestError, match="cannot be read"):
        source("mailgun").verify(request("multipart/form-data; boundary=b", b"--b"))


def test_a_mailgun_mail_without_any_header_is_unreadable() -> None:
    fields = b"recipient=a%40b.example&body-plain=x"

    with pytest.raises(UnreadableError, match="event webhook"):
        source("mailgun").parse(from_ledger(request("application/x-www-form-urlencoded", fields)), Part(()))


def test_what_slack_checks_must_stand_alone() -> None:
    with pytest.raises(RequestError):
        source("slack").verify(
            request("application/x-www-form-urlencoded", b"ssl_check=1&command=%2Fx&text=a")
        )


def test_a_slack_body_with_too_many_fields_is_refused() -> None:
    with pytest.raises(RequestError):
        source("slack").verify(request("application/x-www-form-urlencoded", b"&".join([b"a=b"] * 6000)))


def test_a_form_field_that_the_channel_names_is_the_one_meant() -> None:
    options = SourceOptions("form", Locks(), {"email": "q3", "subject": "What is it?"})
    named = discover()["form"](options)
    body = b"email=wrong%40example.com&q3=ann%40example.com&What+is+it%3F=Cold&message=Brr"

    event = named.parse(from_ledger(request("application/x-www-form-urlencoded", body)), Part(()))

    assert (event.sender.email, event.subject) == ("ann@example.com", "Cold")


def test_a_slash_command_without_text_is_no_event() -> None:
    bare = from_ledger(request("application/x-www-form-urlencoded", b"command=%2Fticket&text=%20"))

    assert source("slack").identify(bare) == []
    with pytest.raises(UnreadableError, match="makes no ticket"):
        source("slack").parse(bare, Part(()))


def test_an_attachment_that_is_no_base64_is_named_all_the_same() -> None:
    body = b'{"Subject": "x", "Attachments": [{"Name": "a.png", "Content": "a"}]}'

    event = source("postmark").parse(from_ledger(request("application/json", body)), Part(()))

    assert [file.name for file in event.files] == ["a.png"]


def test_json_drops_what_proves_something_and_what_is_blank() -> None:
    body = b'{"fields": [{"key": "token", "value": "t"}, {"key": "a", "value": " "}], "room": " ", "x": "y"}'

    event = source("json").parse(from_ledger(request("application/json", body)), Part(()))

    assert [(answer.label, answer.value) for answer in event.answers] == [("X", "y")]
