"""Slack's modal: what it offers, what comes back of it, and who is told. The API is a stand-in, over HTTP."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.channels import TICKET_TYPES, load_config
from service.core.errors import UnreadableError
from service.core.events import Sender
from service.core.registry import discover
from service.core.request import Headers, InboundRequest
from service.core.signing import Locks, Verified, from_ledger
from service.core.slack.modal import CALLBACK, places, types, view_of
from service.core.slack.submissions import submission_of
from service.core.source import Choices, Part, Receipt, Reply, SourceOptions
from service.core.wiring import open_doors

if TYPE_CHECKING:
    from service.core.events import InboundEvent
    from service.core.source import Memory, Source
    from tests.slack_api import SlackStandIn

TS = "1795478390.000100"
DONE = Receipt("sb-abc", 7)
SHORTCUT = {"type": "shortcut", "trigger_id": "13.1", "user": {"id": "U1"}}
TWO = Choices(("Downtown", "North"), "other", "North")


def source(slack: SlackStandIn, *, token: str = "xoxb", choices: Choices = TWO) -> Source:
    options = SourceOptions(
        "slack", Locks(secrets=(b"s",)), {}, api_url=slack.base, api_token=token, choices=choices
    )
    return discover()["slack"](options)


def posted(slack: SlackStandIn, fields: dict[str, str]) -> Verified:
    headers = Headers.of([("Content-Type", "application/x-www-form-urlencoded")])
    request = InboundRequest("POST", "https://b.example/hooks/slack", headers, urlencode(fields).encode())
    return from_ledger(source(slack).kept(request))


def interaction(slack: SlackStandIn, payload: dict[str, Any]) -> Verified:
    return posted(slack, {"payload": json.dumps(payload)})


def submission(
    slack: SlackStandIn, about: dict[str, Any] | None = None, requester: str = "U1", **chosen: str | None
) -> Verified:
    values: dict[str, Any] = {
        "title": {"value": {"value": "Lift"}},
        "requester": {"value": {"selected_user": requester}},
    }
    for block, value in chosen.items():
        values[block] = {"value": {"type": "static_select", "selected_option": value and {"value": value}}}
    view = {
        "id": "V1",
        "callback_id": CALLBACK,
        "private_metadata": json.dumps(about or {}),
        "state": {"values": values},
    }
    user = {"id": "U3", "name": "bob", "team_id": "T1"}
    secrets = {"token": "deprecated", "response_urls": [{"response_url": f"{slack.base}/respond"}]}
    return interaction(slack, {"type": "view_submission", "user": user, "view": view, **secrets})


def completed(slack: SlackStandIn, verified: Verified, memory: Memory) -> InboundEvent:
    own = source(slack)
    return own.complete(verified, Part(()), own.parse(verified, Part(())), memory)


def opened(slack: SlackStandIn) -> dict[str, Any]:
    (call,) = slack.called("views.open")
    assert call["trigger_id"] == "13.1"
    view: dict[str, Any] = json.loads(call["view"])
    return view


def elements(view: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {block["block_id"]: block["element"] for block in view["blocks"]}


def initial(view: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for block, element in elements(view).items():
        for name in ("initial_value", "initial_user", "initial_option"):
            if name in element:
                found[block] = element[name]["value"] if name == "initial_option" else element[name]
    return found


def test_a_messages_shortcut_opens_a_modal_filled_in_with_it(slack: SlackStandIn) -> None:
    message = {"text": "No <https://a.example|water>\nat all", "ts": TS, "thread_ts": "1.1", "user": "U1"}
    shortcut = {"type": "message_action", "trigger_id": "13.1", "channel": {"id": "C1"}, "message": message}

    answer = source(slack).handshake(interaction(slack, {**shortcut, "user": {"id": "U3"}}))

    view = opened(slack)
    assert answer == Reply("")
    assert initial(view) == {
        "title": "No water (https://a.example)",
        "description": "No water (https://a.example)\nat all",
        "type": "other",
        "location": "North",
        "requester": "U1",
    }
    assert json.loads(view["private_metadata"]) == {"c": "C1", "ts": TS, "t": "1.1", "m": []}


def test_a_shortcut_and_a_command_alone_open_an_empty_modal(slack: SlackStandIn) -> None:
    usual = {"type": "other", "location": "North"}

    assert source(slack).handshake(interaction(slack, SHORTCUT)) == Reply("")
    assert initial(opened(slack)) == {**usual, "requester": "U1"}
    slack.calls.clear()
    alone = {"command": "/ticket", "text": " ", "trigger_id": "13.1"}
    assert source(slack).handshake(posted(slack, alone)) == Reply("")
    assert initial(opened(slack)) == usual


def test_the_modal_keeps_to_what_slack_allows(slack: SlackStandIn) -> None:
    many = Choices(tuple(f"Location {number}" for number in range(150)))
    people = " ".join(f"<@U{number}>" for number in range(50))
    message = {"text": people * 40, "ts": TS, "user": "U1"}

    view = view_of({"message": message}, many)

    found = elements(view)
    assert max(len(view[name]["text"]) for name in ("title", "submit", "close")) <= 24
    assert len(view["private_metadata"]) <= 3000
    assert len(json.loads(view["private_metadata"])["m"]) == 10
    assert len(found["title"]["initial_value"]) <= found["title"]["max_length"] == 150
    assert len(found["description"]["initial_value"]) <= found["description"]["max_length"] == 3000
    for select in (found["type"], found["location"]):
        assert 1 <= len(select["options"]) <= 100
        assert all(len(option["text"]["text"]) <= 75 for option in select["options"])
        assert all(len(option["value"]) <= 75 for option in select["options"])


def test_every_type_of_ticket_can_be_chosen_and_reads_as_words() -> None:
    assert list(types()) == list(TICKET_TYPES)
    assert types()["accountAndBilling"] == "Account and billing"


def test_where_there_is_one_location_there_is_nothing_to_choose() -> None:
    assert "location" not in elements(view_of({}, Choices(("Downtown",))))
    assert places(Choices(("Downtown", "x" * 76))) == {"Downtown": "Downtown"}


CHANNEL = """
[spacebring]
location = "north"
[locations]
downtown = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
north = "9a0e8d35-2b2a-4f6e-8d16-1f6f6d1f2c11"
[[channels]]
name = "slack"
source = "slack"
secret = "signing-secret"
type = "repairAndMaintenance"
"""


@pytest.mark.parametrize(
    ("rule", "kind", "location"),
    [
        ("", "repairAndMaintenance", "north"),
        ('type = "internet"', "", "north"),
        ('location = "downtown"', "repairAndMaintenance", ""),
    ],
)
def test_what_the_ticket_has_otherwise_is_chosen_already_unless_rules_decide(
    rule: str, kind: str, location: str
) -> None:
    rules = f"[[channels.rules]]\nmatch = {{ text = 'wifi' }}\n{rule}" if rule else ""

    door = open_doors(load_config(CHANNEL + rules, environ={}))["slack"]

    assert door.source.options.choices == Choices(("downtown", "north"), kind, location)


def test_where_no_modal_opens_for_a_command_the_person_is_told_what_to_write(slack: SlackStandIn) -> None:
    slack.fail("views.open", error="expired_trigger_id")
    command = {"command": "/ticket", "text": "", "trigger_id": "13.1"}

    answers = [
        source(slack).handshake(posted(slack, command)),
        source(slack, token="").handshake(posted(slack, command)),
        source(slack).handshake(posted(slack, {**command, "trigger_id": ""})),
        source(slack).handshake(posted(slack, {**command, "text": "help"})),
    ]

    assert all(answer is not None and "`/ticket" in answer.body for answer in answers)
    assert len(slack.calls) == 1


def test_where_no_modal_opens_for_a_shortcut_slack_shows_its_error(slack: SlackStandIn) -> None:
    slack.fail("views.open", error="expired_trigger_id")

    answers = [
        source(slack).handshake(interaction(slack, SHORTCUT)),
        source(slack, token="").handshake(interaction(slack, SHORTCUT)),
    ]

    assert [answer is not None and answer.status for answer in answers] == [503, 503]


def test_a_submission_without_a_title_says_so_where_it_is_missing(slack: SlackStandIn) -> None:
    bare = interaction(slack, {"type": "view_submission", "view": {"id": "V1", "callback_id": CALLBACK}})

    answer = source(slack).handshake(bare)

    assert answer is not None
    assert json.loads(answer.body)["response_action"] == "errors"
    assert list(json.loads(answer.body)["errors"]) == ["title"]
    assert source(slack).identify(bare) == []


def test_what_can_no_longer_be_chosen_is_said_where_it_was_chosen(slack: SlackStandIn) -> None:
    stale = submission(slack, type="broadband", location="Uptown")

    answer = source(slack).handshake(stale)

    assert answer is not None
    errors = json.loads(answer.body)["errors"]
    assert errors.keys() == {"type", "location"}
    assert "'Uptown' can no longer be chosen" in errors["location"]
    assert source(slack).identify(stale) == []


def test_what_is_chosen_goes_into_the_event(slack: SlackStandIn, memory: Memory) -> None:
    chosen = submission(slack, type="internet", location="Downtown")

    assert source(slack).handshake(chosen) is None
    found = completed(slack, chosen, memory)

    assert (found.type, found.location) == ("internet", "Downtown")
    nothing = completed(slack, submission(slack, type=None, location=None), memory)
    assert (nothing.type, nothing.location) == ("", "")


def test_the_requester_of_a_submission_is_the_one_chosen(slack: SlackStandIn, memory: Memory) -> None:
    found = completed(slack, submission(slack), memory)

    assert (found.sender, found.subject) == (Sender("Ann Lee", "ann@example.com"), "Lift")
    assert completed(slack, submission(slack, requester="U3"), memory).sender == Sender("bob")


def test_whom_the_message_mentions_is_named(slack: SlackStandIn, memory: Memory) -> None:
    slack.users["U2"] = {"real_name": "Bo \\1 Lee"}
    own = source(slack)
    message = {"text": "<@U2> and <@U22>: <@U1> is cold", "ts": TS, "user": "U3"}
    own.handshake(interaction(slack, {**SHORTCUT, "type": "message_action", "message": message}))
    view = opened(slack)
    values = {
        "title": {"value": {"value": initial(view)["title"]}},
        "description": {"value": {"value": "@U1 only"}},
    }
    back = {"id": "V1", "callback_id": CALLBACK, "private_metadata": view["private_metadata"]}
    sent = {"type": "view_submission", "user": {"id": "U3"}, "view": {**back, "state": {"values": values}}}

    found = completed(slack, interaction(slack, sent), memory)

    assert found.subject == "@Bo \\1 Lee and @U22: @Ann Lee is cold"
    assert found.body == "@Ann Lee only"


def test_who_was_cut_out_of_the_text_is_not_looked_up(slack: SlackStandIn, memory: Memory) -> None:
    completed(slack, submission(slack, {"m": ["U5", 5]}), memory)
    completed(slack, submission(slack, {"m": "U5"}), memory)

    assert [call["user"] for call in slack.called("users.info")] == ["U1"]


def test_a_submission_is_answered_in_the_thread_that_it_is_about_or_to_the_person(
    slack: SlackStandIn, memory: Memory
) -> None:
    source(slack).tell(submission(slack, {"c": "C1", "ts": TS, "t": "1.1"}), DONE, memory)
    source(slack).tell(submission(slack, {"c": "C1", "ts": TS}), DONE, memory)
    source(slack).tell(submission(slack, {}), DONE, memory)
    source(slack, token="").tell(submission(slack, {}), DONE, memory)

    assert [(said["channel"], said.get("thread_ts")) for said in slack.called("chat.postMessage")] == [
        ("C1", "1.1"),
        ("C1", TS),
        ("U3", None),
    ]


def test_what_is_kept_of_a_submission_has_no_secret(slack: SlackStandIn) -> None:
    body = submission(slack).request.body

    assert b"deprecated" not in body
    assert b"respond" not in body


def test_a_modal_closes_once_its_ticket_is_safe(slack: SlackStandIn) -> None:
    assert source(slack).reply(submission(slack), "sb-abc", "accepted") == Reply("")
    many = posted(slack, {f"field{number}": "b" for number in range(6000)})
    assert source(slack).reply(many, "", "") == Reply("")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(JSON, JSON, JSON, JSON)
def test_whatever_a_submission_holds_it_is_read_or_unreadable(
    metadata: object, values: object, user: object, identity: object
) -> None:
    view = {"id": identity, "callback_id": CALLBACK, "private_metadata": json.dumps(metadata)}
    payload = {"type": "view_submission", "user": user, "view": {**view, "state": {"values": values}}}

    try:
        found = submission_of(payload)
    except UnreadableError:
        assert not (isinstance(identity, str) and identity)
    else:
        assert found is not None
        assert found.errors(TWO).keys() >= {"title"} - ({"title"} if found.title else set())
        assert found.keys
        assert found.event().kind == "message"
