"""The dashboard's pages."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

import pytest

from service.core.ledger import State
from service.core.refusals import Refusals
from tests.web.acts import LOCATION
from tests.web.conftest import CONFIG, Browser

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask
    from flask.testing import FlaskClient
    from redis import Redis

    from service.core.ledger import Ledger
    from tests.web.acts import Acts

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}"


def text(browser: Browser, path: str, status: int = 200) -> str:
    answer = browser.get(path)
    assert answer.status_code == status, answer.text
    return " ".join(html.unescape(re.sub("<[^>]*>", " ", answer.text)).split())


def test_an_empty_ledger_says_what_to_do_first(operator: Browser) -> None:
    page = text(operator, "/")

    assert "Nothing has come in yet" in page
    assert "Delivery stands still No worker is running" in page
    assert "none everything accepted is settled" in page


def test_the_overview_shows_counts_what_waits_what_is_dead_and_what_came_last(
    operator: Browser, acts: Acts, redis: Redis
) -> None:
    acts.dead("the location is closed", subject="Broken chair")
    acts.delivered(number=44, subject="Lost key")
    acts.accept()
    redis.rpush("rq:queue:tickets", "a", "b")

    page = text(operator, "/")

    for said in (
        "1 queued",
        "1 dead",
        "1 delivered",
        "0 held",
        "All 1 dead letter",
        "the location is closed",
    ):
        assert said in page
    for said in (
        "Broken chair",
        "Lost key",
        "#44",
        "RQ queues 2 tickets",
        "Oldest waiting event",
        "since 20",
    ):
        assert said in page


def test_the_overview_says_that_delivery_works(operator: Browser, redis: Redis) -> None:
    redis.sadd("rq:workers:tickets", "rq:worker:w")
    redis.hset("rq:worker:w", "last_heartbeat", "2999-01-01T00:00:00.000000Z")

    assert "Delivery works" in text(operator, "/")


def test_the_overview_refreshes_itself_unless_told_not_to(operator: Browser) -> None:
    assert '<meta http-equiv="refresh" content="15">' in operator.get("/").text
    assert 'http-equiv="refresh"' not in operator.get("/?refresh=off").text


def test_events_are_filtered_by_state_channel_and_text(operator: Browser, acts: Acts) -> None:
    acts.dead(subject="Broken chair", channel="mail")
    acts.delivered(subject="Lost key")

    def found(query: str) -> tuple[bool, bool]:
        page = text(operator, f"/events?{query}")
        return "Broken chair" in page, "Lost key" in page

    assert found("") == (True, True)
    assert found("state=dead") == (True, False)
    assert found("channel=mail") == (True, False)
    assert found("q=lost") == (False, True)
    assert found("q=nothing") == (False, False)


def test_a_filter_keeps_its_values_in_the_form(operator: Browser) -> None:
    page = operator.get("/events?state=held&channel=old-one&q=%22x").text

    assert '<option value="held" selected>' in page
    assert "<option selected>old-one</option>" in page
    assert 'value="&#34;x"' in page
    assert "<option selected>mail</option>" in operator.get("/events?channel=mail").text


def test_events_are_paged_to_the_end(operator: Browser, acts: Acts) -> None:
    ids = {acts.accept() for _ in range(60)}

    path, page, seen = "/events", "", set[str]()
    while path:
        page = operator.get(path).text
        seen |= set(re.findall(r'href="/events/(\w+)"', page))
        older = re.search(r'rel="next" href="([^"]+)"', page)
        path = html.unescape(older[1]) if older else ""

    assert seen == ids
    assert ">Newest</a>" in page


def test_a_search_that_found_nothing_yet_offers_the_older_events(
    operator: Browser, acts: Acts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.core.ledger.reader.MAX_SCANNED", 1)
    acts.accept()
    acts.accept()

    page = operator.get("/events?q=nothing").text

    assert "there are older ones" in page
    assert 'rel="next"' in page


@pytest.mark.parametrize("path", ["/events?cursor=x", "/dead-letters?cursor=x"])
def test_a_damaged_cursor_is_400(operator: Browser, acts: Acts, path: str) -> None:
    assert "start from the newest" in text(operator, path, 400)


def test_an_unknown_state_or_event_is_404(operator: Browser) -> None:
    assert "There is no state 'lost'" in text(operator, "/events?state=lost", 404)
    assert "No event nothing" in text(operator, "/events/nothing", 404)


def test_an_event_shows_what_came_in_the_draft_the_attempts_and_the_history(
    operator: Browser, acts: Acts
) -> None:
    event = acts.dead("the type is wrong", body=b'{"subject": "Wi-Fi"}')

    page = text(operator, f"/events/{event}")

    for said in (
        "POST https://bridge.example/hooks/web",
        "Content-Type application/json",
        '"subject": "Wi-Fi"',
    ):
        assert said in page
    for said in ("downtown", "internet", "Requester none", "refused 422 the type is wrong 80 ms"):
        assert said in page
    for said in ("queued accepted", "delivering claimed by w1", f"sb-{event[-10:]}", "Ada Lovelace"):
        assert said in page


def test_a_delivered_event_shows_its_ticket_and_offers_nothing(operator: Browser, acts: Acts) -> None:
    event = acts.delivered(number=99)

    assert "#99 ticket-99" in text(operator, f"/events/{event}")
    assert f'action="/events/{event}/' not in operator.get(f"/events/{event}").text


def test_an_event_of_which_nothing_is_left_says_so_and_offers_no_replay(
    operator: Browser, acts: Acts, redis: Redis
) -> None:
    event = acts.ignored()
    redis.hset(f"bridge:event:{event}", "body", 0)

    page = operator.get(f"/events/{event}").text

    assert "It has been aged out" in page
    assert "/replay" not in page


@pytest.mark.parametrize(
    ("make_event", "operation", "state"),
    [
        ("dead", "replay", State.QUEUED),
        ("dead", "discard", State.DISCARDED),
        ("accept", "hold", State.HELD),
        ("ignored", "replay", State.QUEUED),
    ],
)
def test_a_button_changes_the_event_and_shows_it_again(
    operator: Browser, acts: Acts, make_event: str, operation: str, state: State
) -> None:
    event = getattr(acts, make_event)()
    path = f"/events/{event}"
    assert f'action="{path}/{operation}"' in operator.get(path).text

    answer = operator.post(f"{path}/{operation}", path)

    assert (answer.status_code, answer.location) == (302, path)
    assert acts.ledger.event(event).state is state
    assert acts.ledger.history(event)[-1].by == "dashboard"
    assert "The event is " in text(operator, path)


def test_a_held_event_is_released(operator: Browser, acts: Acts, ledger: Ledger) -> None:
    event = ledger.operate(acts.accept(), "hold", "test").id

    operator.post(f"/events/{event}/release", f"/events/{event}")

    assert ledger.event(event).state is State.QUEUED


@pytest.mark.parametrize(("box", "looks"), [({}, True), ({"confirm": "yes"}, False)], ids=["empty", "ticked"])
def test_what_may_be_filed_is_looked_for_first_unless_a_person_has_looked(
    operator: Browser, acts: Acts, ledger: Ledger, box: dict[str, str], *, looks: bool
) -> None:
    event = acts.unknown()

    operator.post(f"/events/{event}/replay", f"/events/{event}", **box)

    assert "The event is replayed." in text(operator, f"/events/{event}")
    assert (ledger.event(event).look_after > 0) == looks


def test_a_button_of_an_old_page_changes_nothing_and_says_why(
    operator: Browser, acts: Acts, ledger: Ledger
) -> None:
    event = acts.delivered()

    operator.post(f"/events/{event}/discard", "/")

    assert "is delivered: discard is not possible then" in text(operator, f"/events/{event}")
    assert ledger.event(event).state is State.DELIVERED


def test_an_unknown_operation_or_event_is_404(operator: Browser, acts: Acts) -> None:
    assert operator.post(f"/events/{acts.dead()}/explode", "/").status_code == 404
    assert operator.post("/events/nothing/replay", "/").status_code == 404


def test_no_change_is_made_without_the_pages_token(operator: Browser, acts: Acts, ledger: Ledger) -> None:
    event = acts.dead()

    answers = [
        operator.client.post(f"/events/{event}/discard"),
        operator.client.post(f"/events/{event}/discard", data={"csrf_token": "forged"}),
        operator.client.post("/dead-letters", data={"do": "discard:all", "sure": "yes"}),
        operator.client.post("/logout"),
    ]

    assert [answer.status_code for answer in answers] == [400] * 4
    assert ledger.event(event).state is State.DEAD


def test_dead_letters_are_filtered_and_one_that_may_be_filed_is_marked(operator: Browser, acts: Acts) -> None:
    acts.dead("too long", subject="Essay", channel="mail")
    acts.unknown(subject="Key card")

    assert "2 events that need a person" in text(operator, "/dead-letters")
    assert "may be filed" in text(operator, "/dead-letters?reason=unknown")
    assert "Essay" not in text(operator, "/dead-letters?reason=unknown")
    assert "Key card" not in text(operator, "/dead-letters?channel=mail")
    assert "No dead letter fits." in text(operator, "/dead-letters?channel=gone")


def test_no_dead_letters_need_nobody(operator: Browser) -> None:
    assert "Nothing needs you." in text(operator, "/dead-letters")


def test_dead_letters_are_paged(operator: Browser, acts: Acts) -> None:
    for _ in range(60):
        acts.dead()

    first = operator.get("/dead-letters?reason=location").text
    older = re.search(r'rel="next" href="([^"]+)"', first)
    assert older is not None
    second = operator.get(html.unescape(older[1])).text

    assert first.count('name="event"') + second.count('name="event"') == 60
    assert 'href="/dead-letters?reason=location">Newest' in second


def test_one_or_the_ticked_dead_letters_are_replayed_or_discarded(
    operator: Browser, acts: Acts, ledger: Ledger
) -> None:
    one, two, three, four = (acts.dead() for _ in range(4))

    operator.post("/dead-letters", "/dead-letters", do=f"replay:{one}")
    first = text(operator, "/dead-letters")
    operator.post("/dead-letters", "/dead-letters", do="discard", event=[two, three])

    states = [ledger.event(event).state for event in (one, two, three, four)]
    assert states == [State.QUEUED, State.DISCARDED, State.DISCARDED, State.DEAD]
    assert "1 dead letter replayed." in first
    assert "2 dead letters discarded." in text(operator, "/dead-letters")


@pytest.mark.parametrize(("box", "looks"), [({}, True), ({"confirm": "yes"}, False)], ids=["empty", "ticked"])
def test_many_that_may_be_filed_are_looked_for_first_unless_the_box_is_ticked(
    operator: Browser, acts: Acts, ledger: Ledger, box: dict[str, str], *, looks: bool
) -> None:
    event = acts.unknown()

    operator.post("/dead-letters", "/dead-letters", do="replay", event=[event], **box)

    assert "1 dead letter replayed." in text(operator, "/dead-letters")
    assert (ledger.event(event).look_after > 0) == looks


def test_a_ticked_event_that_moved_on_is_passed_over(operator: Browser, acts: Acts) -> None:
    event = acts.delivered()

    operator.post("/dead-letters", "/dead-letters", do="replay", event=[event])

    assert "1 passed over" in text(operator, "/dead-letters")


def test_all_of_a_filter_are_replayed_only_when_sure(operator: Browser, acts: Acts, ledger: Ledger) -> None:
    mail, web = acts.dead(channel="mail"), acts.dead()

    operator.post("/dead-letters", "/dead-letters", do="replay:all", channel="mail")
    unsure = text(operator, "/dead-letters")
    back = operator.post("/dead-letters", "/dead-letters", do="replay:all", channel="mail", sure="yes")

    assert "Nothing was done: tick the box" in unsure
    assert back.location == "/dead-letters?channel=mail"
    assert (ledger.event(mail).state, ledger.event(web).state) == (State.QUEUED, State.DEAD)


def test_nothing_ticked_is_nothing_done(operator: Browser, acts: Acts, ledger: Ledger) -> None:
    event = acts.dead()

    operator.post("/dead-letters", "/dead-letters", do="discard")
    unticked = text(operator, "/dead-letters")
    nonsense = operator.post("/dead-letters", "/dead-letters", do="release:all", sure="yes")

    assert "no dead letter was ticked" in unticked
    assert nonsense.status_code == 400
    assert ledger.event(event).state is State.DEAD


@pytest.mark.parametrize("path", ["/", "/events", "/dead-letters", "/events/{event}"])
def test_what_strangers_wrote_is_only_text(operator: Browser, acts: Acts, path: str) -> None:
    event = acts.dead(
        HOSTILE,
        code=HOSTILE,
        body=HOSTILE.encode(),
        content_type=f"text/plain; name={HOSTILE}",
        subject=HOSTILE,
        name=HOSTILE,
        email="javascript:alert(3)",
    )

    page = operator.get(path.format(event=event)).text

    assert html.escape("<script>alert(1)").replace("&#x27;", "&#39;") in page
    assert "<script" not in page
    assert "<img" not in page
    assert 'href="javascript:' not in page
    assert "49" not in re.sub(r"\d\d:49|49:\d\d|[0-9a-z]*49[0-9a-z]*", "", page)


def test_a_hostile_query_is_only_text(operator: Browser, acts: Acts) -> None:
    acts.dead()

    for path in ("/events?q={}&channel={}", "/dead-letters?reason={}&channel={}", "/events?state={}{}"):
        page = operator.client.get(path.format(*["%3Cscript%3Ealert(1)%22"] * 2)).text
        assert "<script" not in page


@pytest.mark.parametrize("path", ["/", "/events", "/dead-letters", "/events/none", "/login"])
def test_every_page_is_locked_down_and_not_kept(operator: Browser, path: str) -> None:
    headers = operator.get(path).headers

    policy = headers["Content-Security-Policy"]
    for rule in ("default-src 'none'", "style-src 'self'", "img-src 'self'", "form-action 'self'"):
        assert rule in policy
    assert "frame-ancestors 'none'" in policy
    assert "base-uri 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"


def test_styles_may_be_kept(client: FlaskClient) -> None:
    with client.get("/static/dashboard.css") as answer:
        assert answer.status_code == 200
        assert "max-age" in answer.headers["Cache-Control"]


def test_what_is_turned_away_at_the_door_is_told(operator: Browser, redis: Redis) -> None:
    Refusals(redis).note("mail", "signature")

    page = operator.client.get("/").text

    assert "Turned away at the door" in page
    assert "Channel mail turned away a request" in page


def test_without_redis_a_page_is_503(make: Callable[..., Flask], operator: Browser, away: Redis) -> None:
    cookie = operator.client.get_cookie("bridge_session")
    assert cookie is not None
    client = make(redis=away).test_client()
    client.set_cookie("bridge_session", cookie.value)

    answer = client.get("/")

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")


def test_every_channel_of_the_configuration_can_be_chosen(operator: Browser) -> None:
    page = operator.get("/events").text

    assert all(f"<option >{channel.name}</option>" in page for channel in CONFIG.channels)


def test_a_location_that_is_paused_is_named_and_what_to_do(operator: Browser, acts: Acts) -> None:
    acts.closed("no Support permission")

    page = text(operator, "/")

    assert f"Delivery to location {LOCATION} is paused" in page
    assert "It said: no Support permission." in page
    assert "give the account that the bridge uses the Support permission for it." in page


def test_a_location_that_is_refused_pauses_all_until_another_takes_a_ticket(
    operator: Browser, acts: Acts
) -> None:
    acts.forbidden()

    page = text(operator, "/")

    assert f"Spacebring refuses our credentials for location {LOCATION} (403)" in page
    assert "only this one stays paused" in page


@pytest.mark.parametrize(
    ("closed", "said"),
    [(True, "#8 was closed by the bridge."), (False, "#8 is open, for its text differs: please look at it.")],
    ids=["closed", "open"],
)
def test_a_second_ticket_is_alarmed(operator: Browser, acts: Acts, *, closed: bool, said: str) -> None:
    event = acts.doubled(closed=closed)

    overview, page = text(operator, "/"), text(operator, f"/events/{event}")

    assert "Second tickets These events made more than one ticket" in overview
    assert said in overview
    assert "Second ticket #8 ticket-8" in page
    assert "beside its ticket #7 there is #8" in page


def test_events_that_are_looked_for_are_counted(operator: Browser, acts: Acts, ledger: Ledger) -> None:
    ledger.operate(acts.unknown(), "replay", "test")

    assert "1 being looked for in Spacebring" in text(operator, "/")


def test_a_list_that_cannot_tell_is_an_alarm(operator: Browser, acts: Acts) -> None:
    acts.blind("Spacebring's list of the location is refused: no")

    page = text(operator, "/")

    assert "of which Spacebring's list cannot tell: 1." in page
    assert "for Spacebring's list of the location is refused: no. The bridge keeps looking." in page
