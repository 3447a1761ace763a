"""The authorization-code flow against the sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandbox.app import create_app
from sandbox.options import SandboxOptions
from sandbox.server import running
from service.core.errors import LoginRefused
from service.core.tokens import BY_CLI, BY_DASHBOARD, PendingLogin
from tests.oauth import REDIRECT, Connection, answered, consent
from workers.spacebring.token_endpoint import SCOPE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from tests.spacebring.conftest import Peer


@pytest.fixture
def connection(redis: Redis) -> Iterator[Connection]:
    with running(create_app(SandboxOptions(locations={}, rate=0))) as base:
        yield Connection(base, redis)


@pytest.mark.parametrize("pkce", [True, False])
def test_a_person_who_consents_connects_the_bridge(connection: Connection, *, pkce: bool) -> None:
    login = connection.login(clock=lambda: 1_000.0)
    begun = login.begin(REDIRECT, origin=BY_DASHBOARD, pkce=pkce)

    back = consent(begun.url)
    login.finish(begun.state, answered(back)["code"], begun_here=True)

    assert back.startswith(f"{REDIRECT}?")
    assert answered(back)["state"] == begun.state
    assert ("code_challenge" in begun.url) is pkce
    tokens = connection.tokens()
    assert (tokens.origin, tokens.connected, tokens.expires) == (BY_DASHBOARD, 1_000, 4_600)
    assert tokens.scope == SCOPE


def test_a_log_in_ends_once(connection: Connection) -> None:
    login = connection.login()
    begun = login.begin(REDIRECT, origin=BY_CLI)
    code = answered(consent(begun.url))["code"]
    login.finish(begun.state, code, begun_here=True)

    with pytest.raises(LoginRefused, match="ended already"):
        login.finish(begun.state, code, begun_here=True)


def test_only_a_log_in_of_the_command_line_ends_elsewhere(connection: Connection) -> None:
    login = connection.login()
    ours, cli = (login.begin(REDIRECT, origin=origin) for origin in (BY_DASHBOARD, BY_CLI))

    with pytest.raises(LoginRefused, match="not begun here"):
        login.finish(ours.state, answered(consent(ours.url))["code"], begun_here=False)
    login.finish(cli.state, answered(consent(cli.url))["code"], begun_here=False)

    assert connection.tokens().origin == BY_CLI


def test_a_code_without_the_verifier_that_was_promised_is_refused(connection: Connection) -> None:
    login = connection.login()
    begun = login.begin(REDIRECT, origin=BY_CLI)
    code = answered(consent(begun.url))["code"]
    connection.store.begin(begun.state, PendingLogin(REDIRECT, BY_CLI, "another verifier"))

    with pytest.raises(LoginRefused, match="code verifier does not fit"):
        login.finish(begun.state, code, begun_here=True)

    assert connection.store.tokens() is None


def test_a_grant_that_cannot_be_renewed_is_no_log_in(connection: Connection, peer: Peer) -> None:
    peer.answers(200, b'{"access_token": "a"}')
    login = Connection(peer.url, connection.redis).login()

    with pytest.raises(LoginRefused, match="no refresh token"):
        login.finish(login.begin(REDIRECT, origin=BY_CLI).state, "code", begun_here=True)
