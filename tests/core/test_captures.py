"""The next requests of a channel become fixture files: no secret in them, and they still work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from config.channels import load_config
from config.settings import load_settings
from service.app import create_app
from service.core.capture import ORIGIN, parse_http
from service.core.captures import CAPTURES, Captures
from service.core.registry import discover
from service.core.request import InboundRequest
from tests.fixtures_http import FIXTURES, Case, cases, load_channel, sign_again
from tests.sources.test_contract import HEAD, credentials, post, source_of

if TYPE_CHECKING:
    from pathlib import Path

    from flask.testing import FlaskClient
    from redis import Redis

ACCEPTED = {name: next(case for case in cases(name) if case.outcome == "accepted") for name in discover()}


def client_on(data: Path, redis: Redis, source: str, more: str = "") -> FlaskClient:
    text = (FIXTURES / source / "channel.toml").read_text("utf-8")
    table = "".join(
        line for line in text.splitlines(keepends=True) if not line.startswith(("now =", "key ="))
    )
    head, _, rest = f"{more}\n{table}".partition("[[")
    config = load_config(HEAD + head + ("[[" + rest if rest else ""), environ={})
    settings = load_settings({"BRIDGE_PUBLIC_URL": ORIGIN, "BRIDGE_DATA": str(data)})
    return create_app(settings, config, redis, clock=load_channel(source).clock).test_client()


def taken(data: Path, source: str) -> list[Path]:
    return sorted((data / CAPTURES / source).glob("*.http"))


def unlocked(source: str, request: InboundRequest) -> InboundRequest:
    """Give a capture the channel's own credentials, as its fixture would have them."""
    ours = dict(credentials(source))
    headers = request.headers.replaced(**{name.replace("-", "_"): value for name, value in ours.items()})
    bare = InboundRequest(request.method, f"{ORIGIN}/hooks/{source}", headers, request.body)
    return sign_again(source_of(source), bare)


@pytest.mark.parametrize("source", sorted(ACCEPTED))
def test_a_capture_of_every_source_holds_no_secret_and_is_accepted_when_signed_again(
    source: str, redis: Redis, tmp_path: Path
) -> None:
    client = client_on(tmp_path, redis, source, "capture = 1")
    post(client, ACCEPTED[source].request)

    (path,) = taken(tmp_path, source)

    locks = load_channel(source).options.locks
    raw = path.read_bytes()
    assert not any(secret in raw for secret in (*locks.secrets, *locks.basic, *locks.tokens))
    assert b"ann@example.com" not in raw
    assert path.stat().st_mode & 0o077 == 0
    assert post(client, unlocked(source, parse_http(raw))).status_code in {200, 303}


def test_as_many_as_the_channel_says_are_kept_and_what_is_refused_at_the_door_is_not(
    redis: Redis, tmp_path: Path
) -> None:
    client = client_on(tmp_path, redis, "json", "capture = 2")
    client.post("/hooks/json", json={"text": "no token"})
    for text in ("one", "two", "three"):
        client.post("/hooks/json", json={"text": text}, headers=dict(credentials("json")))

    files = taken(tmp_path, "json")

    assert [file.name for file in files] == ["0001.http", "0002.http"]
    assert b"one" in files[0].read_bytes()
    assert list((tmp_path / CAPTURES / "json").glob(".*")) == []


@pytest.mark.parametrize(
    "name", ["slack/handshake__ssl_check", "slack/handshake__url_verification", "formspree/unkept__rest_hook"]
)
def test_a_handshake_which_perhaps_needs_no_lock_takes_no_captures_place(
    name: str, redis: Redis, tmp_path: Path
) -> None:
    case = Case(FIXTURES / f"{name}.http")
    client = client_on(tmp_path, redis, case.source, "capture = 1")

    assert post(client, case.request).status_code == 200
    assert taken(tmp_path, case.source) == []


def test_what_is_asked_for_comes_on_top_and_ends(redis: Redis, tmp_path: Path) -> None:
    client = client_on(tmp_path, redis, "form")
    captures = Captures(tmp_path / CAPTURES)

    client.post("/hooks/form", data={"message": "before"})
    first = captures.want("form", 1)
    client.post("/hooks/form", data={"message": "one"})
    second = captures.want("form", 2)
    client.post("/hooks/form", data={"message": "two"})
    captures.enough("form")
    client.post("/hooks/form", data={"message": "after"})

    assert [file.name for file in (*first, *second)] == ["0001.http", "0002.http", "0003.http"]
    assert taken(tmp_path, "form") == [first[0], second[0]]


def test_a_number_that_another_process_took_meanwhile_is_left_to_it(
    redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_on(tmp_path, redis, "form", "capture = 3")
    client.post("/hooks/form", data={"message": "one"})
    client.post("/hooks/form", data={"message": "two"})
    monkeypatch.setattr(Captures, "_taken", lambda *_: [])

    client.post("/hooks/form", data={"message": "three"})

    assert [b"three" in file.read_bytes() for file in taken(tmp_path, "form")] == [False, False, True]


def test_where_all_numbers_were_taken_meanwhile_nothing_is_kept(
    redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    captures = Captures(tmp_path / CAPTURES)
    client = client_on(tmp_path, redis, "form")
    (first,) = captures.want("form", 1)
    first.write_bytes(b"another's")
    monkeypatch.setattr("service.core.captures._full", lambda *_: False)

    client.post("/hooks/form", data={"message": "one"})

    assert taken(tmp_path, "form") == [first]
    assert first.read_bytes() == b"another's"


@pytest.mark.parametrize("wanted", [b"", b"x", b"\xff", b"-1", b"9" * 30])
def test_a_broken_switch_is_off(wanted: bytes, redis: Redis, tmp_path: Path) -> None:
    client = client_on(tmp_path, redis, "form")
    Captures(tmp_path / CAPTURES).want("form", 1)
    (tmp_path / CAPTURES / "form" / "wanted").write_bytes(wanted)

    assert client.post("/hooks/form", data={"message": "one"}).status_code == 200
    assert taken(tmp_path, "form") == []


def test_a_disk_that_takes_nothing_or_a_body_too_large_costs_the_sender_nothing(
    redis: Redis, tmp_path: Path
) -> None:
    client = client_on(tmp_path / "blocked", redis, "form", "capture = 1")
    (tmp_path / "blocked").write_bytes(b"a file")
    roomy = client_on(tmp_path / "roomy", redis, "form", "capture = 1")

    assert client.post("/hooks/form", data={"message": "one"}).status_code == 200
    assert roomy.post("/hooks/form", data={"message": "x" * 600_000}).status_code == 200
    assert taken(tmp_path / "roomy", "form") == []


def test_what_no_source_can_read_is_captured_all_the_same(redis: Redis, tmp_path: Path) -> None:
    client = client_on(tmp_path, redis, "json", "capture = 1")

    client.post("/hooks/json", data=b"not json", headers=dict(credentials("json")), content_type="a/b")

    (path,) = taken(tmp_path, "json")
    assert parse_http(path.read_bytes()).body == b"not json"
