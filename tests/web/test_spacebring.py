"""The page Spacebring: how the bridge is connected, and the log-in through a browser's eyes."""

from __future__ import annotations

import importlib
import re
from html import unescape
from typing import TYPE_CHECKING

import pytest

from cli.wsgi import connect_spacebring, make_app
from config.secrets import Secret
from sandbox.app import create_app as create_sandbox
from sandbox.options import SandboxOptions
from sandbox.server import running
from service.app import create_app
from service.core.tokens import BY_CLI, BY_DASHBOARD, Tokens, TokenStore
from tests.oauth import Connection, answered, consent, settings
from tests.web.conftest import CONFIG, PASSWORD, Browser

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis import Redis

    from tests.conftest import Valkey

PAGE = "/spacebring"


@pytest.fixture
def connection(redis: Redis) -> Iterator[Connection]:
    with running(create_sandbox(SandboxOptions(locations={}, rate=0))) as base:
        yield Connection(base, redis)


@pytest.fixture
def open_page(connection: Connection) -> Callable[..., Browser]:
    """Give an operator who is logged in to a bridge with these settings."""

    def open_it(**changes: object) -> Browser:
        chosen = settings(connection.base, admin_password=Secret(PASSWORD), **changes)
        app = create_app(chosen, CONFIG, connection.redis, connect_spacebring=connect_spacebring)
        app.testing = True
        browser = Browser(app.test_client())
        assert browser.login().status_code == 302
        return browser

    return open_it


def leave(browser: Browser, **fields: object) -> str:
    """Press the button and give the address at Spacebring that the page leads to."""
    page = browser.post(f"{PAGE}/connect", PAGE, **fields).text
    found = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', page)
    assert found is not None
    return unescape(found[1])


def come_back(browser: Browser, address: str) -> str:
    path = address.partition("://")[2].partition("/")[2]
    assert browser.get(f"/{path}").headers["Location"] == PAGE
    return browser.get(PAGE).text


@pytest.mark.parametrize("fields", [{}, {"no_pkce": "yes"}])
def test_an_operator_connects_spacebring(
    open_page: Callable[..., Browser], connection: Connection, fields: dict[str, str]
) -> None:
    operator = open_page()

    url = leave(operator, **fields)
    page = come_back(operator, consent(url))

    tokens = connection.tokens()
    assert ("code_challenge" in url) is not bool(fields)
    assert "Spacebring is connected" in page
    assert f"by {BY_DASHBOARD}" in page
    assert tokens.access not in page
    assert tokens.refresh not in page


def test_the_public_address_is_what_spacebring_sends_back_to(open_page: Callable[..., Browser]) -> None:
    operator = open_page(public_url="https://bridge.example/in")

    url = leave(operator)

    assert answered(url)["redirect_uri"] == "https://bridge.example/in/spacebring/callback"
    assert "https://bridge.example/in/spacebring/callback" in operator.get(PAGE).text


def test_a_log_in_begun_in_another_browser_is_refused(
    open_page: Callable[..., Browser], connection: Connection
) -> None:
    address = consent(leave(open_page()))

    page = come_back(open_page(), address)

    assert "was not begun here" in page
    assert connection.store.tokens() is None


def test_a_log_in_of_the_command_line_ends_here(
    open_page: Callable[..., Browser], connection: Connection
) -> None:
    begun = connection.login().begin("http://localhost/spacebring/callback", origin=BY_CLI)

    page = come_back(open_page(), consent(begun.url))

    assert "Spacebring is connected" in page
    assert connection.tokens().origin == BY_CLI


def test_what_spacebring_says_is_shown_only_to_who_began(open_page: Callable[..., Browser]) -> None:
    operator = open_page()

    denied = come_back(operator, consent(leave(operator), "deny"))
    forged = come_back(operator, "http://localhost/spacebring/callback?error=call+0900&state=x")

    assert "It said: The person did not consent" in denied
    assert "did not let the bridge in" in forged
    assert "0900" not in forged


def test_nobody_connects_without_the_forms_token_or_a_session(open_page: Callable[..., Browser]) -> None:
    operator = open_page()

    assert operator.client.post(f"{PAGE}/connect").status_code == 400
    operator.post("/logout", PAGE)
    for path in (PAGE, f"{PAGE}/callback?code=x&state=y"):
        assert operator.get(path).headers["Location"].startswith("/login")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "By Basic credentials"),
        ({"token": Secret("t")}, "By the bearer token"),
        ({"refresh_token": Secret("r")}, "which no worker has used yet"),
        ({"client_id": None, "client_secret": None}, "no credentials are set"),
    ],
)
def test_the_page_says_how_the_bridge_is_connected(
    open_page: Callable[..., Browser], changes: dict[str, object], said: str
) -> None:
    assert said in open_page(**changes).get(PAGE).text


def test_the_page_says_what_a_log_in_lacks(open_page: Callable[..., Browser]) -> None:
    operator = open_page(client_id=None, client_secret=None, network_id=None)

    page = operator.get(PAGE).text

    assert "SPACEBRING_CLIENT_ID and SPACEBRING_CLIENT_SECRET are not set" in page
    assert "SPACEBRING_NETWORK_ID is not set" in page
    assert '<button class="main">' not in page
    token = operator.token(PAGE)
    assert operator.client.post(f"{PAGE}/connect", data={"csrf_token": token}).headers["Location"] == PAGE
    assert operator.get(f"{PAGE}/callback?code=x").headers["Location"] == PAGE


def test_a_web_side_of_its_own_cannot_log_in(connection: Connection) -> None:
    chosen = settings(connection.base, admin_password=Secret(PASSWORD))
    browser = Browser(create_app(chosen, CONFIG, connection.redis).test_client())
    browser.login()

    assert "was not started by `bridge web`" in browser.get(PAGE).text


def test_a_refused_renewal_and_unreadable_tokens_are_told(
    open_page: Callable[..., Browser], connection: Connection, redis: Redis
) -> None:
    operator = open_page()
    connection.store.put(Tokens("r", 1e9, BY_CLI))
    connection.store.refuse(connection.store.snapshot(), "it is <b>dead</b>")
    refused = operator.get(PAGE).text
    TokenStore(redis, Secret("other")).put(Tokens("r", 1e9, BY_CLI))

    assert "It said: it is &lt;b&gt;dead&lt;/b&gt;" in refused
    assert "not yet" in refused
    assert "BRIDGE_SECRET_KEY is not the one" in operator.get(PAGE).text


def test_without_a_key_the_dashboard_is_switched_off(connection: Connection) -> None:
    app = create_app(settings(connection.base, secret_key=None), CONFIG, connection.redis)

    assert app.test_client().get(PAGE).status_code == 503


def test_gunicorn_finds_either_web_side(
    connection: Connection, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", valkey.url)
    monkeypatch.setenv("BRIDGE_CONFIG", "[spacebring]\nrate = 5")

    for app in (make_app(), importlib.import_module("service.wsgi").app):
        assert app.test_client().get("/livez").status_code == 200
