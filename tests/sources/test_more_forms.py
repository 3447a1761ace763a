"""What single form vendors do beside their recorded requests."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from service.core.answers import (
    MAX_ANSWERS,
    MAX_FILES,
    file_at,
    files_of,
    form_event,
    names_of,
    text_of,
    told,
    uploads,
)
from service.core.errors import Unauthorized, UnreadableError
from service.core.events import Answer, Sender
from service.core.signing import Locks, from_ledger
from tests.fixtures_http import sign_again
from tests.sources.test_contract import client_of, source_of
from tests.sources.test_details import BODY, request, source

if TYPE_CHECKING:
    from redis import Redis

    from service.core.request import InboundRequest
    from service.web import Web

HUBSPOT_URL = "https://support.example.com/in/hubspot/acme?x=1"
HUBSPOT_V3 = {
    "X_HubSpot_Request_Timestamp": "1700000000000",
    "X_HubSpot_Signature_v3": "pZjgBvqS8WuEapteT3icgOXv2sikeYLw2b7YCUDW7XU=",
}


def to_hubspot(**headers: str) -> InboundRequest:
    return replace(request("application/json", BODY, **headers), url=HUBSPOT_URL)


@pytest.mark.parametrize(
    "headers",
    [
        HUBSPOT_V3,
        {"X_HubSpot_Signature": "0dd228b11f35208d462837d3b87969f254fc7ff06f8239b18b0207b769315802"},
        {
            "X_HubSpot_Signature_Version": "v1",
            "X_HubSpot_Signature": "24197a2873b33cd23cae4d6d0fef481a27b485c07f6e118e8eb3947068af4cd9",
        },
    ],
)
def test_hubspots_signatures_are_as_computed_elsewhere(headers: dict[str, str]) -> None:
    source("hubspot").verify(to_hubspot(**headers))


def test_opnforms_signature_is_as_computed_elsewhere() -> None:
    computed = "sha256=7c5e89d59d62d7d240c034fcf7976a6ac64de1ee5a07fd0bab3d26500d00c89b"

    source("opnform").verify(request("application/json", BODY, X_Webhook_Signature=computed))


@pytest.mark.parametrize("stamp", ["", "hello", "-1", "1700000000000.0", "1" * 30, "1699999699999", "\ud800"])
def test_hubspots_time_must_be_one_and_near(stamp: str) -> None:
    signed = source("hubspot").sign(to_hubspot(), b"test-secret-0123456789")
    wrong = replace(signed, headers=signed.headers.replaced(X_HubSpot_Request_Timestamp=stamp))

    with pytest.raises(Unauthorized):
        source("hubspot").verify(wrong)


def test_hubspot_signs_the_time_that_it_sends() -> None:
    signed = source("hubspot", now=1_700_000_000.5).sign(to_hubspot(), b"test-secret-0123456789")

    source("hubspot").verify(signed)
    with pytest.raises(Unauthorized):
        source("hubspot", now=1_700_000_301).verify(signed)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "Yes"),
        (3, "3"),
        (["a", None, 2], "a, 2"),
        ({"city": "Oslo", "zip": "", "token": "no"}, "city: Oslo"),
        ([{"row": "a"}, {"row": "b"}], "row: a; row: b"),
    ],
)
def test_any_value_is_told_as_text(value: object, text: str) -> None:
    assert text_of(value) == text


def test_a_file_is_an_object_with_a_link() -> None:
    value = [
        {"url": "https://x.example/a%20b.png?sig=1"},
        {"url": "javascript:1"},
        {"name": "no link"},
        "text",
    ]

    assert [(file.name, file.url) for file in files_of(value)] == [
        ("a b.png", "https://x.example/a%20b.png?sig=1")
    ]
    assert files_of({"url": "https://x.example/", "size": True})[0].size is None
    assert files_of({"link": "https://x.example/", "size": "12"})[0].size == 12
    assert names_of(files_of(value)) == "a b.png"
    assert file_at("https://[x/").name == "file"


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("https://x.example/uploads/a.png", "a.png"),
        ("https://x.example/uploads/a,b.png, https://x.example/uploads/c%20d.png", "a,b.png, c d.png"),
        (
            ["https://x.example/uploads/a.png", "https://x.example/?gf-download=2026%2Fb.png&x=1"],
            "a.png, b.png",
        ),
        ("see https://x.example/uploads/a.png", ""),
        (["https://x.example/uploads/a.png", "https://x.example/home"], ""),
        (["https://x.example/uploads/a.png", 7], ""),
        (None, ""),
    ],
)
def test_links_are_files_where_all_of_them_lead_to_uploads(value: object, names: str) -> None:
    assert names_of(uploads(value)) == names


def test_an_object_is_told_key_by_key_without_what_is_known_or_steers() -> None:
    body = {
        "id": 7,
        "_next": "https://x.example",
        "_email": "ann@example.com",
        "place": {"floor": 2, "token": "no", "plan": {"url": "https://x.example/p.pdf"}},
        "E-mail": ["a", "b"],
    }

    answers, files = told(body, known=("id",), mapped=("_email",))

    assert [(answer.key, answer.label, answer.value) for answer in answers] == [
        ("_email", "_email", "ann@example.com"),
        ("place.floor", "Place / Floor", "2"),
        ("place.plan", "Place / Plan", "p.pdf"),
        ("E-mail", "E-mail", "a, b"),
    ]
    assert names_of(files) == "p.pdf"


def test_what_the_vendor_vouches_for_is_the_sender_unless_the_channel_says_otherwise() -> None:
    answers = [Answer("E-mail", "bo@example.com"), Answer("Message", "Hello")]

    vouched = form_event(answers, {}, vouched="ann@example.com")
    mapped = form_event(answers, {"email": "E-mail"}, vouched="ann@example.com")
    nobody = form_event(answers, {}, vouched="anonymous")

    assert (vouched.sender.email, vouched.answers) == ("ann@example.com", (answers[0],))
    assert (mapped.sender.email, mapped.answers) == ("bo@example.com", ())
    assert nobody == mapped


@pytest.mark.parametrize("name", ["form", "zapier", "tally"])
def test_rules_may_ask_for_answers_that_became_sender_subject_and_message(name: str) -> None:
    told = {"name": "Ann", "email": "ann@example.com", "topic": "Wi-Fi", "message": "Slow", "room": "4"}
    listed = [{"key": key, "label": key, "value": text} for key, text in told.items()]
    body = {
        "form": urlencode(told),
        "zapier": json.dumps(told),
        "tally": json.dumps({"data": {"fields": listed}}),
    }
    kind = "application/x-www-form-urlencoded" if name == "form" else "application/json"
    verified = from_ledger(request(kind, body[name].encode()))
    [part] = source(name).identify(verified)

    event = source(name).parse(verified, part)

    assert [answer.key for answer in event.answers] == ["room"]
    assert {answer.key: answer.value for answer in (*event.answers, *event.placed)} == told


@pytest.mark.parametrize("subject", ["word " * 40 + "end", "One line\nand another"])
def test_a_subject_that_is_cut_stays_among_the_answers(subject: str) -> None:
    answer = Answer("Subject", subject)

    event = form_event([answer, Answer("Message", "Hello")], {})

    assert event.subject != subject
    assert event.answers == (answer,)


def test_a_form_has_something_in_it_but_not_everything() -> None:
    answers = [Answer("q", "a")]

    with pytest.raises(UnreadableError):
        form_event([Answer("q", " ")], {})
    with pytest.raises(UnreadableError):
        form_event(answers * (MAX_ANSWERS + 1), {})
    with pytest.raises(UnreadableError):
        form_event([], {}, files=[file_at("https://x.example/a")] * (MAX_FILES + 1))


def test_who_is_known_otherwise_fills_in_what_no_answer_tells() -> None:
    event = form_event([Answer("Name", "Ann")], {}, sender=Sender("Bo", "bo@example.com"))

    assert event.sender == Sender("Ann", "bo@example.com")


def test_a_field_for_an_address_that_holds_none_is_told_as_an_answer() -> None:
    event = form_event([Answer("E-mail", "later"), Answer("Message", "Hello")], {})

    assert (event.subject, event.body) == ("Hello", "Hello")
    assert event.answers == (Answer("E-mail", "later"),)


HOOK = "/hooks/formspree"


@pytest.mark.parametrize("body", [b"", b"{}", b" null\r\n"])
def test_formspree_gets_the_secret_of_its_rest_hook_back_and_nothing_is_kept(
    body: bytes, redis: Redis
) -> None:
    client = client_of("formspree", redis)
    signed = sign_again(source_of("formspree"), request("application/json", body, X_Hook_Secret="made-up-1"))

    answers = [
        client.post(HOOK, data=body, headers={"X-Hook-Secret": "made-up-1"}),
        client.post(HOOK, data=body, headers=list(signed.headers)),
    ]

    web: Web = client.application.extensions["bridge"]
    assert [answer.headers.get("X-Hook-Secret") for answer in answers] == ["made-up-1"] * 2
    assert [(answer.status_code, answer.data) for answer in answers] == [(200, b"")] * 2
    assert web.ledger.events().events == []


@pytest.mark.parametrize(
    ("secret", "body", "signature"),
    [
        ("made-up-1", b'{"submission": {"message": "hi"}}', None),
        ("made-up-1", b"", "t=1,v1=00"),
        ("made up", b"", None),
        ("a" * 201, b"", None),
        ("", b"", None),
    ],
)
def test_what_only_looks_like_a_rest_hooks_confirmation_opens_nothing(
    secret: str, body: bytes, signature: str | None, redis: Redis
) -> None:
    headers = {"X-Hook-Secret": secret, "Content-Type": "application/json"}
    if signature is not None:
        headers["Formspree-Signature"] = signature

    answer = client_of("formspree", redis).post(HOOK, data=body, headers=headers)

    assert (answer.status_code, answer.headers.get("X-Hook-Secret")) == (401, None)


def test_a_rest_hook_is_confirmed_behind_the_other_locks_only() -> None:
    formspree = source("formspree")
    locked = type(formspree)(replace(formspree.options, locks=Locks(tokens=(b"token-for-tests-0001",))))
    bare = request("application/json", b"", X_Hook_Secret="made-up-1")

    with pytest.raises(Unauthorized):
        locked.verify(bare)
    assert locked.verify(replace(bare, path_token="token-for-tests-0001")).request.path_token
