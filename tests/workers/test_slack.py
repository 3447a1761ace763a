"""Every way of asking for a ticket in Slack, through the real app and a worker: one ticket and one reply."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from sandbox.app import create_app
from sandbox.options import SandboxOptions
from sandbox.server import running
from service.core.ledger import State
from service.core.slack.api import SlackApi
from service.core.slack.modal import CALLBACK
from service.core.store import connect
from tests.workers.bench import ELSEWHERE, LOCATION, URLENCODED
from tests.workers.desk import interact, post, send, work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from werkzeug.test import TestResponse

    from service.core.ledger import Event
    from tests.slack_api import SlackStandIn
    from tests.workers.bench import Bench

TS = "1795478390.000100"
MESSAGE = {"ts": TS, "user": "U1", "text": "No hot water, <@U2>"}
MENTION = {**MESSAGE, "type": "app_mention", "text": "<@UBOT> No hot water, <@U2>", "channel": "C1"}
USER = {"id": "U1", "name": "ann", "team_id": "T1"}


def command(bench: Bench, slack: SlackStandIn, text: str = "No hot water") -> TestResponse:
    fields = {
        "command": "/ticket",
        "text": text,
        "team_id": "T1",
        "channel_id": "C1",
        "user_id": "U1",
        "user_name": "ann",
        "trigger_id": f"13.{text}",
        "response_url": f"{slack.base}/respond",
    }
    return post(bench, URLENCODED, urlencode(fields).encode())


def reaction(bench: Bench, user: str = "U3", event: str = "Ev1", **headers: str) -> TestResponse:
    item = {"type": "message", "channel": "C1", "ts": TS}
    inner = {"type": "reaction_added", "user": user, "reaction": "ticket", "item": item}
    return send(bench, inner, event, **headers)


def submitted(bench: Bench, slack: SlackStandIn, **chosen: str) -> TestResponse:
    """Submit the modal that was opened last, as it was filled in or with more."""
    view = json.loads(slack.called("views.open")[-1]["view"])
    values: dict[str, Any] = {}
    for block in view["blocks"]:
        element, name = block["element"], block["block_id"]
        value = {"type": element["type"]}
        value["value"] = chosen.get(name, element.get("initial_value"))
        value["selected_user"] = element.get("initial_user")
        option = element.get("initial_option")
        value["selected_option"] = {"value": chosen[name]} if name in chosen else option
        values[name] = {element["action_id"]: value}
    back = {name: view[name] for name in ("callback_id", "private_metadata")}
    sent = {"id": "V1", **back, "state": {"values": values}}
    return interact(bench, {"type": "view_submission", "user": USER, "team": {"id": "T1"}, "view": sent})


def by_command(bench: Bench, slack: SlackStandIn) -> TestResponse:
    return command(bench, slack)


def by_command_alone(bench: Bench, slack: SlackStandIn) -> TestResponse:
    assert command(bench, slack, "").status_code == 200
    return submitted(bench, slack, title="No hot water")


def by_global_shortcut(bench: Bench, slack: SlackStandIn) -> TestResponse:
    opening = interact(bench, {"type": "shortcut", "trigger_id": "13.1", "user": USER})
    assert opening.status_code == 200
    return submitted(bench, slack, title="No hot water")


def by_message_shortcut(bench: Bench, slack: SlackStandIn) -> TestResponse:
    about = {"channel": {"id": "C1"}, "message": MESSAGE, "response_url": f"{slack.base}/respond"}
    opening = interact(bench, {"type": "message_action", "trigger_id": "13.1", "user": USER, **about})
    assert opening.status_code == 200
    return submitted(bench, slack)


def by_reaction(bench: Bench, slack: SlackStandIn) -> TestResponse:
    slack.messages = [MESSAGE]
    return reaction(bench)


def by_mention(bench: Bench, slack: SlackStandIn) -> TestResponse:
    return send(bench, MENTION)


def by_direct_message(bench: Bench, slack: SlackStandIn) -> TestResponse:
    return send(bench, {**MESSAGE, "type": "message", "channel_type": "im", "channel": "D1"})


def by_step(bench: Bench, slack: SlackStandIn, **inputs: str) -> TestResponse:
    inner = {
        "type": "function_executed",
        "function": {"callback_id": CALLBACK},
        "inputs": {"title": "No hot water", "requester": "U1", **inputs},
        "function_execution_id": "Fx1",
        "bot_access_token": "xwfp-1",
    }
    return send(bench, inner)


WAYS = [
    *(by_command, by_command_alone, by_global_shortcut, by_message_shortcut),
    *(by_reaction, by_mention, by_direct_message, by_step),
]


@pytest.mark.parametrize("way", WAYS)
def test_each_way_makes_one_ticket_and_one_reply(
    way: Callable[[Bench, SlackStandIn], TestResponse], bench: Bench, slack: SlackStandIn
) -> None:
    answers = [way(bench, slack) for _ in range(2)]

    (event,) = work(bench)

    assert [answer.headers["X-Bridge-Status"] for answer in answers] == ["accepted", "duplicate"]
    assert event.state is State.DELIVERED
    (ticket,) = bench.tickets()
    assert "No hot water" in ticket["text"]
    assert ticket["number"] == event.ticket_number
    (told,) = slack.told()
    assert str(event.ticket_number) in str(told)
    assert event.marker in str(told)
    # Whoever asks is found by the address that Slack has of them.
    assert event.email == "ann@example.com"


def test_one_message_makes_one_ticket_whoever_points_it_out(bench: Bench, slack: SlackStandIn) -> None:
    slack.messages = [MESSAGE]

    answers = [reaction(bench, "U3", "Ev1"), reaction(bench, "U4", "Ev2"), send(bench, MENTION, "Ev3")]
    answers.append(by_message_shortcut(bench, slack))
    work(bench)

    statuses = [answer.headers["X-Bridge-Status"] for answer in answers]
    assert statuses == ["accepted", "duplicate", "duplicate", "duplicate"]
    assert len(bench.tickets()) == 1
    assert [(told["channel"], told["thread_ts"]) for told in slack.told()] == [("C1", TS)]


def test_an_event_that_slack_sends_again_is_known(bench: Bench, slack: SlackStandIn) -> None:
    slack.messages = [MESSAGE]
    retries = [
        {"X_Slack_Retry_Num": str(number), "X_Slack_Retry_Reason": "http_timeout"} for number in (1, 2, 3)
    ]

    answers = [reaction(bench), *(reaction(bench, **retry) for retry in retries)]
    work(bench)

    assert [answer.status_code for answer in answers] == [200] * 4
    assert [answer.headers["X-Bridge-Status"] for answer in answers[1:]] == ["duplicate"] * 3
    assert len(bench.tickets()) == len(slack.told()) == 1


def test_a_retry_whose_first_delivery_never_arrived_is_taken(bench: Bench, slack: SlackStandIn) -> None:
    answer = send(bench, MENTION, X_Slack_Retry_Num="1", X_Slack_Retry_Reason="connection_failed")

    assert answer.headers["X-Bridge-Status"] == "accepted"


def test_the_ticket_has_the_type_and_location_that_were_chosen(bench: Bench, slack: SlackStandIn) -> None:
    interact(bench, {"type": "shortcut", "trigger_id": "13.1", "user": USER})

    submitted(bench, slack, title="No hot water", type="internet", location="elsewhere")
    work(bench)

    (ticket,) = bench.tickets()
    assert (ticket["type"], ticket["locationRef"]) == ("internet", ELSEWHERE)


def test_a_location_that_goes_after_it_was_chosen_is_a_dead_letter_that_says_so(
    bench: Bench, slack: SlackStandIn
) -> None:
    interact(bench, {"type": "shortcut", "trigger_id": "13.1", "user": USER})
    submitted(bench, slack, title="No hot water", location="elsewhere")
    bench.channels = bench.channels.replace("elsewhere =", "uptown =")

    (event,) = work(bench)

    assert (event.state, event.code) == (State.DEAD, "unmappable")
    assert "'elsewhere', which is not in [locations]" in event.reason
    assert "could not make a ticket" in str(slack.told())


def test_people_whom_a_message_mentions_are_named(bench: Bench, slack: SlackStandIn) -> None:
    slack.users["U2"] = {"profile": {"real_name": "Bob Roe"}}

    send(bench, {**MENTION, "text": "<@UBOT> ask <@U2>, <@U9> or <#C9> about <@U3|eve>"})
    work(bench)

    (ticket,) = bench.tickets()
    assert "ask @Bob Roe, @U9 or #C9 about @eve" in ticket["text"]


def test_a_step_answers_its_workflow_with_its_own_token(bench: Bench, slack: SlackStandIn) -> None:
    by_step(bench, slack, type="internet", location="elsewhere")

    (event,) = work(bench)

    name, arguments, token = next(call for call in slack.calls if call[0].startswith("functions."))
    assert (name, token) == ("functions.completeSuccess", "Bearer xwfp-1")
    assert arguments["function_execution_id"] == "Fx1"
    assert json.loads(arguments["outputs"]) == {"ticket_number": event.ticket_number, "ref": event.marker}
    assert bench.tickets()[0]["locationRef"] == ELSEWHERE


def test_a_step_that_makes_no_ticket_fails_and_its_requester_hears_of_what_becomes_of_it(
    bench: Bench, slack: SlackStandIn
) -> None:
    by_step(bench, slack, location="uptown")
    (dead,) = work(bench)
    failed = slack.called("functions.completeError")
    slack.fail("functions.completeSuccess", error="execution_not_in_running_state")
    bench.channels = bench.channels.replace("elsewhere =", "uptown =")
    bench.ledger.operate(dead.id, "replay", by="test")

    (delivered,) = work(bench)

    assert dead.state is State.DEAD
    assert ["could not make a ticket" in call["error"] for call in failed] == [True]
    (told,) = slack.called("chat.postMessage")
    assert told["channel"] == "U1"
    assert f"#{delivered.ticket_number}" in told["text"]


def test_the_token_of_a_step_is_nowhere_in_the_ledger(bench: Bench, slack: SlackStandIn) -> None:
    by_step(bench, slack)
    work(bench)

    store: Any = bench.redis
    for key in store.scan_iter("*"):
        assert b"xwfp-1" not in store.dump(key)


def test_a_modal_that_cannot_be_saved_stays_open_with_what_was_written(
    bench: Bench, slack: SlackStandIn
) -> None:
    command(bench, slack, "")
    away = replace(bench, redis=connect("unix:///nowhere/at/all.sock"))

    modal = submitted(away, slack, title="Lift")

    assert (modal.status_code, modal.get_json()) == (
        200,
        {"response_action": "errors", "errors": {"title": "Could not save, please try again"}},
    )
    assert "X-Bridge-Event" not in modal.headers
    assert submitted(bench, slack, title="Lift").headers["X-Bridge-Status"] == "accepted"


def test_all_else_that_cannot_be_saved_is_left_to_slacks_own_error(bench: Bench, slack: SlackStandIn) -> None:
    away = replace(bench, redis=connect("unix:///nowhere/at/all.sock"))

    answers = [command(away, slack), send(away, MENTION), post(away, URLENCODED, b"payload=[]")]

    assert [answer.status_code for answer in answers] == [503] * 3
    assert [answer.mimetype for answer in answers] == ["application/problem+json"] * 3


class Holding:
    """Holds every ticket that is posted until it is let go."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app
        self.arrived = threading.Event()
        self.let_go = threading.Event()

    def __call__(self, environ: dict[str, Any], start: Callable[..., object]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "POST":
            self.arrived.set()
            self.let_go.wait(60)
        return self._app(environ, start)


@pytest.fixture
def holding(bench: Bench) -> Iterator[Holding]:
    app = create_app(SandboxOptions(locations={LOCATION: "Downtown"}, rate=0))
    held = Holding(app.wsgi_app)
    app.wsgi_app = held  # type: ignore[method-assign, assignment]
    with running(app) as base:
        bench.base, bench.timeout = base, 60
        yield held
        held.let_go.set()


def test_slack_is_answered_while_spacebring_still_holds_the_ticket(
    bench: Bench, slack: SlackStandIn, holding: Holding
) -> None:
    first = command(bench, slack, "The first").headers["X-Bridge-Event"]
    delivered: list[Event] = []
    worker = threading.Thread(target=lambda: delivered.append(bench.deliver(first)))
    worker.start()
    assert holding.arrived.wait(60)

    answers = [command(bench, slack, "The second"), send(bench, MENTION), by_global_shortcut(bench, slack)]

    assert [answer.headers["X-Bridge-Status"] for answer in answers] == ["accepted"] * 3
    assert delivered == []
    holding.let_go.set()
    worker.join(60)
    assert [event.state for event in delivered] == [State.DELIVERED]


def test_while_slack_holds_every_call_that_is_allowed_the_others_are_answered(
    bench: Bench, slack: SlackStandIn
) -> None:
    slack.held["views.open"] = threading.Event()
    opening = {"type": "shortcut", "trigger_id": "13.1", "user": USER}
    api = SlackApi("xoxb", slack.base, timeout=60)
    people = [threading.Thread(target=api.call, args=("views.open", {})) for _ in range(3)]
    for person in people:
        person.start()
    for _ in people:
        assert slack.arrived.get(timeout=60) == "views.open"

    fourth, other = interact(bench, opening), command(bench, slack)

    assert fourth.status_code == 503
    assert other.headers["X-Bridge-Status"] == "accepted"
    assert len(slack.called("views.open")) == 3
    slack.held["views.open"].set()
    for thread in (*people, *(thread for thread in threading.enumerate() if thread.name == "slack")):
        thread.join(60)
    assert interact(bench, opening).status_code == 200
