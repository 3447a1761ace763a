"""`POST /hooks/<channel>`: the answers of the door, whoever knocks."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from config.channels import load_config
from config.errors import ConfigError
from config.settings import load_settings
from service.app import create_app
from service.core.errors import UnreadableError
from service.core.registry import discover
from service.core.source import Key, Part
from service.core.store import connect
from service.core.wiring import Door

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from redis import Redis

    from service.core.signing import Verified
    from service.web import Web
    from tests.conftest import Valkey

CONFIG = """
[spacebring]
location = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
[ledger]
max_body = 65536
[[channels]]
name = "website"
source = "form"
public = true
redirects = ["https://www.example.com"]
[[channels]]
name = "mail"
source = "postmark"
basic = "user:password"
[[channels]]
name = "asked"
source = "typeform"
secret = "secret-for-tests"
"""
FORM = {"email": "ann@example.com", "message": "Cold room"}


def app_on(redis: Redis) -> FlaskClient:
    return create_app(load_settings({}), load_config(CONFIG, environ={}), redis).test_client()


@pytest.fixture
def client(redis: Redis) -> FlaskClient:
    return app_on(redis)


def test_a_channel_that_does_not_exist_is_404(client: FlaskClient) -> None:
    answer = client.post("/hooks/nowhere")

    assert answer.status_code == 404
    assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize("path", ["/hooks/website", "/hooks/website/"])
def test_a_slash_at_the_end_makes_no_other_channel_of_it(client: FlaskClient, path: str) -> None:
    assert client.post(path, data=FORM, headers={"Accept": "application/json"}).status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_probe_of_the_url_is_answered_200(client: FlaskClient, method: str) -> None:
    assert client.open("/hooks/mail", method=method).status_code == 200


def test_a_browser_is_thanked_and_the_event_named_in_headers(client: FlaskClient) -> None:
    answer = client.post("/hooks/website", data=FORM)

    assert answer.status_code == 200
    assert answer.content_type == "text/html; charset=utf-8"
    assert f"sb-{answer.headers['X-Bridge-Event'][-10:]}" in answer.text
    assert answer.headers["X-Bridge-Status"] == "accepted"


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("https://www.example.com/thanks", 303),
        ("https://evil.example/", 200),
        ("javascript:alert(1)", 200),
        ("https://www.example.com\\@evil.example", 200),
        ("https://[", 200),
    ],
)
def test_a_browser_is_sent_on_to_allowed_origins_only(client: FlaskClient, target: str, status: int) -> None:
    answer = client.post("/hooks/website", data={**FORM, "_next": target})

    assert answer.status_code == status
    assert answer.headers.get("Location") == (target if status == 303 else None)


def test_what_is_wrong_with_a_form_is_told_to_a_person_as_a_page(client: FlaskClient) -> None:
    answer = client.post(
        "/hooks/website",
        data={**FORM, "email": "<b>no</b>"},
        headers={"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"},
    )

    assert answer.status_code == 422
    assert "<strong>email</strong>" in answer.text


def test_a_person_whose_form_cannot_be_taken_reads_what_to_do() -> None:
    client = app_on(connect("unix:///nowhere/at/all.sock"))

    answer = client.post("/hooks/website", data=FORM, headers={"Accept": "text/html"})

    assert (answer.status_code, answer.content_type) == (503, "text/html; charset=utf-8")
    assert "send it again in a minute" in answer.text
    assert answer.headers["Retry-After"]


def test_what_is_wrong_with_a_form_is_told_to_a_program_field_by_field(client: FlaskClient) -> None:
    answer = client.post("/hooks/website", data={**FORM, "email": "no"})

    assert answer.status_code == 422
    assert answer.get_json()["errors"] == [{"field": "email", "detail": "Not a valid e-mail address."}]


def test_a_wrong_password_is_told_how_to_log_in(client: FlaskClient) -> None:
    answer = client.post("/hooks/mail", json={}, auth=("user", "wrong"))

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")


def test_a_missing_signature_asks_for_no_password(client: FlaskClient) -> None:
    answer = client.post("/hooks/asked", json={})

    assert answer.status_code == 401
    assert "WWW-Authenticate" not in answer.headers


def test_a_body_beyond_the_limit_is_413(client: FlaskClient) -> None:
    answer = client.post("/hooks/website", data={**FORM, "message": "x" * 70_000})

    assert answer.status_code == 413
    assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize(("size", "status"), [(65_536 - 12, 200), (65_536 - 11, 413)])
def test_a_body_of_unknown_length_is_refused_like_any_other_and_not_cut_off(
    client: FlaskClient, size: int, status: int
) -> None:
    answer = client.post(
        "/hooks/website",
        input_stream=BytesIO(b"message=" + b"x" * size + b"&a=b"),
        headers={"Content-Type": "application/x-www-form-urlencoded", "Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )

    assert answer.status_code == status


def test_a_content_type_that_is_not_the_sources_is_415(client: FlaskClient) -> None:
    answer = client.post("/hooks/mail", data=b"x", auth=("user", "password"))

    assert answer.status_code == 415
    assert "a body without a content type" in answer.get_json()["detail"]


def test_without_redis_the_sender_is_asked_to_come_again() -> None:
    answer = app_on(connect("unix:///nowhere/at/all.sock")).post("/hooks/website", data=FORM)

    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0


def test_the_app_reads_the_environment_where_nothing_is_passed(
    valkey: Valkey, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRIDGE_CONFIG", CONFIG)
    with pytest.raises(ConfigError, match="REDIS_URL"):
        create_app()

    monkeypatch.setenv("REDIS_URL", valkey.url)

    assert create_app().test_client().get("/livez").status_code == 200


def test_a_verified_body_that_is_not_the_sources_is_kept_whole(client: FlaskClient) -> None:
    answer = client.post("/hooks/mail", data=b"{", content_type="application/json", auth=("user", "password"))

    assert answer.get_json()["status"] == "accepted"


def test_several_events_of_one_request_are_all_named(redis: Redis) -> None:
    class Batch(discover()["form"]):  # type: ignore[misc] # a base chosen at run time
        def identify(self, verified: Verified) -> list[Part]:
            return [Part((Key("one"),), "1"), Part((Key("two"),), "2")]

    client = app_on(redis)
    web: Web = client.application.extensions["bridge"]
    door = web.doors["website"]
    batch = Door(door.channel, Batch(door.source.options))
    client.application.extensions["bridge"] = replace(web, doors={"website": batch})

    answer = client.post("/hooks/website", data=FORM, headers={"Accept": "application/json"}).get_json()

    assert len(answer["events"]) == 2
    assert answer["event"] == answer["events"][0]


def test_a_path_below_the_hooks_that_is_none_is_told_as_json(client: FlaskClient) -> None:
    answer = client.delete("/hooks/website")

    assert answer.status_code == 405
    assert answer.get_json()["code"] == 405


def test_a_body_that_a_source_with_a_verdict_cannot_read_is_422(redis: Redis) -> None:
    class Unsure(discover()["form"]):  # type: ignore[misc] # a base chosen at run time
        def identify(self, verified: Verified) -> list[Part]:
            raise UnreadableError("not a form of ours")

    client = app_on(redis)
    web: Web = client.application.extensions["bridge"]
    door = web.doors["website"]
    unsure = Door(door.channel, Unsure(door.source.options))
    client.application.extensions["bridge"] = replace(web, doors={"website": unsure})

    assert client.post("/hooks/website", data=FORM).status_code == 422
