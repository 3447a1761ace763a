"""What the sources of form vendors do beside their recorded requests."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.answers import file_at, text_of
from service.core.capture import ORIGIN
from service.core.errors import Unauthorized
from service.core.php_fields import nested
from service.core.registry import discover
from service.core.request import Headers, InboundRequest
from service.core.signing import Locks, from_ledger
from service.core.source import Part, Source, SourceOptions

SECRET = b"test-secret-0123456789"
BODY = '{"hello":"wörld"}'.encode()
DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
HEX = "71d073cc8fc60e47adb1c7f8c7998a06ebd40f0d7a67ff6672b54b164a63672f"


def source(name: str, secret: bytes = SECRET, **fields: str) -> Source:
    options = SourceOptions(name, Locks(secrets=(secret,)), fields)
    return discover()[name](options, clock=lambda: 1_700_000_000)


def request(body: bytes, kind: str = "application/json", **headers: str) -> InboundRequest:
    pairs = [("Content-Type", kind), *((name.replace("_", "-"), value) for name, value in headers.items())]
    return InboundRequest("POST", f"{ORIGIN}/hooks/x", Headers.of(pairs), body)


def test_tallys_signature_is_as_computed_elsewhere() -> None:
    signature = "fF6J1Z1i19JAwDT895dqasZN4e5aB/0Lqz0mUA0AyJs="

    source("tally").verify(request(BODY, Tally_Signature=signature))


def test_formsprees_signature_is_as_computed_elsewhere() -> None:
    source("formspree").verify(request(BODY, Formspree_Signature=f"t=1700000000,v1={HEX}"))


def test_wpforms_signature_is_as_computed_elsewhere() -> None:
    source("wpforms").verify(request(BODY, X_WPForms_Webhook_Signature=f"t=1700000000,v={HEX}"))


def test_the_example_of_standard_webhooks_holds_for_the_script_in_google_forms() -> None:
    signed = request(
        b'{"test": 2432232314}',
        webhook_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        webhook_timestamp="1614265330",
        webhook_signature="v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    )
    options = SourceOptions("x", Locks(secrets=(b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",)), {})

    discover()["googleforms"](options, clock=lambda: 1_614_265_330).verify(signed)


@pytest.mark.parametrize("secret", [b"whsec_", b"whsec_?", b"whsec_="])
def test_a_secret_that_is_no_base64_opens_nothing_for_an_empty_key(secret: bytes) -> None:
    forged = source("googleforms", b"").sign(request(BODY), b"")

    with pytest.raises(Unauthorized):
        source("googleforms", secret).verify(forged)


def test_the_template_for_power_automate_is_what_the_source_reads() -> None:
    action = json.loads((DEPLOY / "power-automate-http-action.json").read_text("utf-8"))
    verified = from_ledger(request(json.dumps(action["inputs"]["body"]).encode()))

    [part] = source("msforms").identify(verified)
    event = source("msforms").parse(verified, part)

    assert part.keys[0].value.startswith("response:FORM_ID:")
    assert "QUESTION_ID_1" in event.body
    assert [answer.label for answer in event.answers] == ["Where?"]


def test_a_field_that_the_channel_names_beats_the_address_that_google_collects() -> None:
    fields = [{"key": "1", "label": "For whom?", "value": "bo@example.com"}]
    data = {"respondent_email": "ann@example.com", "fields": fields}
    verified = from_ledger(request(json.dumps({"data": data}).encode()))

    event = source("googleforms", email="for whom?").parse(verified, Part(()))

    assert event.sender.email == "bo@example.com"


def test_a_field_of_contact_form_7_that_the_channel_names_is_told_though_it_is_special() -> None:
    verified = from_ledger(request(b'{"_user_email": "ann@example.com"}'))

    event = source("cf7", email="_user_email").parse(verified, Part(()))

    assert event.sender.email == "ann@example.com"


@pytest.mark.parametrize(
    ("mapped", "subject", "others"),
    [("", "Typed", ["Export"]), ("_subject", "Export", ["Typed"])],
)
def test_formsprees_own_subject_goes_behind_one_that_was_typed(
    mapped: str, subject: str, others: list[str]
) -> None:
    body = {"form": "x", "submission": {"subject": "Typed", "message": "Hello", "_subject": "Export"}}
    verified = from_ledger(request(json.dumps(body).encode()))

    event = source("formspree", subject=mapped).parse(verified, Part(()))

    assert (event.subject, [answer.value for answer in event.answers]) == (subject, others)


@pytest.mark.parametrize("name", ["form", "zapier", "formspree"])
def test_a_subject_too_long_for_one_line_is_told_whole_as_an_answer(name: str) -> None:
    told = {"subject": "word " * 40 + "end", "message": "Hello"}
    body = (
        urlencode(told)
        if name == "form"
        else json.dumps({"submission": told} if name == "formspree" else told)
    )
    kind = "application/x-www-form-urlencoded" if name == "form" else "application/json"
    [part] = source(name).identify(from_ledger(request(body.encode(), kind)))

    event = source(name).parse(from_ledger(request(body.encode(), kind)), part)

    assert event.body == "Hello"
    assert [answer.value for answer in event.answers] == [told["subject"]]


def test_jotforms_questions_are_found_in_a_long_text_at_once() -> None:
    answers = ",".join(f'"q{at}_a":"a"' for at in range(1, 900))
    body = f'--x\r\nContent-Disposition: form-data; name="rawRequest"\r\n\r\n{{{answers}}}\r\n'
    body += '--x\r\nContent-Disposition: form-data; name="pretty"\r\n\r\n' + ":a" * 100_000 + "\r\n--x--\r\n"
    verified = from_ledger(request(body.encode(), "multipart/form-data; boundary=x"))

    event = source("jotform").parse(verified, Part(()))

    assert {answer.label for answer in event.answers} == {"A"}


@pytest.mark.parametrize(
    ("pairs", "told"),
    [
        ([("a[b]", "1"), ("a[c]", "2")], {"a": {"b": "1", "c": "2"}}),
        ([("a[]", "1"), ("a[]", "2")], {"a": ["1", "2"]}),
        ([("a[0][x]", "1"), ("a[1][x]", "2")], {"a": [{"x": "1"}, {"x": "2"}]}),
        ([("a[b]", "1"), ("a", "2")], {"a": "2"}),
        ([("a[b]", "1"), ("a[b][c]", "2")], {"a": {"b": "1"}, "a[b][c]": "2"}),
        ([("a", "1"), ("a", "2")], {"a": "2"}),
    ],
)
def test_php_names_are_read_as_php_does(pairs: list[tuple[str, str]], told: object) -> None:
    assert nested(pairs) == told


@given(st.lists(st.tuples(st.text("ab[]01"), st.text(max_size=3))))
def test_whatever_the_names_no_value_is_an_error(pairs: list[tuple[str, str]]) -> None:
    assert isinstance(text_of(nested(pairs)), str)


@given(st.text())
def test_every_link_has_a_name(text: str) -> None:
    assert file_at(f"https://files.example/{text}").name
