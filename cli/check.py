"""`bridge check`: everything that is wrong, in one list."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import click
from redis.exceptions import RedisError

from cli.context import REFUSED, settings, show_json, why
from config.channels import Config, load_config
from service.core.errors import BridgeError, ConfigError
from service.core.store import connect, inspect, writable
from service.core.wiring import open_doors
from workers.main import NO_CREDENTIALS, NO_STORE, auth
from workers.spacebring.client import SpacebringClient
from workers.spacebring.errors import CredentialsError, SpacebringError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from config.settings import Settings

_FORBIDDEN = 403


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
        count = f"{len(problems)} problem{'' if len(problems) == 1 else 's'}"
        click.echo(count if problems else "all is well")
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
            return [f"Redis cannot be reached: {why(error)}; is REDIS_URL right, is the server up?"]
        except BridgeError as error:
            return [str(error)]
    return [*report.problems, *([refused] if refused else [])]


def _spacebring(found: Settings, config: Config | None) -> list[str]:
    if not found.has_credentials:
        return [NO_CREDENTIALS]
    config = config or Config()
    used = _locations(config)
    pause = 1 / config.spacebring.rate
    # One call after the other, at the pace that Spacebring allows.
    client = SpacebringClient(found.spacebring_url, auth(found), before_request=lambda: time.sleep(pause))
    try:
        return [*_unknown(client, used), *_unlisted(client, used)]
    except SpacebringError as error:
        return [_failed(error, found)]
    finally:
        client.close()


def _locations(config: Config) -> Mapping[str, str]:
    """Give every location that a ticket may go to, by uuid, with the key that names it."""
    used = {config.spacebring.location: "spacebring.location"}
    for channel in config.channels:
        used.setdefault(channel.location, f"location of channel {channel.name}")
        for rule in channel.rules:
            used.setdefault(rule.location, f"location in a rule of channel {channel.name}")
    named = {ref: f"locations.{name}" for name, ref in config.locations.items()}
    return {ref: key for ref, key in (used | named).items() if ref is not None}


def _unknown(client: SpacebringClient, used: Mapping[str, str]) -> list[str]:
    try:
        known = {location.id.lower() for location in client.locations()}
    except SpacebringError as error:
        # Not needed for filing tickets: what is needed is tried all the same.
        if error.status == _FORBIDDEN:
            return [f"Spacebring does not let us list the locations, so that none can be checked: {error}"]
        raise
    return [f"{key}: Spacebring knows no location {ref}" for ref, key in used.items() if ref not in known]


def _unlisted(client: SpacebringClient, used: Mapping[str, str]) -> list[str]:
    """Try to read the tickets of each location: this is how the bridge looks whether one was made already."""
    problems = []
    for ref, key in used.items():
        try:
            client.list_tickets(ref, limit=1)
        except SpacebringError as error:
            problems.append(
                f"{key}: Spacebring does not list this location's tickets ({error.status or 'no answer'}): "
                f"{error}; without the list, a ticket that may or may not have been made (after a time-out, "
                "say) can never be looked for: let the credentials read its support tickets"
            )
    return problems


def _failed(error: SpacebringError, found: Settings) -> str:
    if isinstance(error, CredentialsError):
        return (
            f"Spacebring refuses our credentials ({error.status}): {error}; mend SPACEBRING_TOKEN and "
            "SPACEBRING_NETWORK_ID, or SPACEBRING_CLIENT_ID and SPACEBRING_CLIENT_SECRET"
        )
    return (
        f"Spacebring cannot be asked ({error.status or 'no answer'}): {error}; is SPACEBRING_URL "
        f"({found.spacebring_url}) right, and is Spacebring up?"
    )
