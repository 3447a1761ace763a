"""`POST /hooks/<channel>`: the answers of the door, whoever knocks."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

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
name = "locked"
source = "form"
token = "token-for-tests-0001"
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


@pytest.mark.parametrize("token", ["token-for-tests-0001", "ends-with-a-slash-01/"])
def test_a_slash_behind_the_url_is_no_other_token(redis: Redis, token: str) -> None:
    config = load_config(f'{CONFIG}[[channels]]\nname="slash"\nsource="form"\ntoken="{token}"\n', environ={})
    client = create_app(load_settings({}), config, redis).test_client()
    url = f"/hooks/slash/{token.removesuffix('/')}"

    assert client.post(f"{url}/", data=FORM).status_code == 200
    assert client.post(url, data=FORM).status_code == (401 if token.endswith("/") else 200)
    assert client.post(f"{url}//", data=FORM).status_code == (200 if token.endswith("/") else 401)
    assert client.post("/hooks/slash/another/", data=FORM).status_code == 401


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
        ("https://www.example.com:443/thanks", 303),
        ("https://www.example.com?x", 303),
        ("https://www.example.com:8443/", 200),
        ("https://www.example.com:x/", 200),
        ("http://www.example.com:443/", 200),
        ("https://www.example.com:443@evil.example/", 200),
        ("https://user@www.example.com/", 200),
        ("https://www.example.com.evil.example/", 200),
        ("//www.example.com/", 200),
        ("https:www.example.com", 200),
        ("https:///www.example.com", 200),
        ("https://www.example.com\tevil.example", 200),
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
    assert "<strong>Email</strong>: Not a valid e-mail address." in answer.text
    assert answer.text.count("e-mail address") == 1


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

    assert (answer.status_code, answer.content_type) == (405, "application/problem+json")
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS, POST"
    assert answer.get_json() == {
        "title": "Method not allowed",
        "status": 405,
        "detail": "DELETE is not served here: send by POST",
    }


def test_a_path_that_names_no_channel_is_told_as_json(client: FlaskClient) -> None:
    answer = client.post("/hooks/")

    assert (answer.status_code, answer.content_type) == (404, "application/problem+json")


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


HTML = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/json", "application/json"),
        ("application/json, text/plain, */*", "application/json"),
        ("text/html, application/json;q=0.1", "text/html"),
        ("text/html;q=0.1, application/json;q=0.9", "application/json"),
        ("*/*", "text/html"),
        ("", "text/html"),
    ],
)
def test_a_form_is_answered_as_its_sender_prefers(client: FlaskClient, accept: str, kind: str) -> None:
    answer = client.post("/hooks/website", data=FORM, headers={"Accept": accept})

    assert answer.status_code == 200
    assert answer.mimetype == kind


def test_a_person_reads_what_is_wrong_whatever_it_is(client: FlaskClient) -> None:
    wrong = [
        (client.post("/hooks/website", data={"email": ""}, headers=HTML), 422, "Nothing was filled in."),
        (client.post("/hooks/website", data={**FORM, "_replyto": "x"}, headers=HTML), 422, ">E-mail<"),
        (
            client.post("/hooks/website", data={"text": "a", "f[your-email]": "x"}, headers=HTML),
            422,
            ">Your email<",
        ),
        (client.post("/hooks/website", data={"a": "x" * 70_000}, headers=HTML), 413, "with smaller files"),
        (client.post("/hooks/website", json={}, headers=HTML), 415, "tell whoever runs it"),
        (client.post("/hooks/locked/wrong", data=FORM, headers=HTML), 401, "tell whoever runs it"),
        (client.get("/hooks/website?message=Cold", headers=HTML), 405, "send it by POST"),
    ]

    for answer, status, text in wrong:
        assert (answer.status_code, answer.mimetype) == (status, "text/html")
        assert text in answer.text
        assert "token-for-tests" not in answer.text


def test_a_page_for_a_person_needs_nothing_and_is_kept_nowhere(client: FlaskClient) -> None:
    for answer in (
        client.post("/hooks/website", data=FORM, headers=HTML),
        client.post("/hooks/website", data={"a": ""}, headers=HTML),
    ):
        nonce = answer.text.partition('<style nonce="')[2].partition('"')[0]
        assert len(nonce) > 16
        assert answer.headers["Content-Security-Policy"] == (
            f"default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'"
        )
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Robots-Tag"] == "noindex"
        assert '<meta name="robots" content="noindex">' in answer.text
        assert "://" not in answer.text


def test_what_is_sent_by_get_is_refused_to_a_caller_that_reads_the_answer(client: FlaskClient) -> None:
    answer = client.get("/hooks/website?message=Cold&token=x")

    assert (answer.status_code, answer.content_type) == (405, "application/problem+json")
    assert answer.headers["Allow"] == "POST, GET, HEAD, OPTIONS"
    assert client.get("/hooks/website?token=x").status_code == 200


def test_what_a_vendor_sends_by_get_is_logged_but_not_what_it_is(client: FlaskClient) -> None:
    with capture_logs() as logs:
        statuses = [
            client.get(f"/hooks/mail?{query}").status_code
            for query in ("token=x", "name=Ann&text=Cold&token=x")
        ]

    (told,) = [log for log in logs if log["event"] == "get_with_data"]
    assert statuses == [200, 200]
    assert (told["channel"], told["parameters"]) == ("mail", 2)
    assert "Cold" not in str(logs)
