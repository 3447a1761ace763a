"""`bridge check`: everything that is wrong, in one list."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click
from redis.exceptions import RedisError

from cli.context import REFUSED, settings, show_json
from config.channels import load_config
from service.core.errors import BridgeError, ConfigError
from service.core.store import connect, inspect, writable
from service.core.wiring import open_doors
from workers.main import NO_CREDENTIALS, NO_STORE, auth
from workers.spacebring.client import SpacebringClient
from workers.spacebring.errors import SpacebringError

if TYPE_CHECKING:
    from config.channels import Config
    from config.settings import Settings


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(*, as_json: bool) -> None:
    """Check configuration, Redis and Spacebring; exit 1 with everything that is wrong."""
    problems, notes = findings()
    if as_json:
        show_json({"ok": not problems, "problems": problems, "notes": notes})
    else:
        for problem in problems:
            click.echo(f"problem: {problem}")
        for note in notes:
            click.echo(f"note: {note}")
        click.echo(f"{len(problems)} problems" if problems else "all is well")
    if problems:
        raise SystemExit(REFUSED)


def findings() -> tuple[list[str], list[str]]:
    """Look at everything; gives (problems, notes)."""
    try:
        found = settings()
    except ConfigError as error:
        return list(error.problems), []
    problems: list[str] = []
    notes: list[str] = []
    config: Config | None = None
    try:
        config = load_config(found.config, environ=os.environ)
        open_doors(config)
    except ConfigError as error:
        problems += error.problems
    problems += _store(found)
    problems += _spacebring(found, config)
    if found.admin_password is None or found.secret_key is None:
        notes.append("the dashboard is closed: set BRIDGE_ADMIN_PASSWORD and BRIDGE_SECRET_KEY to open it")
    if found.api_token is None:
        notes.append("the API is closed: set BRIDGE_API_TOKEN to open it")
    return problems, notes


def _store(found: Settings) -> list[str]:
    if found.redis_url is None:
        return [NO_STORE]
    with connect(found.redis_url) as redis:
        try:
            report = inspect(redis)
            refused = writable(redis)
        except RedisError as error:
            return [f"Redis cannot be reached: {type(error).__name__}; is REDIS_URL right, is the server up?"]
        except BridgeError as error:
            return [str(error)]
    return [*report.problems, *([refused] if refused else [])]


def _spacebring(found: Settings, config: Config | None) -> list[str]:
    if not found.has_credentials:
        return [NO_CREDENTIALS]
    client = SpacebringClient(found.spacebring_url, auth(found))
    try:
        known = {location.id for location in client.locations()}
    except SpacebringError as error:
        return [f"Spacebring refuses or cannot be reached ({error.status or 'no answer'}): {error}"]
    finally:
        client.close()
    wanted = dict(config.locations) if config else {}
    return [
        f"locations.{name}: Spacebring knows no location {ref}"
        for name, ref in wanted.items()
        if ref not in known
    ]
