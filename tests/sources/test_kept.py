"""What is stored of a request, in the ledger and in the spool, opens no lock any more."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from config.channels import load_config
from config.settings import load_settings
from service.app import create_app
from service.core.capture import ORIGIN
from service.core.errors import UnreadableError
from service.core.forms import MULTIPART, URLENCODED, read_form, without_fields
from service.core.registry import discover
from service.core.request import Headers, InboundRequest, masked
from service.core.signing import from_ledger
from service.core.store import connect
from tests.fixtures_http import FIXTURES, Case, cases, load_channel
from tests.sources.test_contract import HEAD, client_of, post, source_of

if TYPE_CHECKING:
    from pathlib import Path

    from flask.testing import FlaskClient
    from redis import Redis

    from service.core.events import InboundEvent
    from service.core.source import Part, Source
    from service.web import Web
    from tests.conftest import Valkey

ACCEPTED = [case for case in cases() if case.outcome == "accepted"]
TOKEN = b"token-for-tests/0001+="
BOUNDARY = "b"


def opens(name: str) -> set[bytes]:
    """Give what opens the channel's locks, as it is and as it may be written."""
    locks = load_channel(name).options.locks
    values = {*locks.secrets, *locks.basic, *locks.tokens}
    return values | {quote_from_bytes(value, safe="").encode() for value in values}


def stored(client: FlaskClient, case: Case) -> bytes:
    event = post(client, case.request).headers["X-Bridge-Event"]
    web: Web = client.application.extensions["bridge"]
    kept = web.ledger.request(web.ledger.event(event))
    assert kept is not None
    return json.dumps([kept.url, list(kept.headers)]).encode() + kept.body


@pytest.mark.parametrize("case", ACCEPTED, ids=str)
def test_nothing_that_opens_a_lock_of_the_channel_is_stored(case: Case, redis: Redis) -> None:
    kept = stored(client_of(case.source, redis), case)

    assert not [value for value in opens(case.source) if value in kept]


@pytest.mark.parametrize(
    ("name", "detail", "gone"),
    [
        ("wufoo", "accepted__entry", [b"HandshakeKey"]),
        ("jotform", "accepted__questions", [b"webhookURL"]),
        ("mailgun", "accepted__parsed", [b"signature="]),
        ("mailgun", "accepted__attachment", [b'name="signature"']),
        ("ses", "accepted__base64", [b'"Signature"', b"UnsubscribeURL"]),
    ],
)
def test_what_a_vendor_puts_into_the_body_to_open_a_lock_is_left_out(
    name: str, detail: str, gone: list[bytes], redis: Redis
) -> None:
    case = Case(FIXTURES / name / f"{detail}.http")

    kept = stored(client_of(name, redis), case)

    assert all(word in case.request.body for word in gone)
    assert not any(word in kept for word in gone)


def told(source: Source, request: InboundRequest, part: Part) -> InboundEvent | str:
    try:
        return source.parse(from_ledger(request), part)
    except UnreadableError as error:
        return str(error)


@pytest.mark.parametrize("case", ACCEPTED, ids=str)
def test_what_is_kept_makes_the_same_event_as_what_came(case: Case) -> None:
    source, request = source_of(case.source), case.request
    parts = source.identify(from_ledger(request))

    came = [told(source, request, part) for part in parts]

    assert [told(source, source.kept(request), part) for part in parts] == came


def test_the_spool_holds_what_the_ledger_would(valkey: Valkey, tmp_path: Path) -> None:
    lines = (FIXTURES / "wufoo" / "channel.toml").read_text("utf-8").splitlines(keepends=True)
    config = load_config(HEAD + "".join(line for line in lines if not line.startswith("now")), environ={})
    settings = replace(load_settings({"BRIDGE_PUBLIC_URL": ORIGIN}), data=tmp_path, data_persistent=True)
    with connect(f"{valkey.url}-gone") as away:
        client = create_app(settings, config, away).test_client()

        answer = post(client, Case(FIXTURES / "wufoo" / "accepted__entry.http").request)

    files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert answer.headers["X-Bridge-Status"] == "accepted"
    assert b"EntryId=" in files
    assert not [value for value in (*opens("wufoo"), b"HandshakeKey") if value in files]


@pytest.mark.parametrize("written", [TOKEN, quote_from_bytes(TOKEN, safe="").encode()])
def test_a_token_that_a_vendor_repeats_becomes_stars(written: bytes) -> None:
    channel = load_channel("paperform")
    options = replace(channel.options, locks=replace(channel.options.locks, tokens=(b"short", TOKEN)))
    body = b'{"url": "https://bridge.example/hooks/x/' + written + b'", "short": 1}'
    request = InboundRequest("POST", f"{ORIGIN}/hooks/x", Headers(), body)

    kept = discover()["paperform"](options).kept(request).body

    assert kept == body.replace(written, b"*" * len(written))


def test_a_password_that_a_vendor_repeats_becomes_stars() -> None:
    pair = b"bridge:password-for-tests"

    assert masked(b"https://bridge:password-for-tests@x", [pair]) == b"https://" + b"*" * len(pair) + b"@x"
    assert masked(base64.b64encode(pair), [pair]) == base64.b64encode(pair)


NAMES = st.sampled_from(["a", "HandshakeKey", "é", "b=c", ""])
FIELDS = st.lists(st.tuples(NAMES, st.binary(max_size=8)), max_size=6)


@given(FIELDS)
def test_other_fields_of_a_form_are_as_they_were(fields: list[tuple[str, bytes]]) -> None:
    pairs = ((quote_from_bytes(name.encode()), quote_from_bytes(value)) for name, value in fields)
    request = form(URLENCODED, "&".join(f"{name}={value}" for name, value in pairs).encode())

    rest = read_form(without_fields(request, {"HandshakeKey"}))

    assert rest.fields == tuple(pair for pair in read_form(request).fields if pair[0] != "HandshakeKey")


@given(FIELDS, st.sampled_from([b"", b"\r\n"]), st.sampled_from(["; filename=x", ""]))
def test_other_parts_of_a_form_are_as_they_were(
    fields: list[tuple[str, bytes]], before: bytes, file: str
) -> None:
    parts = (
        f'--{BOUNDARY}\r\nX-A: b\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode()
        + value.replace(b"--", b"")
        + b"\r\n"
        for name, value in [*fields, ("last", b"")]
    )
    request = form(
        f"{MULTIPART}; boundary={BOUNDARY}", before + b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()
    )
    came = read_form(request)

    rest = read_form(without_fields(request, {"HandshakeKey", "b=c"}))

    gone = {"HandshakeKey", "b=c"}
    assert rest.fields == tuple(pair for pair in came.fields if pair[0] not in gone)
    assert rest.files == tuple(each for each in came.files if each.name not in gone)


@given(
    st.binary(max_size=200), st.sampled_from([URLENCODED, MULTIPART, f"{MULTIPART}; boundary=b", "text/x"])
)
def test_a_body_without_the_field_stays_as_it_came(body: bytes, kind: str) -> None:
    assume(b"HandshakeKey" not in body)
    request = form(kind, body)

    assert without_fields(request, {"HandshakeKey"}).body == body


def form(kind: str, body: bytes) -> InboundRequest:
    return InboundRequest("POST", f"{ORIGIN}/hooks/x", Headers.of([("Content-Type", kind)]), body)
