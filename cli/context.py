"""What the commands share: settings, configuration, the ledger, and errors that end a command."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click
from redis.exceptions import RedisError

from cli.store import socket_url
from cli.up import kept
from config.channels import load_config
from config.logging import scrub
from config.secrets import Secret
from config.settings import load_settings
from service.core.errors import BridgeError, ConfigError
from service.core.store import connect
from service.core.wiring import open_ledger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from config.channels import Config
    from config.settings import Settings
    from service.core.ledger import Ledger

REFUSED = 1
AWAY = 3


def settings() -> Settings:
    """Read the environment; without REDIS_URL, the store of a `bridge up` on BRIDGE_DATA is meant.

    Then also the key that it made, where there is none: what it stored encrypted is to be read.
    """
    found = load_settings(os.environ)
    if found.redis_url is not None or not (url := socket_url(found.data)):
        return found
    made = kept(found.data).get("BRIDGE_SECRET_KEY")
    key = Secret(made) if made and found.secret_key is None else found.secret_key
    return replace(found, redis_url=url, secret_key=key)


def configuration(found: Settings) -> Config:
    """Read bridge.toml."""
    return load_config(found.config, environ=os.environ)


def store(found: Settings) -> Redis:
    """Give the connection to Redis; raises ConfigError where no server is known."""
    if found.store is None:
        raise ConfigError(
            [f"REDIS_URL is not set, and no `bridge up` runs on {found.data}: set REDIS_URL or start one"]
        )
    return connect(found.store)


def ledger() -> Ledger:
    """Give the ledger that the environment names."""
    found = settings()
    return open_ledger(store(found), configuration(found))


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn expected errors into one readable message and an exit code: 1 refused, 3 Redis is away."""
    try:
        yield
    except ConfigError as error:
        for problem in error.problems:
            click.echo(f"error: {problem}", err=True)
        raise SystemExit(REFUSED) from error
    except BridgeError as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(REFUSED) from error
    except RedisError as error:
        click.echo(f"error: Redis cannot be reached or refuses: {why(error)}", err=True)
        raise SystemExit(AWAY) from error


def why(error: RedisError) -> str:
    """Give what the client says of a failure, without a password that it may quote."""
    return scrub(f"{type(error).__name__}: {error}")


def show_json(data: Any) -> None:  # noqa: ANN401 - whatever a command lists
    """Print data as JSON."""
    click.echo(json.dumps(data, indent=2, default=str, ensure_ascii=False))
