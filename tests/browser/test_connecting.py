"""An operator connects Spacebring in a real browser, against the sandbox's page of consent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cli.wsgi import connect_spacebring
from config.secrets import Secret
from sandbox.app import create_app as create_sandbox
from sandbox.options import SandboxOptions
from sandbox.server import running
from service.app import create_app
from service.core.tokens import BY_DASHBOARD
from tests.oauth import Connection, settings
from tests.web.conftest import CONFIG, PASSWORD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from tests.browser.conftest import Operator


@pytest.fixture
def connection(redis: Redis) -> Iterator[Connection]:
    with running(create_sandbox(SandboxOptions(locations={}, rate=0))) as base:
        yield Connection(base, redis)


@pytest.fixture
def address(connection: Connection) -> Iterator[str]:
    """Serve a bridge that can log in to the sandbox, in place of the one of the other tests."""
    chosen = settings(connection.base, admin_password=Secret(PASSWORD))
    app = create_app(chosen, CONFIG, connection.redis, connect_spacebring=connect_spacebring)
    with running(app) as base:
        yield base


def strange(operator: Operator, connection: Connection) -> list[str]:
    """Give what the browser complained of, and every place it asked besides bridge and sandbox."""
    return [alarm for alarm in operator.alarms if not alarm.startswith(f"asked for {connection.base}/")]


def test_an_operator_consents_and_comes_back_connected(operator: Operator, connection: Connection) -> None:
    operator.login()
    page = operator.page
    page.get_by_role("link", name="Spacebring", exact=True).click()
    page.get_by_text("By Basic credentials").wait_for()

    page.get_by_role("button", name="Connect Spacebring").click()
    page.get_by_role("heading", name="Let sandbox-client in?").wait_for()
    page.get_by_role("button", name="Approve").click()

    page.get_by_text("Spacebring is connected.").wait_for()
    assert page.url == f"{operator.address}/spacebring"
    tokens = connection.tokens()
    assert tokens.origin == BY_DASHBOARD
    assert tokens.access not in page.content()
    assert strange(operator, connection) == []


def test_an_operator_who_does_not_consent_changes_nothing(operator: Operator, connection: Connection) -> None:
    operator.login()
    page = operator.page
    page.goto(f"{operator.address}/spacebring")

    page.get_by_role("button", name="Connect Spacebring").click()
    page.get_by_role("button", name="Deny").click()

    page.get_by_text("The person did not consent").wait_for()
    assert connection.store.tokens() is None
    assert strange(operator, connection) == []
