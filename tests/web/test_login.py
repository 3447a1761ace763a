"""The dashboard's log-in."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from flask import request
from hypothesis import given
from hypothesis import strategies as st

from config.secrets import Secret
from service.dashboard.access import LIFETIME, MAX_TRIES, _inside, _place
from tests.web.conftest import BEARER, PASSWORD, SETTINGS, Browser

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask
    from flask.testing import FlaskClient
    from redis import Redis

    from config.settings import Settings
    from tests.web.acts import Acts

PAGES = ("/", "/events", "/events/some-id", "/dead-letters")


@pytest.mark.parametrize("path", PAGES)
def test_a_stranger_is_sent_to_the_log_in_and_comes_back_from_it(visitor: Browser, path: str) -> None:
    sent = visitor.get(path)
    back = visitor.login(next=sent.request.args.get("next", path))

    assert sent.status_code == 302
    assert sent.location.startswith("/login")
    assert back.location == path


def test_the_address_with_its_query_survives_the_log_in(visitor: Browser) -> None:
    sent = visitor.get("/events?state=dead&q=a%26b", follow_redirects=True)

    back = visitor.login(next=sent.request.args["next"])

    assert visitor.get(back.location).request.args.to_dict() == {"state": "dead", "q": "a&b"}


@pytest.mark.parametrize("path", ["/events/x/replay", "/dead-letters", "/logout"])
def test_a_strangers_change_is_sent_to_the_log_in(visitor: Browser, path: str) -> None:
    answer = visitor.client.post(path)

    assert (answer.status_code, answer.location) == (302, "/login")


def test_a_wrong_password_is_401_and_opens_nothing(visitor: Browser) -> None:
    answer = visitor.login("wrong")

    assert answer.status_code == 401
    assert "That is not the password" in answer.text
    assert visitor.get("/").status_code == 302


def test_the_log_in_needs_the_pages_token(visitor: Browser) -> None:
    answer = visitor.client.post("/login", data={"password": PASSWORD})

    assert answer.status_code == 400
    assert "too old" in answer.text


def test_the_cookie_is_for_this_site_only_and_not_for_scripts(
    make: Callable[..., Flask], visitor: Browser
) -> None:
    plain = visitor.login().headers["Set-Cookie"]
    app = make(replace(SETTINGS, public_url="https://bridge.example"))
    secure = Browser(app.test_client()).client.get("/login").headers["Set-Cookie"]

    assert "HttpOnly" in plain
    assert "SameSite=Lax" in plain
    assert "Secure" not in plain
    assert "Secure" in secure


def test_after_ten_tries_the_eleventh_is_429_even_with_the_password(visitor: Browser, redis: Redis) -> None:
    for _ in range(MAX_TRIES):
        assert visitor.login("wrong").status_code == 401

    refused = visitor.login()

    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 300
    assert "Wait 5 minutes" in refused.text
    redis.expire("bridge:login:127.0.0.1", 60)
    assert "Wait 1 minute." in visitor.login().text


def test_tries_are_counted_for_each_address(visitor: Browser) -> None:
    for _ in range(MAX_TRIES + 1):
        visitor.login("wrong")

    other = visitor.client.post(
        "/login",
        data={"csrf_token": visitor.token(), "password": PASSWORD},
        environ_base={"REMOTE_ADDR": "192.0.2.7"},
    )

    assert other.status_code == 302


def test_the_right_password_forgets_the_tries(visitor: Browser, redis: Redis) -> None:
    visitor.login("wrong")

    visitor.login()

    assert redis.keys("bridge:login:*") == []


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::"),
        ("", "unknown"),
        ("a socket", "unknown"),
    ],
)
def test_tries_are_counted_by_place(address: str, place: str) -> None:
    assert _place(address) == place


@pytest.mark.parametrize(
    "target",
    [
        *(
            "https://evil.example/",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "javascript:alert(1)",
        ),
        *(
            "/\t/evil.example",
            "/\n/evil.example",
            "evil.example",
            "",
            " /events",
            "/%00\0",
            "http:evil.example",
        ),
    ],
)
def test_the_log_in_leads_to_no_other_site(visitor: Browser, target: str) -> None:
    assert visitor.login(next=target).location == "/"


@given(target=st.text(alphabet=st.sampled_from("/\\:.@?#[]%e\t\n \u202e\ud800x"), max_size=12))
def test_whatever_next_says_it_stays_inside(app: Flask, target: str) -> None:
    with app.test_request_context("/login"):
        found = _inside(target)

    assert found.startswith("/")
    assert not found.startswith(("//", "/\\"))


def test_who_is_logged_in_already_goes_on_from_the_log_in(operator: Browser) -> None:
    answer = operator.get("/login?next=/events")

    assert (answer.status_code, answer.location) == (302, "/events")


def test_logging_out_ends_the_session(operator: Browser) -> None:
    left = operator.post("/logout", "/")

    assert left.location == "/login"
    assert "You are logged out." in operator.get("/login").text
    assert operator.get("/").status_code == 302


def test_a_session_ends_after_twelve_hours(operator: Browser) -> None:
    with operator.client.session_transaction() as session:
        session["since"] = int(time.time() - LIFETIME.total_seconds() - 1)

    assert operator.get("/").status_code == 302


@pytest.mark.parametrize(
    "content", [{"who": 5, "since": 1}, {"who": "é", "since": 9e99}, {"since": True}, {}]
)
def test_a_session_with_anything_else_in_it_is_no_session(
    operator: Browser, content: dict[str, object]
) -> None:
    with operator.client.session_transaction() as session:
        session.clear()
        session.update(content)

    assert operator.get("/").status_code == 302


def test_another_password_ends_every_session(make: Callable[..., Flask], operator: Browser) -> None:
    cookie = operator.client.get_cookie("bridge_session")
    assert cookie is not None
    changed = make(replace(SETTINGS, admin_password=Secret("another"))).test_client()
    changed.set_cookie("bridge_session", cookie.value)

    assert changed.get("/").status_code == 302


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (replace(SETTINGS, admin_password=None), "Set BRIDGE_ADMIN_PASSWORD in"),
        (replace(SETTINGS, secret_key=None), "Set BRIDGE_SECRET_KEY in"),
        (
            replace(SETTINGS, admin_password=None, secret_key=None),
            "Set BRIDGE_ADMIN_PASSWORD and BRIDGE_SECRET_KEY in",
        ),
    ],
)
@pytest.mark.parametrize("path", ["/", "/login"])
def test_without_password_or_key_it_is_503_and_says_what_to_set(
    make: Callable[..., Flask], settings: Settings, says: str, path: str
) -> None:
    client = make(settings).test_client()

    answer = client.get(path)

    assert answer.status_code == 503
    assert says in answer.text
    assert client.post(path if path == "/login" else "/logout").status_code == 503
    with client.get("/static/dashboard.css") as styles:
        assert styles.status_code == 200


def test_without_redis_the_log_in_is_503(make: Callable[..., Flask], away: Redis) -> None:
    answer = Browser(make(redis=away).test_client()).login()

    assert answer.status_code == 503
    assert "Redis is away" in answer.text
    assert answer.headers["Retry-After"] == "10"


def test_over_https_a_change_must_come_from_our_own_page(operator: Browser) -> None:
    token = operator.token("/")
    options = {"base_url": "https://localhost", "data": {"csrf_token": token}}
    cookie = operator.client.get_cookie("bridge_session")
    assert cookie is not None

    foreign = operator.client.post("/logout", headers={"Referer": "https://evil.example/"}, **options)
    own = operator.client.post("/logout", headers={"Referer": "https://localhost/"}, **options)

    assert (foreign.status_code, own.status_code) == (400, 302)


def test_hooks_and_api_need_no_token_of_a_page(client: FlaskClient, acts: Acts) -> None:
    taken = client.post("/hooks/web/t", json={"description": "Hello"})
    replayed = client.post(f"/api/events/{acts.ledger.events().events[0].id}/discard", headers=BEARER)

    assert (taken.status_code, replayed.status_code) == (200, 200)


def forwarded(address: str, scheme: str = "http") -> dict[str, str]:
    return {"X-Forwarded-For": address, "X-Forwarded-Proto": scheme, "X-Forwarded-Host": "evil.example"}


def test_behind_a_proxy_that_is_trusted_each_address_has_tries_of_its_own(
    make: Callable[..., Flask],
) -> None:
    app = make(replace(SETTINGS, trusted_proxies=1))
    first, other = Browser(app.test_client()), Browser(app.test_client())
    first.client.environ_base.update(HTTP_X_FORWARDED_FOR="192.0.2.66, 198.51.100.1")
    other.client.environ_base.update(HTTP_X_FORWARDED_FOR="192.0.2.66, 198.51.100.2")

    refused = [first.login("wrong").status_code for _ in range(MAX_TRIES + 1)]

    assert refused == [401] * MAX_TRIES + [429]
    assert other.login().status_code == 302


def test_a_proxy_that_is_not_trusted_is_not_believed(make: Callable[..., Flask]) -> None:
    visitor = Browser(make().test_client())

    refused = []
    for number in range(MAX_TRIES + 1):
        visitor.client.environ_base.update(HTTP_X_FORWARDED_FOR=f"198.51.100.{number}")
        refused.append(visitor.login("wrong").status_code)

    assert refused[-1] == 429


@pytest.mark.parametrize(
    ("proxies", "scheme", "secure"), [(1, "https", True), (1, "http", False), (0, "https", False)]
)
def test_the_cookie_is_secure_where_a_trusted_proxy_speaks_https(
    make: Callable[..., Flask], *, proxies: int, scheme: str, secure: bool
) -> None:
    client = make(replace(SETTINGS, trusted_proxies=proxies)).test_client()

    answer = client.get("/login", headers=forwarded("198.51.100.1", scheme))

    assert ("Secure" in answer.headers["Set-Cookie"]) is secure


def test_a_forwarded_host_is_never_believed(make: Callable[..., Flask]) -> None:
    app = make(replace(SETTINGS, trusted_proxies=1))
    app.add_url_rule("/where", view_func=lambda: request.host_url)

    answer = app.test_client().get("/where", headers=forwarded("198.51.100.1", "https"))

    assert answer.text == "https://localhost/"
