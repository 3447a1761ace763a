"""What the mail services and the parsers do beside their recorded requests."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from service.core.capture import ORIGIN
from service.core.errors import Unauthorized, Unavailable, UnreadableError
from service.core.events import Answer, Sender
from service.core.finder import Finder
from service.core.mail_json import header_pairs
from service.core.request import Headers
from service.core.signing import from_ledger
from service.core.source import Part
from tests.fixtures_http import FIXTURES, Case, sign_again
from tests.sources.test_contract import client_of, post, source_of

if TYPE_CHECKING:
    from redis import Redis

    from service.core.events import InboundEvent

BATCHES = [("mandrill", 2), ("sparkpost", 2), ("brevo", 2), ("mailparser", 2), ("parseur", 2)]
SIGNERS = ["mandrill", "sparkpost", "mailersend", "forwardemail"]


def case(name: str, detail: str) -> Case:
    return Case(FIXTURES / name / f"{detail}.http")


def events(name: str, detail: str) -> list[InboundEvent]:
    source, verified = source_of(name), from_ledger(case(name, detail).request)
    return [source.parse(verified, part) for part in source.identify(verified)]


def batch_of(name: str) -> str:
    return {"mailparser": "accepted__rows", "parseur": "accepted__table"}.get(name, "accepted__batch")


@pytest.mark.parametrize(("name", "count"), BATCHES)
def test_each_mail_of_a_batch_is_an_event_of_its_own(name: str, count: int, redis: Redis) -> None:
    client, request = client_of(name, redis), case(name, batch_of(name)).request

    first, second = post(client, request), post(client, request)

    assert first.get_json()["status"] == "accepted"
    assert len(set(first.get_json()["events"])) == count
    assert second.get_json() == {**first.get_json(), "status": "duplicate"}
    assert len({(each.subject, each.body, each.answers) for each in events(name, batch_of(name))}) == count


@pytest.mark.parametrize("name", ["mandrill", "sparkpost", "brevo"])
def test_what_cannot_be_read_keeps_nothing_else_of_its_batch_back(name: str) -> None:
    source = source_of(name)
    verified = from_ledger(case(name, "accepted__broken_one_in_batch").request)
    *broken, whole = source.identify(verified)

    for part in broken:
        with pytest.raises(UnreadableError):
            source.parse(verified, part)
    assert source.parse(verified, whole).sender.email == "ann@customer.example"


@pytest.mark.parametrize(
    ("name", "detail"),
    [("mandrill", "unkept__probe"), ("brevo", "unkept__no_items"), ("mailparser", "unkept__no_rows")],
)
def test_a_batch_of_nothing_has_no_first_mail(name: str, detail: str) -> None:
    with pytest.raises(UnreadableError, match="empty"):
        source_of(name).parse(from_ledger(case(name, detail).request), Part(()))


@pytest.mark.parametrize("name", SIGNERS)
def test_what_a_source_signs_it_takes(name: str) -> None:
    source, request = (
        source_of(name),
        case(name, "forged__signature" if name != "sparkpost" else "forged__token").request,
    )
    with pytest.raises(Unauthorized):
        source.verify(request)

    assert source.verify(sign_again(source, request)).request.body == request.body


@pytest.mark.parametrize("name", SIGNERS)
def test_nothing_that_opens_the_lock_is_stored(name: str) -> None:
    stored = case(name, "accepted__raw").request.without_secrets()

    assert [pair[0] for pair in stored.headers] == ["Host", "User-Agent", "Content-Type"]


@pytest.mark.parametrize(
    ("name", "unauthorized", "unavailable"),
    [
        *[(name, 401, 503) for name in (*SIGNERS, "improvmx", "mailparser", "parseur", "zapier")],
        ("cloudmailin", 503, 503),
        ("brevo", 429, 429),
    ],
)
def test_trouble_has_the_code_on_which_the_vendor_sends_again(
    name: str, unauthorized: int, unavailable: int, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(name, redis)
    stranger = post(
        client,
        replace(case(name, "malformed__not_json").request, headers=Headers(), url=f"{ORIGIN}/hooks/{name}"),
    )
    monkeypatch.setattr(client.application.extensions["bridge"].intake, "keep", refuse)
    known = post(client, sign_again(source_of(name), case(name, accepted(name)).request))

    assert (stranger.status_code, known.status_code) == (unauthorized, unavailable)


def accepted(name: str) -> str:
    return min(path.stem for path in (FIXTURES / name).glob("accepted__*.http"))


def refuse(*_: object) -> None:
    raise Unavailable("no room")


def test_mandrills_probes_are_answered_200(redis: Redis) -> None:
    client = client_of("mandrill", redis)

    assert client.head("/hooks/mandrill").status_code == 200


def test_one_mail_by_two_ways_has_one_late_key() -> None:
    raw = {name: events(name, "accepted__raw")[0].late_keys for name in SIGNERS}

    assert len(set(raw.values())) == 1


def test_a_header_list_may_hold_anything() -> None:
    assert header_pairs([{"From": "a", "Received": ["b", {}]}, "x", None]) == [
        ("From", "a"),
        ("Received", "b"),
        ("Received", ""),
    ]


@pytest.mark.parametrize(
    ("credentials", "written"),
    [
        (b"user:pa:ss", "user:pa%3Ass"),
        (b"user:pa:ss", "user:pa%3ass"),
        (b"user:pa:ss", "user:pa:ss"),
        (b"user:a@b!", "user:a%40b!"),
        (b"us er:a@b!", "us%20er:a%40b%21"),
        (b"user:a@b:!", "user:a%40b:!"),
        ("user:é".encode(), "user:%C3%A9"),
    ],
)
def test_a_password_in_mandrills_url_is_signed_as_it_is_written_there(
    credentials: bytes, written: str
) -> None:
    source, request = source_of("mandrill"), case("mandrill", "accepted__raw").request
    basic = Headers((*request.headers.pairs, ("Authorization", f"Basic {b64encode(credentials).decode()}")))
    at_mandrill = replace(request, url=request.url.replace("https://", f"https://{written}@"))
    signature = sign_again(source, at_mandrill).headers.get("X-Mandrill-Signature")
    arrives = replace(request, headers=basic.replaced(X_Mandrill_Signature=signature))

    assert source.verify(arrives).request is arrives
    with pytest.raises(Unauthorized):
        source.verify(replace(arrives, headers=arrives.headers.replaced(Authorization="Basic dTpw")))


def test_no_long_password_is_written_into_mandrills_url_in_every_way() -> None:
    source, request = source_of("mandrill"), case("mandrill", "accepted__raw").request
    long = b64encode(b"user:" + b"@" * 600).decode()

    arrives = replace(request, headers=request.headers.replaced(Authorization=f"Basic {long}"))

    assert source.verify(arrives).request is arrives


def test_mandrills_own_subject_stands_in_for_a_header_that_is_missing() -> None:
    request = case("mandrill", "accepted__parsed").request
    message = {
        "headers": {"From": "Ann <ann@a.example>"},
        "subject": "Door",
        "text": "Stuck",
        "from_email": "b@b.example",
    }
    body = urlencode({"mandrill_events": json.dumps([{"event": "inbound", "msg": message}])}).encode()

    event = source_of("mandrill").parse(from_ledger(replace(request, body=body)), Part(()))

    assert (event.subject, event.sender.email) == ("Door", "ann@a.example")


@pytest.mark.parametrize("key", ["email", "from"])
def test_a_mailbox_in_a_parsers_field_names_the_sender(key: str) -> None:
    request = case("mailparser", "accepted__json").request
    body = json.dumps({key: "Ann Lee <ann@a.example>", "message": "Stuck"}).encode()

    event = source_of("mailparser").parse(from_ledger(replace(request, body=body)), Part((), "0"))

    assert event.sender == Sender("Ann Lee", "ann@a.example")


@pytest.mark.parametrize(
    ("told", "sender"),
    [
        ("Ann Lee <ann@a.example>", Sender("Ann Lee", "ann@a.example")),
        ("ann@a.example", Sender("", "ann@a.example")),
        ("write to ann@a.example", Sender()),
        ("<nobody>", Sender()),
    ],
)
def test_a_field_meant_for_the_address_may_hold_a_mailbox(told: str, sender: Sender) -> None:
    assert Finder([Answer("E-mail", told), Answer("Message", "Stuck")], {}).sender() == sender
