"""Which credentials the settings mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from config.secrets import Secret
from config.settings import Settings
from service.core.errors import ConfigError
from service.core.tokens import Tokens, TokenStore
from tests.oauth import KEY, settings
from workers.spacebring.auth import BasicAuth, BearerAuth
from workers.spacebring.credentials import check_credentials, connector, credentials
from workers.spacebring.login import Login
from workers.spacebring.oauth import OAuth

if TYPE_CHECKING:
    from redis import Redis

    from workers.spacebring.auth import SpacebringAuth

BASE = "http://127.0.0.1:1"


def chosen(redis: Redis, **changes: object) -> SpacebringAuth:
    return credentials(settings(BASE, **changes), redis, timeout=1)


def test_a_bearer_token_goes_before_a_client(redis: Redis) -> None:
    assert isinstance(chosen(redis, token=Secret("tok")), BearerAuth)


def test_a_client_alone_is_basic_until_tokens_are_stored(redis: Redis) -> None:
    auth = chosen(redis)
    before = auth.authorization()
    TokenStore(redis, KEY).put(Tokens("r", 0, "test", access="a", expires=1e12))

    assert isinstance(auth, OAuth)
    assert before.startswith("Basic ")
    assert auth.authorization() == "Bearer a"


def test_a_client_without_a_key_is_basic_but_not_beside_stored_tokens(redis: Redis) -> None:
    basic = chosen(redis, secret_key=None)
    TokenStore(redis, KEY).put(Tokens("r", 0, "test"))

    assert isinstance(basic, BasicAuth)
    with pytest.raises(ConfigError, match="BRIDGE_SECRET_KEY is not set"):
        chosen(redis, secret_key=None)


def test_a_refresh_token_needs_the_key(redis: Redis) -> None:
    assert isinstance(chosen(redis, refresh_token=Secret("r")), OAuth)
    with pytest.raises(ConfigError, match="BRIDGE_SECRET_KEY is not set"):
        chosen(redis, refresh_token=Secret("r"), secret_key=None)


def test_none_is_refused(redis: Redis) -> None:
    with pytest.raises(ConfigError, match="No Spacebring credentials"):
        check_credentials(Settings())
    with pytest.raises(ConfigError, match="No Spacebring credentials"):
        credentials(Settings(), redis, timeout=1)


def test_what_the_settings_alone_show_is_seen_without_a_store() -> None:
    check_credentials(settings(BASE))
    with pytest.raises(ConfigError, match="BRIDGE_SECRET_KEY is not set"):
        check_credentials(settings(BASE, refresh_token=Secret("r"), secret_key=None))


def test_a_log_in_says_everything_that_it_lacks(redis: Redis) -> None:
    assert isinstance(connector(settings(BASE), redis, timeout=1), Login)
    with pytest.raises(ConfigError) as caught:
        connector(Settings(token=Secret("t")), redis, timeout=1)

    assert len(caught.value.problems) == 4
