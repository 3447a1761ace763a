"""The web side's app with a real Valkey, its client, and events to look at."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from config.channels import Channel, Config
from config.secrets import Secret
from config.settings import Settings
from service.app import create_app
from service.core.store import connect
from tests.web.acts import LOCATION, Acts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask
    from flask.testing import FlaskClient
    from redis import Redis
    from werkzeug.test import TestResponse

    from service.core.ledger import Ledger
    from tests.conftest import Valkey

TOKEN = "the-api-token"
PASSWORD = "correct horse"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
SETTINGS = Settings(
    api_token=Secret(TOKEN), admin_password=Secret(PASSWORD), secret_key=Secret("a-key-for-the-tests")
)
CONFIG = Config(
    locations={"downtown": LOCATION},
    channels=(
        Channel("web", "json", tokens=(Secret("t"),)),
        Channel("mail", "json", tokens=(Secret("t"),)),
    ),
)


@pytest.fixture
def make(redis: Redis) -> Callable[..., Flask]:
    def build(settings: Settings = SETTINGS, redis: Redis = redis) -> Flask:
        app = create_app(settings, CONFIG, redis)
        app.testing = True
        return app

    return build


@pytest.fixture
def app(make: Callable[..., Flask]) -> Flask:
    return make()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def acts(ledger: Ledger, redis: Redis) -> Acts:
    return Acts(ledger, redis)


@pytest.fixture
def away(valkey: Valkey) -> Iterator[Redis]:
    """Give a client of a server that is not there."""
    client = connect(f"{valkey.url}-gone")
    yield client
    client.close()


@pytest.fixture
def configured(redis: Redis) -> Iterator[Callable[[str, str], None]]:
    """Set an option of the server; the test's end sets all back."""
    before: dict[str, str] = {}

    def set_option(name: str, value: str) -> None:
        before.setdefault(name, str(dict(redis.config_get(name))[name]))
        redis.config_set(name, value)

    yield set_option
    for name, value in before.items():
        redis.config_set(name, value)


@dataclass
class Browser:
    """A client that keeps its cookies and takes the CSRF token from the page, as a form does."""

    client: FlaskClient

    def get(self, path: str, **options: object) -> TestResponse:
        return self.client.get(path, **options)

    def token(self, path: str = "/login") -> str:
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.client.get(path).text)
        assert found is not None
        return found[1]

    def post(self, path: str, page: str, **fields: object) -> TestResponse:
        return self.client.post(path, data={"csrf_token": self.token(page), **fields})

    def login(self, password: str = PASSWORD, **fields: object) -> TestResponse:
        return self.post("/login", "/login", password=password, **fields)


@pytest.fixture
def visitor(client: FlaskClient) -> Browser:
    return Browser(client)


@pytest.fixture
def operator(visitor: Browser) -> Browser:
    assert visitor.login().status_code == 302
    return visitor
