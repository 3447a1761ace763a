"""Which credentials the settings mean, and the parts made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.core.errors import ConfigError
from service.core.tokens import TokenStore, is_stored
from workers.spacebring.auth import BasicAuth, BearerAuth
from workers.spacebring.login import Login
from workers.spacebring.oauth import OAuth
from workers.spacebring.token_endpoint import TokenEndpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

    from config.settings import Settings
    from workers.spacebring.auth import SpacebringAuth
    from workers.spacebring.limiter import Slot

NO_CREDENTIALS = (
    "No Spacebring credentials: set SPACEBRING_TOKEN and SPACEBRING_NETWORK_ID, or SPACEBRING_CLIENT_ID and "
    "SPACEBRING_CLIENT_SECRET; to try the bridge without an account, run `bridge up`"
)
NO_KEY = (
    "BRIDGE_SECRET_KEY is not set: the OAuth2 tokens are stored encrypted with it; set it, the same for web "
    "and workers"
)
NO_CLIENT = (
    "SPACEBRING_CLIENT_ID and SPACEBRING_CLIENT_SECRET are not set: logging in takes the OAuth2 client that "
    "Spacebring gave you (api@spacebring.com)"
)
NO_NETWORK = "SPACEBRING_NETWORK_ID is not set: OAuth2 works for one network only; name it"
BEARER_SET = "SPACEBRING_TOKEN is set and would be used instead: remove it to connect by OAuth2"


def check_credentials(settings: Settings) -> None:
    """Raise ConfigError where the settings alone show that no request could be signed."""
    if not settings.has_credentials:
        raise ConfigError([NO_CREDENTIALS])
    if settings.refresh_token is not None and settings.secret_key is None:
        raise ConfigError([NO_KEY])


def credentials(
    settings: Settings, redis: Redis, *, timeout: float, slots: Callable[[], Slot] | None = None
) -> SpacebringAuth:
    """Give the credentials: a bearer token, else OAuth2 where tokens are stored or given, else Basic.

    `slots` gives the shared limiter's slots for calls for tokens. Raises ConfigError, redis.RedisError.
    """
    if settings.token is not None and settings.network_id is not None:
        return BearerAuth(settings.token.reveal(), settings.network_id)
    client_id, secret, key = settings.client_id, settings.client_secret, settings.secret_key
    if client_id is None or secret is None:
        raise ConfigError([NO_CREDENTIALS])
    seed = settings.refresh_token
    basic = BasicAuth(client_id, secret.reveal(), settings.network_id) if seed is None else None
    if key is None:
        if basic is None or is_stored(redis):
            raise ConfigError([NO_KEY])
        return basic
    endpoint = TokenEndpoint(settings.spacebring_url, client_id, secret, timeout=timeout, slots=slots)
    return OAuth(
        TokenStore(redis, key),
        redis,
        endpoint,
        settings.network_id,
        seed=seed,
        basic=basic,
        slots=slots,
    )


def connector(
    settings: Settings, redis: Redis, *, timeout: float, slots: Callable[[], Slot] | None = None
) -> Login:
    """Give what walks a person through the log-in; raises ConfigError with all that is missing."""
    client_id, secret, key = settings.client_id, settings.client_secret, settings.secret_key
    rules = (
        (client_id is None or secret is None, NO_CLIENT),
        (settings.network_id is None, NO_NETWORK),
        (key is None, NO_KEY),
        (settings.token is not None, BEARER_SET),
    )
    problems = [problem for broken, problem in rules if broken]
    if client_id is None or secret is None or key is None or problems:
        raise ConfigError(problems)
    endpoint = TokenEndpoint(settings.spacebring_url, client_id, secret, timeout=timeout, slots=slots)
    return Login(TokenStore(redis, key), endpoint, seed=settings.refresh_token)
