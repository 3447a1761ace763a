"""Sources that read from their vendor's API what the webhook leaves out. The API is a stand-in, over HTTP."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.channels import load_config
from sandbox.app import create_app
from sandbox.options import SandboxOptions
from sandbox.server import running
from service.core.capture import ORIGIN
from service.core.errors import ConfigError, UnreadableError, VendorAway, VendorRefused
from service.core.events import InboundEventSchema
from service.core.ledger import State
from service.core.memory import Forgetful, RedisMemory
from service.core.registry import discover
from service.core.request import Headers, InboundRequest
from service.core.signing import Locks, from_ledger
from service.core.source import Part, SourceOptions
from service.core.wiring import open_doors
from tests.fixtures_http import FIXTURES, Case, calls_back, cases, load_channel
from tests.sources.test_contract import HEAD, client_of, post
from tests.sources.test_filing import Works
from tests.sources.test_strangers import retyped
from tests.workers.bench import LOCATION
from workers.schedule import Schedule
from workers.verdicts import Options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from service.core.events import InboundEvent
    from service.core.ledger import Event
    from service.core.source import Memory, Source
    from tests.vendor_api import VendorStandIn

CALLED_BACK = [name for name in sorted(discover()) if calls_back(name)]
MAIL = "emails/receiving/56761188-7520-42d8-8898-ff6fc54ce618"
RAW = "raw/56761188-7520-42d8-8898-ff6fc54ce618.eml"
SURVEY = "v3/surveys/105724755/details"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    *(
                        "pages",
                        "questions",
                        "answers",
                        "id",
                        "headings",
                        "heading",
                        "rows",
                        "cols",
                        "choices",
                    ),
                    *("other", "text", "row_id", "choice_id", "metadata", "contact", "email", "value"),
                    *("headers", "html", "raw", "download_url", "attachments", "filename", "title", "type"),
                ]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=25,
)


def case_of(name: str, detail: str) -> Case:
    return Case(FIXTURES / name / f"{detail}.http")


def source(vendors: VendorStandIn, name: str, max_body: int = 100_000) -> Source:
    options = replace(load_channel(name).options, api_url=vendors.url(name), max_body=max_body)
    return discover()[name](options)


def completed(made: Source, request: InboundRequest, memory: Memory | None = None) -> InboundEvent:
    verified, part = from_ledger(request), Part(())
    return made.complete(verified, part, made.parse(verified, part), memory or Forgetful())


def known(made: Source, request: InboundRequest) -> None:
    """Hold that nothing but the known errors comes out, and that an event is one."""
    try:
        event = completed(made, request)
    except (UnreadableError, VendorAway, VendorRefused):
        return
    assert InboundEventSchema().dump(event)


def test_the_vector_of_surveymonkey_holds() -> None:
    options = SourceOptions("x", Locks(secrets=(b"test-secret-0123456789",)), {}, client_id="cid")
    headers = Headers.of([("Sm-Signature", "oWzaLWXIjARm2U3eTVrV34niHjk=")])

    discover()["surveymonkey"](options).verify(
        InboundRequest("POST", f"{ORIGIN}/hooks/x", headers, '{"hello":"wörld"}'.encode())
    )


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("resend", ["api_token: is missing; Resend needs it"]),
        (
            "surveymonkey",
            ["client_id: is missing; SurveyMonkey needs it", "api_token: is missing; SurveyMonkey needs it"],
        ),
    ],
)
def test_a_channel_that_could_never_read_its_events_does_not_start(name: str, missing: list[str]) -> None:
    table = f'name = "in"\nsource = "{name}"\nsecret = "key-for-tests"\n'

    with pytest.raises(ConfigError) as caught:
        open_doors(load_config(HEAD + table, environ={}))

    assert list(caught.value.problems) == [f"channels[0] (in).{each}" for each in missing]


def test_the_configuration_reaches_the_source(vendors: VendorStandIn) -> None:
    table = (
        (FIXTURES / "surveymonkey" / "channel.toml").read_text("utf-8").replace("now = ", "capture = 0 # ")
    )

    config = load_config(f"[ledger]\nmax_body = 5\n{HEAD}{table}", environ={})
    options = open_doors(config)["surveymonkey"].source.options

    assert (options.client_id, options.max_body) == ("client-id-for-tests", 5)


@pytest.mark.parametrize("name", CALLED_BACK)
def test_an_answer_of_another_type_is_read_or_refused_but_never_an_error(
    vendors: VendorStandIn, name: str
) -> None:
    folder, step = FIXTURES / name / "api", {"surveymonkey": 23}.get(name, 1)
    asked = next(case.request for case in cases(name) if case.outcome == "accepted")
    made = source(vendors, name)
    known(made, asked)

    for path, _ in list(vendors.calls):
        file = folder / f"{path.partition('?')[0].removeprefix(f'/{name}/')}.json"
        # Every value of a mail, and of a survey one in so many: it has thousands.
        for body in islice(retyped(file.read_bytes()) if file.is_file() else (), 0, None, step):
            vendors.instead = {str(file.relative_to(folder)).removesuffix(".json"): body}
            known(made, asked)


@pytest.mark.parametrize("name", CALLED_BACK)
@settings(max_examples=60)
@given(answer=JSON)
def test_whatever_the_api_answers_only_known_errors_come_out(
    served_vendors: VendorStandIn, name: str, answer: object
) -> None:
    case = next(case for case in cases(name) if case.outcome == "accepted")
    served_vendors.answers = (200, json.dumps(answer).encode(), {})

    known(source(served_vendors, name), case.request)


def test_a_raw_mail_that_is_too_large_leaves_what_resend_made_of_it(vendors: VendorStandIn) -> None:
    found = json.loads((FIXTURES / "resend" / "api" / f"{MAIL}.json").read_text("utf-8"))
    found["raw"]["download_url"] = f"{vendors.url('resend')}/{RAW}"
    vendors.instead = {MAIL: json.dumps(found).encode(), RAW: b"x" * 5001}

    event = completed(source(vendors, "resend", max_body=5000), case_of("resend", "accepted__raw").request)

    assert event.body == "what Resend made of it"
    assert [path.partition("?")[0] for path, _ in vendors.calls] == [f"/resend/{MAIL}", f"/resend/{RAW}"]


def test_the_raw_mail_is_fetched_without_the_key_and_images_stay_out_of_the_html(
    vendors: VendorStandIn,
) -> None:
    completed(source(vendors, "resend"), case_of("resend", "accepted__raw").request)

    (asked, headers), (raw, plain) = vendors.calls
    assert asked == f"/resend/{MAIL}?html_format=cid"
    assert headers["Authorization"] == "Bearer re_for_tests"
    assert raw.endswith("?Expires=1795482000&Signature=sig")
    assert "Authorization" not in plain


def raw_is_away(vendors: VendorStandIn, **without: str) -> None:
    found = json.loads((FIXTURES / "resend" / "api" / f"{MAIL}.json").read_text("utf-8")) | without
    found["raw"]["download_url"] = f"{vendors.url('resend')}/{RAW}"
    vendors.fail(200, json.dumps(found).encode())
    vendors.fail(503)


def test_where_the_raw_mail_cannot_be_had_now_the_ticket_says_what_resend_made_of_it(
    vendors: VendorStandIn, redis: Redis
) -> None:
    made, memory = source(vendors, "resend"), RedisMemory(redis, "resend")
    request = case_of("resend", "accepted__raw").request
    raw_is_away(vendors)

    event = completed(made, request, memory)
    next_one = completed(made, request, memory)

    assert event.body == "what Resend made of it"
    assert next_one.body not in {"", event.body}


def test_a_mail_of_which_resend_gives_the_raw_one_alone_waits_for_it(vendors: VendorStandIn) -> None:
    raw_is_away(vendors, text=" ", html="")

    with pytest.raises(VendorAway):
        completed(source(vendors, "resend"), case_of("resend", "accepted__raw").request)


def test_what_a_survey_asks_is_read_once_and_again_when_it_was_changed(
    vendors: VendorStandIn, redis: Redis
) -> None:
    made, memory = source(vendors, "surveymonkey"), RedisMemory(redis, "surveymonkey")
    details = ["every_kind", "invited_by_mail", "changed_survey"]

    first, *_ = [
        completed(made, case_of("surveymonkey", f"accepted__{each}").request, memory) for each in details
    ]
    again = completed(made, case_of("surveymonkey", "accepted__every_kind").request, memory)

    asked = [path.removeprefix("/surveymonkey/") for path, _ in vendors.calls]
    assert [path == SURVEY for path in asked] == [False, True, False, False, True, False]
    assert again == first


def test_a_survey_that_is_too_large_is_not_kept(vendors: VendorStandIn, redis: Redis) -> None:
    made, memory = source(vendors, "surveymonkey"), RedisMemory(redis, "surveymonkey")
    details = json.loads((FIXTURES / "surveymonkey" / "api" / f"{SURVEY}.json").read_text("utf-8"))
    details["title"] = "x" * 200_000
    vendors.instead = {SURVEY: json.dumps(details).encode()}

    for _ in range(2):
        completed(made, case_of("surveymonkey", "accepted__every_kind").request, memory)

    assert [path.endswith("105724755/details") for path, _ in vendors.calls] == [False, True] * 2


@pytest.fixture(scope="module")
def sandbox() -> Iterator[str]:
    with running(create_app(SandboxOptions(locations={LOCATION: "Downtown"}, rate=0))) as base:
        yield base


def posted(vendors: VendorStandIn, redis: Redis, sandbox: str, case: Case) -> tuple[Works, Event]:
    client = client_of(case.source, redis, api_url=vendors.url(case.source))
    web = client.application.extensions["bridge"]
    works = Works(sandbox, redis, web.ledger, timeout=5)
    works.web = web
    answer = post(client, case.request)
    return works, web.ledger.event(answer.headers["X-Bridge-Event"])


def test_a_token_that_is_refused_makes_a_dead_letter_that_says_what_to_do_and_can_be_replayed(
    vendors: VendorStandIn, redis: Redis, sandbox: str
) -> None:
    works, event = posted(vendors, redis, sandbox, case_of("resend", "accepted__raw"))
    vendors.fail(
        401, b'{"name": "restricted_api_key", "message": "This API key is restricted to only send emails."}'
    )

    dead = works.deliver(event.id)
    works.ledger.operate(event.id, "replay", by="test")
    delivered = works.deliver(event.id)

    assert dead.state is State.DEAD
    assert dead.reason == (
        "Resend refuses our api_token (401): This API key is restricted to only send emails. "
        "It takes a key with full access, not one for sending alone (https://resend.com/api-keys); "
        "set it anew, and replay this"
    )
    assert (dead.email, dead.subject) == ("ann@customer.example", "Printer")
    assert (delivered.state, delivered.subject) == (State.DELIVERED, "Printer im Büro")


def test_a_rate_limit_uses_up_no_tries_and_an_outage_does(
    vendors: VendorStandIn, redis: Redis, sandbox: str
) -> None:
    works, event = posted(vendors, redis, sandbox, case_of("surveymonkey", "accepted__every_kind"))
    works.settings["options"] = Options(schedule=Schedule(base=0.001, floor=0.001, tries=2))
    vendors.fail(429, Retry_After="3600")

    limited = [works.deliver(event.id) for _ in range(5)]
    for key in redis.scan_iter("bridge:vendor:*"):
        redis.delete(key)
    vendors.fail(500)
    vendors.fail(500)
    failed = [works.deliver(event.id) for _ in range(2)]

    assert {each.state for each in limited} == {State.RETRYING}
    assert {each.vendor_failed for each in limited} == {0}
    assert limited[-1].due is not None
    assert (limited[-1].due - limited[-1].updated).total_seconds() > 3500
    assert [each.state for each in failed] == [State.RETRYING, State.DEAD]
    assert failed[-1].reason.startswith("out of attempts after 2: SurveyMonkey does not serve us now (500)")


def test_one_mail_by_two_ways_makes_one_ticket(vendors: VendorStandIn, redis: Redis, sandbox: str) -> None:
    case = case_of("resend", "accepted__raw")
    works, event = posted(vendors, redis, sandbox, case)
    twin = json.loads(case.request.body)
    twin["data"]["email_id"] = "another-id-of-the-same-mail"
    found = json.loads((FIXTURES / "resend" / "api" / f"{MAIL}.json").read_text("utf-8"))
    found["raw"]["download_url"] = f"{vendors.url('resend')}/{RAW}"
    vendors.instead = {"emails/receiving/another-id-of-the-same-mail": json.dumps(found).encode()}
    web = works.web
    made = web.doors["resend"].source
    headers = case.request.headers.replaced(webhook_id="msg_another")
    request = made.sign(
        replace(case.request, headers=headers, body=json.dumps(twin).encode()), made.options.locks.secrets[0]
    )
    second = web.ledger.accept(
        request, channel="resend", source="resend", lane="backlog", parts=made.identify(from_ledger(request))
    ).events[0]

    first, again = works.deliver(event.id), works.deliver(second)

    assert first.state is State.DELIVERED
    assert (again.state, again.reason) == (State.IGNORED, f"the same message as event {event.id}")


def brevo(vendors: VendorStandIn, *, text: str = "", token: str = "xkeysib", size: int = 900) -> InboundEvent:
    case = case_of("brevo", "accepted__invitation")
    body = json.loads(case.request.body)
    body["items"][0]["RawTextBody"] = body["items"][0]["ExtractedMarkdownMessage"] = text
    body["items"][0]["Attachments"][0]["ContentLength"] = size
    made = source(vendors, "brevo")
    made.options = replace(made.options, api_token=token)
    return completed(made, replace(case.request, body=json.dumps(body).encode()))


def test_brevo_is_asked_for_what_can_be_shown_and_for_nothing_else(vendors: VendorStandIn) -> None:
    event = brevo(vendors, text="See below.")

    assert "Invitation: Repair of the printer, second floor" in event.body
    assert [headers["Api-Key"] for _, headers in vendors.calls] == ["xkeysib"] * 2
    assert all("not-asked-for" not in path for path, _ in vendors.calls)


def test_without_a_token_brevos_files_are_named_alone(vendors: VendorStandIn) -> None:
    event = brevo(vendors, text="See below.", token="")

    assert (event.body, [file.name for file in event.files]) == (
        "See below.",
        ["invite.ics", "old.eml", "p.png"],
    )
    assert vendors.calls == []


def test_a_file_of_brevos_that_is_too_large_to_be_a_letter_is_not_asked_for(vendors: VendorStandIn) -> None:
    assert "Invitation" not in brevo(vendors, text="See below.", size=3_000_000).body
    assert len(vendors.calls) == 1


@pytest.mark.parametrize("status", [401, 404, 503])
def test_a_file_that_brevo_does_not_give_keeps_no_ticket_waiting(vendors: VendorStandIn, status: int) -> None:
    whole = brevo(vendors, text="See below.")
    vendors.answers = (status, b"", {})

    event = brevo(vendors, text="See below.")

    assert (event.body, event.late_keys) == ("See below.", whole.late_keys)


def test_a_mail_that_says_nothing_but_in_its_files_waits_for_them(vendors: VendorStandIn) -> None:
    vendors.answers = (503, b"", {})

    with pytest.raises(VendorAway):
        brevo(vendors)
