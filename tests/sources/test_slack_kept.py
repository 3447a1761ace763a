"""What is stored of a request from Slack: nothing that anybody could write to people with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.errors import Unauthorized, UnreadableError, VendorRefused
from service.core.registry import discover
from service.core.request import Headers, InboundRequest
from service.core.signing import Locks, from_ledger
from service.core.slack.keeping import kept
from service.core.slack.modal import CALLBACK
from service.core.source import Part, Receipt, SourceOptions

if TYPE_CHECKING:
    from service.core.source import Memory, Source
    from tests.slack_api import SlackStandIn

NOW = 1_795_478_400.0
FORM = "application/x-www-form-urlencoded"
URL = "https://hooks.slack.com/commands/T1/22/sekret"
DONE = Receipt("sb-abc", 7)
STEP = {
    "type": "function_executed",
    "function": {"callback_id": CALLBACK},
    "inputs": {"title": "Cold", "requester": "U1"},
    "function_execution_id": "Fx1",
    "bot_access_token": "xwfp-sekret",
}


def source(locks: Locks, base: str = "", now: float = NOW, token: str = "") -> Source:
    options = SourceOptions("slack", locks, {}, api_url=base, api_token=token)
    return discover()["slack"](options, clock=lambda: now)


def request(kind: str, body: bytes) -> InboundRequest:
    return InboundRequest("POST", "https://b.example/hooks/slack", Headers.of([("Content-Type", kind)]), body)


def command(url: str = URL) -> InboundRequest:
    fields = {"command": "/ticket", "text": "cold", "user_id": "U1", "response_url": url, "token": "sekret"}
    return request(FORM, urlencode(fields).encode())


def step(**more: object) -> InboundRequest:
    body = {"type": "event_callback", "team_id": "T1", "event": {**STEP, **more}, "token": "sekret"}
    return request("application/json", json.dumps(body).encode())


LOCKS = [
    Locks(secrets=(b"new", b"old")),
    Locks(tokens=(b"token-of-the-channel",)),
    Locks(basic=(b"user:password",)),
]


@pytest.mark.parametrize("locks", LOCKS)
def test_a_command_is_answered_by_its_own_url_whatever_lock_there_is(
    locks: Locks, slack: SlackStandIn, memory: Memory
) -> None:
    own = source(locks, slack.base)

    stored = own.kept(command(f"{slack.base}/respond"))
    own.tell(from_ledger(stored), DONE, memory)

    assert b"respond" not in stored.body.replace(b"response_url", b"")
    assert b"sekret" not in stored.body
    assert len(slack.called("respond")) == 1


@pytest.mark.parametrize("locks", LOCKS)
def test_a_step_is_answered_by_its_own_token_whatever_lock_there_is(
    locks: Locks, slack: SlackStandIn, memory: Memory
) -> None:
    own = source(locks, slack.base)

    stored = own.kept(step())
    own.tell(from_ledger(stored), DONE, memory)

    assert b"sekret" not in stored.body
    ((method, _, token),) = slack.calls
    assert (method, token) == ("functions.completeSuccess", "Bearer xwfp-sekret")


def test_where_a_steps_token_has_ended_the_apps_serves(slack: SlackStandIn, memory: Memory) -> None:
    stored = from_ledger(source(LOCKS[0]).kept(step()))

    source(LOCKS[0], slack.base, NOW + 901, "xoxb").tell(stored, DONE, memory)
    source(LOCKS[0], slack.base, NOW + 901).tell(stored, DONE, memory)

    assert [token for _, _, token in slack.calls] == ["Bearer xoxb"]


@pytest.mark.parametrize(
    ("requester", "code"), [("U1", "invalid_auth"), ("", "execution_not_in_running_state")]
)
def test_a_step_that_nobody_can_be_told_of_is_said_to_the_log(
    requester: str, code: str, slack: SlackStandIn, memory: Memory
) -> None:
    slack.fail("functions.completeSuccess", error=code)
    own = source(LOCKS[0], slack.base, token="xoxb")
    stored = from_ledger(own.kept(step(inputs={"title": "Cold", "requester": requester})))

    with pytest.raises(VendorRefused, match=code):
        own.tell(stored, DONE, memory)


def test_a_step_without_an_event_id_is_known_by_its_run() -> None:
    (part,) = source(LOCKS[0]).identify(from_ledger(step()))

    assert [key.value for key in part.keys] == ["function:Fx1"]


def test_without_any_lock_nothing_is_kept_to_answer_with() -> None:
    public = source(Locks())

    assert parse_qs(public.kept(command()).body.decode(), keep_blank_values=True)["response_url"] == [""]
    assert json.loads(public.kept(step()).body)["event"]["bot_access_token"] == ""
    assert "bot_access_token" not in json.loads(public.kept(request("application/json", b"{}")).body)


SECRETS = {"token": "sekret", "response_url": URL, "bot_access_token": "xwfp-sekret"}
UNREADABLE = [
    (FORM, urlencode({"payload": json.dumps(SECRETS) + "}"}).encode()),
    (FORM, urlencode({"payload": json.dumps(SECRETS).replace("/", "\\/") + "}"}).encode()),
    (FORM, urlencode({"payload": json.dumps(SECRETS)[:-3]}).encode()),
    (FORM, b"&".join([urlencode({"text": "x", **SECRETS}).encode(), *[b"a=b"] * 6000])),
    ("application/json", json.dumps({**SECRETS, "event": SECRETS}).encode() + b"}"),
    ("application/json", json.dumps({"event": SECRETS}, indent=1).encode()[:-20]),
    ("application/json", json.dumps(json.dumps(SECRETS)).encode()),
    ("text/plain", f"see {URL} and xoxb-1-sekret, <{URL}|this>".encode()),
]


@pytest.mark.parametrize(("kind", "body"), UNREADABLE)
def test_what_cannot_be_read_is_kept_without_what_looks_like_a_secret(kind: str, body: bytes) -> None:
    assert b"sekret" in body

    assert b"sekret" not in source(LOCKS[0]).kept(request(kind, body)).body


def test_of_what_cannot_be_read_the_rest_is_kept() -> None:
    body = b'{"text": "the \\"token\\" is lost", "token": "abc", "more": "no hot water"'

    kept_body = source(LOCKS[0]).kept(request("application/json", body)).body

    assert kept_body == b'{"text": "the \\"token\\" is lost", "token": "", "more": "no hot water"'


def test_what_cannot_be_read_needs_its_signature_too() -> None:
    own = source(LOCKS[0])
    crowded = request(FORM, b"&".join([b"ssl_check=1"] * 6000))

    with pytest.raises(Unauthorized):
        own.verify(crowded)
    assert own.verify(own.sign(crowded, b"old")).request.body == crowded.body


def test_a_command_of_nothing_but_marks_is_unreadable() -> None:
    marks = from_ledger(request(FORM, urlencode({"command": "/ticket", "text": "<|>"}).encode()))

    with pytest.raises(UnreadableError, match="without a text"):
        source(LOCKS[0]).parse(marks, Part(()))


@given(st.binary(max_size=300), st.sampled_from([FORM, "application/json"]))
def test_whatever_comes_can_be_kept(body: bytes, kind: str) -> None:
    once = kept(request(kind, body), [b"s"], NOW)

    assert once.content_type == kind


def test_what_is_kept_of_a_readable_request_is_read_as_before() -> None:
    own = source(LOCKS[0])
    for given_request in (command(), step()):
        verified, stored = from_ledger(given_request), from_ledger(own.kept(given_request))
        assert own.parse(stored, Part(())) == own.parse(verified, Part(()))
