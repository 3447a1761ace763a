"""Slack: what is read from its API, and who is told what. The API is a stand-in, over HTTP."""

from __future__ import annotations

import json
import socket
import threading
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, urlencode

import pytest

from service.core.errors import UnreadableError, VendorAway, VendorRefused
from service.core.events import Sender
from service.core.memory import RedisMemory
from service.core.registry import discover
from service.core.request import Headers, InboundRequest
from service.core.sealing import seal, unseal
from service.core.signing import Locks, Verified, from_ledger
from service.core.slack.api import SlackApi, respond
from service.core.slack.mrkdwn import message_text, plain
from service.core.source import Part, Receipt, SourceOptions
from tests.slack_api import slack_running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from service.core.events import InboundEvent
    from service.core.source import Memory, Source
    from tests.slack_api import SlackStandIn

NOW = 1_795_478_400.0
TS = "1795478390.000100"
DONE = Receipt("sb-abc", 7)
DEAD = Receipt("sb-abc", None)


def source(slack: SlackStandIn, *, token: str = "xoxb", now: float = NOW, secret: bytes = b"s") -> Source:
    options = SourceOptions(
        "slack", Locks(secrets=(secret,)), {}, api_url=slack.base, api_token=token, reaction="ticket"
    )
    return discover()["slack"](options, clock=lambda: now)


def request(kind: str, body: bytes) -> InboundRequest:
    return InboundRequest("POST", "https://b.example/hooks/slack", Headers.of([("Content-Type", kind)]), body)


def event(inner: dict[str, Any], **more: object) -> Verified:
    grants = [{"user_id": "UBOT"}]
    body = {"type": "event_callback", "team_id": "T1", "event_id": "Ev1", "authorizations": grants, **more}
    return from_ledger(request("application/json", json.dumps({**body, "event": inner}).encode()))


def mention(**more: object) -> Verified:
    inner = {"type": "app_mention", "user": "U1", "text": "<@UBOT>: cold", "ts": TS, "channel": "C1"}
    return event({**inner, **more})


def reaction(**more: object) -> Verified:
    item = {"type": "message", "channel": "C1", "ts": TS}
    return event({"type": "reaction_added", "user": "U3", "reaction": "ticket", "item": item, **more})


def command(slack: SlackStandIn, **more: str) -> Verified:
    fields = {"command": "/ticket", "text": "cold", "team_id": "T1", "channel_id": "C1", "user_id": "U1"}
    fields |= {"user_name": "ann", "response_url": f"{slack.base}/respond", "token": "deprecated", **more}
    body = urlencode(fields).encode()
    return from_ledger(source(slack).kept(request("application/x-www-form-urlencoded", body)))


def completed(slack: SlackStandIn, verified: Verified, memory: Memory) -> InboundEvent:
    own = source(slack)
    return own.complete(verified, Part(()), own.parse(verified, Part(())), memory)


def test_whoever_mentions_us_is_looked_up_once(slack: SlackStandIn, memory: Memory) -> None:
    events = [completed(slack, mention(), memory) for _ in range(2)]

    assert [(found.sender, found.body) for found in events] == [
        (Sender("Ann Lee", "ann@example.com"), "cold")
    ] * 2
    assert slack.called("users.info") == [{"user": "U1"}]
    assert slack.calls[0][2] == "Bearer xoxb"


def test_whoever_gives_a_command_is_looked_up(slack: SlackStandIn, memory: Memory) -> None:
    assert completed(slack, command(slack), memory).sender == Sender("Ann Lee", "ann@example.com")


@pytest.mark.parametrize(
    ("user", "sender"),
    [
        ({"name": "ann"}, Sender("ann", "")),
        ({"profile": {"email": "not an address"}}, Sender("ann", "")),
        ({"real_name": "Ann", "profile": [], "x": None}, Sender("Ann", "")),
        ("ann", Sender("ann", "")),
    ],
)
def test_who_hides_an_address_has_none(
    user: object, sender: Sender, slack: SlackStandIn, memory: Memory
) -> None:
    slack.users["U1"] = user

    assert completed(slack, command(slack), memory).sender == sender


def test_who_is_not_known_is_not_asked_for_again_soon(slack: SlackStandIn, memory: Memory) -> None:
    slack.users.clear()

    senders = [completed(slack, command(slack), memory).sender for _ in range(2)]

    assert senders == [Sender("ann", "")] * 2
    assert len(slack.called("users.info")) == 1


def test_a_look_up_that_fails_holds_nothing_up(slack: SlackStandIn, memory: Memory) -> None:
    slack.fail("users.info", 429, "ratelimited", Retry_After="30")

    assert completed(slack, command(slack), memory).sender == Sender("ann", "")


def test_nobody_is_looked_up_without_a_user_or_a_token(slack: SlackStandIn, memory: Memory) -> None:
    tokenless = source(slack, token="")
    parsed = tokenless.parse(mention(), Part(()))

    assert tokenless.complete(mention(), Part(()), parsed, memory) == parsed
    assert completed(slack, mention(user=None), memory).sender == Sender()
    assert slack.calls == []


def test_the_ticket_of_a_reaction_is_its_messages(slack: SlackStandIn, memory: Memory) -> None:
    slack.messages = [
        {"ts": "1.2", "text": "other"},
        {"ts": TS, "user": "U1", "text": "<@UBOT> wet &amp; cold"},
    ]

    found = completed(slack, reaction(), memory)

    assert (found.subject, found.body) == ("wet & cold", "wet & cold")
    assert found.sender == Sender("Ann Lee", "ann@example.com")
    assert [answer.value for answer in found.hidden] == ["U1", "C1", "T1"]
    assert slack.called("conversations.history") == [
        {"channel": "C1", "latest": TS, "oldest": TS, "inclusive": "true", "limit": "1"}
    ]


def test_a_reply_is_read_from_its_thread_and_answered_there(slack: SlackStandIn, memory: Memory) -> None:
    slack.replies = [{"ts": TS, "thread_ts": "1.1", "username": "robot", "bot_id": "B1", "text": "down"}]

    found = completed(slack, reaction(), memory)
    source(slack).tell(reaction(), DONE, memory)

    assert (found.sender, found.body) == (Sender("robot"), "down")
    assert slack.called("chat.postMessage")[0]["thread_ts"] == "1.1"


@pytest.mark.parametrize(
    ("error", "said"),
    [("not_in_channel", "invite the app"), ("missing_scope", "missing_scope"), ("", "no longer there")],
)
def test_what_cannot_be_read_is_a_dead_letter(
    error: str, said: str, slack: SlackStandIn, memory: Memory
) -> None:
    if error:
        slack.fail("conversations.history", error=error)

    with pytest.raises(UnreadableError, match=said):
        completed(slack, reaction(), memory)


def test_a_reaction_to_a_message_without_text_is_a_dead_letter(slack: SlackStandIn, memory: Memory) -> None:
    slack.messages = [{"ts": TS, "user": "U1"}]

    with pytest.raises(UnreadableError, match="no text"):
        completed(slack, reaction(), memory)


def test_a_message_of_files_alone_is_named_after_one(slack: SlackStandIn, memory: Memory) -> None:
    slack.messages = [{"ts": TS, "user": "U1", "files": [{"title": "tap"}]}]

    assert completed(slack, reaction(), memory).subject == "tap"


@pytest.mark.parametrize(
    ("failure", "seconds"),
    [
        ((429, "ratelimited", "30"), 30),
        ((429, "ratelimited", "999999999"), 3600),
        ((429, "", "soon"), None),
        ((503, "", ""), None),
        ((200, "internal_error", ""), None),
        ((200, "", ""), None),
    ],
)
def test_slack_away_is_waited_for(
    failure: tuple[int, str, str], seconds: float | None, slack: SlackStandIn, memory: Memory
) -> None:
    status, error, retry_after = failure
    slack.fail(
        "conversations.history", status, error, **({"Retry_After": retry_after} if retry_after else {})
    )

    with pytest.raises(VendorAway) as caught:
        completed(slack, reaction(), memory)

    assert caught.value.retry_after == seconds


def test_slack_that_cannot_be_reached_is_away_and_was_sent_nothing() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{silent.getsockname()[1]}"

        with pytest.raises(VendorAway, match="does not answer") as called:
            SlackApi("xoxb", base, timeout=1).call("auth.test", {})
        with pytest.raises(VendorAway, match="does not answer") as responded:
            respond(f"{base}/x", "text", base, timeout=1)

    assert (called.value.retry_after, responded.value.retry_after) == (30, 30)


@pytest.fixture
def lured(slack: SlackStandIn) -> Iterator[SlackStandIn]:
    """The stand-in sends everybody on to another host, which is given, and would answer."""
    with slack_running() as elsewhere:
        for method in ("users.info", "x"):
            slack.fail(method, 302, "moved", Location=f"{elsewhere.base}/users.info?user=U1")
        yield elsewhere


def test_the_token_follows_no_redirect(slack: SlackStandIn, lured: SlackStandIn) -> None:
    with pytest.raises(VendorRefused) as called:
        SlackApi("xoxb", slack.base).call("users.info", {"user": "U1"})
    with pytest.raises(VendorRefused) as responded:
        respond(f"{slack.base}/x", "text", slack.base)

    assert str(called.value) == (
        "Slack redirects users.info (302), which is never followed: is api_url right?"
    )
    assert "redirects the response_url (302)" in str(responded.value)
    assert [name for name, _, _ in slack.calls] == ["users.info", "x"]
    assert lured.calls == []


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"])
def test_no_proxy_is_taken_from_the_environment(
    name: str, slack: SlackStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with slack_running() as proxy:
        monkeypatch.setenv(name, proxy.base)

        SlackApi("xoxb", slack.base).call("users.info", {"user": "U1"})
        respond(f"{slack.base}/x", "text", slack.base)

        assert [called for called, _, _ in slack.calls] == ["users.info", "x"]
        assert proxy.calls == []


def test_where_no_thread_is_to_be_had_slack_is_away_and_later_calls_have_their_room(
    slack: SlackStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = SlackApi("xoxb", slack.base)
    with monkeypatch.context() as without:
        without.setattr(threading.Thread, "start", no_thread)
        for _ in range(5):
            with pytest.raises(VendorAway, match="BusyError") as caught:
                api.call("users.info", {"user": "U1"})
            assert caught.value.retry_after == 30
    slack.calls.clear()

    assert api.call("users.info", {"user": "U1"})["ok"]


def no_thread(thread: threading.Thread) -> None:
    del thread
    raise RuntimeError("can't start new thread")


class Trickling(BaseRequestHandler):
    """Answers a byte at a time, each well within any time-out, until it is told to stop."""

    stop: ClassVar[threading.Event]

    def handle(self) -> None:
        self.request.recv(65_536)
        self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        while not self.stop.wait(0.02):
            self.request.sendall(b" ")


def test_slack_that_answers_a_byte_at_a_time_is_given_up() -> None:
    Trickling.stop = threading.Event()
    with ThreadingTCPServer(("127.0.0.1", 0), Trickling) as server:
        threading.Thread(target=server.serve_forever).start()
        base = f"http://127.0.0.1:{server.server_address[1]}"

        with pytest.raises(VendorAway, match="TimeoutError") as caught:
            SlackApi("xoxb", base, timeout=1).call("chat.postMessage", {})

        assert caught.value.retry_after is None
        Trickling.stop.set()
        server.shutdown()
    for thread in [thread for thread in threading.enumerate() if thread.name == "slack"]:
        thread.join(60)


def test_only_a_few_of_those_whom_a_text_mentions_are_looked_up(slack: SlackStandIn, memory: Memory) -> None:
    text = "cold " + " ".join(f"<@U{number}>" for number in (1, *range(90, 99)))

    found = completed(slack, mention(text=text), memory)

    assert len(slack.called("users.info")) == 5
    assert "@Ann Lee @U90" in found.body
    assert found.sender.name == "Ann Lee"


def test_nobody_else_is_looked_up_once_slack_does_not_answer(slack: SlackStandIn, memory: Memory) -> None:
    slack.fail("users.info", 503)

    found = completed(slack, mention(text="<@U1> <@U90>"), memory)

    assert found.body == "@U1 @U90"
    assert len(slack.called("users.info")) <= 2


def test_who_has_no_name_stays_an_id(slack: SlackStandIn, memory: Memory) -> None:
    slack.users["U2"] = {"profile": {}}

    assert completed(slack, mention(text="<@U2> is cold"), memory).body == "@U2 is cold"


def test_an_event_that_is_no_longer_wanted_is_completed_and_told_to_nobody(
    slack: SlackStandIn, memory: Memory
) -> None:
    other = reaction(reaction="eyes")
    own = source(slack)
    parsed = own.parse(mention(), Part(()))

    assert own.complete(other, Part(()), parsed, memory) == parsed
    own.tell(other, DONE, memory)
    assert slack.calls == []
    with pytest.raises(UnreadableError, match="no ticket"):
        own.parse(other, Part(()))


def test_a_command_is_answered_to_the_person_alone(slack: SlackStandIn, memory: Memory) -> None:
    source(slack, token="").tell(command(slack), DONE, memory)

    (said,) = slack.called("respond")
    assert said["response_type"] == "ephemeral"
    assert "#7" in said["text"]
    assert "sb-abc" in said["text"]


def test_a_dead_letter_is_said_honestly(slack: SlackStandIn, memory: Memory) -> None:
    source(slack).tell(command(slack), DEAD, memory)

    assert "could not make a ticket" in slack.called("respond")[0]["text"]


def test_where_the_response_url_has_ended_the_app_answers(slack: SlackStandIn, memory: Memory) -> None:
    late = source(slack, now=NOW + 1801)

    late.tell(command(slack), DONE, memory)

    (said,) = slack.called("chat.postEphemeral")
    assert (said["channel"], said["user"]) == ("C1", "U1")


def test_where_the_app_is_not_in_the_channel_it_writes_to_the_person(
    slack: SlackStandIn, memory: Memory
) -> None:
    slack.fail("chat.postEphemeral", error="not_in_channel")
    source(slack).tell(command(slack, response_url=""), DONE, memory)
    slack.fail("chat.postMessage", error="channel_not_found")
    source(slack).tell(reaction(), DEAD, memory)

    assert [said["channel"] for said in slack.called("chat.postMessage")] == ["U1", "C1", "U3"]


def test_what_slack_refuses_to_post_is_said_to_the_log(slack: SlackStandIn, memory: Memory) -> None:
    slack.fail("chat.postEphemeral", error="invalid_auth")
    slack.fail("chat.postMessage", error="invalid_auth")
    slack.fail("respond", 404)

    with pytest.raises(VendorRefused, match="invalid_auth"):
        source(slack).tell(command(slack, response_url=""), DONE, memory)
    with pytest.raises(VendorRefused, match="invalid_auth"):
        source(slack).tell(mention(), DONE, memory)
    with pytest.raises(VendorRefused, match="404"):
        source(slack, token="").tell(command(slack), DONE, memory)


def test_where_the_response_url_is_refused_the_app_answers(slack: SlackStandIn, memory: Memory) -> None:
    slack.fail("respond", 404)

    source(slack).tell(command(slack), DONE, memory)

    assert [said["user"] for said in slack.called("chat.postEphemeral")] == ["U1"]


def test_a_message_is_answered_in_its_thread(slack: SlackStandIn, memory: Memory) -> None:
    source(slack).tell(mention(), DONE, memory)
    source(slack).tell(mention(thread_ts="1.1"), DONE, memory)

    assert [(said["channel"], said["thread_ts"]) for said in slack.called("chat.postMessage")] == [
        ("C1", TS),
        ("C1", "1.1"),
    ]


def test_without_any_way_back_nobody_is_told(slack: SlackStandIn, memory: Memory) -> None:
    tokenless = source(slack, token="")

    tokenless.tell(mention(), DONE, memory)
    tokenless.tell(command(slack, response_url=""), DONE, memory)

    assert slack.calls == []


def test_only_slack_is_told(slack: SlackStandIn) -> None:
    with pytest.raises(VendorRefused, match="not Slack's"):
        respond("https://evil.example/x", "text", slack.base)
    with pytest.raises(VendorRefused, match="not Slack's"):
        respond("http://hooks.slack.com/x", "text")
    with pytest.raises(VendorRefused, match="not Slack's"):
        respond("https://hooks.slack.com@evil.example/x", "text")


def test_what_is_kept_of_a_command_has_no_secret(slack: SlackStandIn) -> None:
    fields = parse_qs(command(slack).request.body.decode())

    assert "token" not in fields
    assert slack.base not in fields["response_url"][0]
    assert fields["text"] == ["cold"]
    assert b"deprecated" not in source(slack).kept(mention_with_token().request).body


def mention_with_token() -> Verified:
    return event({"type": "app_mention"}, token="deprecated")


def test_a_seal_opens_while_its_secret_is_valid_and_no_longer_than_said() -> None:
    sealed = seal("text", [b"new", b"old"], NOW)

    assert unseal(sealed, [b"newest", b"new"], NOW + 10, seconds=10) == "text"
    assert unseal(sealed, [b"new"], NOW + 11, seconds=10) == ""
    assert unseal(sealed, [b"old"], NOW, seconds=10) == ""
    assert seal("text", [], NOW) == ""


def test_blocks_become_plain_text() -> None:
    leaves = [
        {"type": "text", "text": "a & b"},
        {"type": "user", "user_id": "U1"},
        {"type": "usergroup", "usergroup_id": "S1"},
        {"type": "broadcast", "range": "here"},
        {"type": "channel", "channel_id": "C1"},
        {"type": "emoji", "name": "wave"},
        {"type": "date", "fallback": "today"},
        {"type": "link", "url": "mailto:a@example.com", "text": "a@example.com"},
        {"type": "color", "value": "#fff"},
        {"type": ["list"], "text": "odd"},
    ]
    blocks = [
        {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": leaves}]},
        {"type": "header", "text": {"type": "plain_text", "text": "<b>"}},
        {"type": "section", "text": {"type": "mrkdwn", "text": "&lt;c&gt;"}, "fields": [{"text": "d"}]},
        {"type": "image", "alt_text": "a cat"},
        {"type": "divider"},
    ]

    assert message_text({"text": " ", "blocks": blocks}) == (
        "a & b@U1@S1@here#C1:wave:todaya@example.comodd\n<b>\n<c>\nd\na cat"
    )


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("Hi <@U123|ann> see <#C1|general>", "Hi @ann see #general"),
        ("<@U123> <#C9>", "@Ann Lee #C9"),
        ("<!here> <!subteam^S1|@ops> <!date^1392734382^{date}|Feb 18>", "@here @ops Feb 18"),
        ("<https://a.b/?x=1&amp;y=2|docs>", "docs (https://a.b/?x=1&y=2)"),
        ("<mailto:a@b.co|a@b.co>", "a@b.co"),
        ("5 &lt; 6 &amp;&amp; a &gt; b &amp;lt;", "5 < 6 && a > b &lt;"),
    ],
)
def test_mrkdwn_becomes_plain_text(given: str, text: str) -> None:
    assert plain(given, lambda user: {"U123": "Ann Lee"}.get(user, user)) == text


def test_a_source_that_tells_nobody_does_nothing(memory: Memory) -> None:
    form = discover()["form"](SourceOptions("form", Locks(), {}))
    verified = from_ledger(request("application/x-www-form-urlencoded", b"message=x"))
    parsed = form.parse(verified, Part(()))

    form.tell(verified, DONE, memory)

    assert form.complete(verified, Part(()), parsed, memory) == parsed


def test_a_memory_without_redis_forgets(memory: Memory, redis: Redis) -> None:
    memory.put("k", "v", 10)
    assert memory.get("k") == "v"
    away = RedisMemory(type(redis).from_url("unix:///nowhere/s"), "slack")

    away.put("k", "v", 10)

    assert away.get("k") is None
