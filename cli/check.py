"""`bridge check`: everything that is wrong, in one list."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
from redis.exceptions import RedisError

from cli.context import REFUSED, settings, show_json, why
from cli.locations import location_problems
from config.channels import Config, load_config
from config.logging import configure_logging
from config.store import StoreAddress
from service.core.errors import BridgeError, ConfigError
from service.core.store import connect, inspect, writable
from service.core.wiring import open_doors, open_ledger
from workers.main import NO_STORE
from workers.spacebring.client import SpacebringClient
from workers.spacebring.credentials import check_credentials, credentials
from workers.spacebring.errors import CredentialsError, SpacebringError
from workers.spacebring.oauth import CONNECT, OAuth

if TYPE_CHECKING:
    from config.settings import Settings
    from workers.spacebring.auth import SpacebringAuth

_NOWHERE = StoreAddress("unix:///nowhere")

FORGETFUL = (
    "Redis keeps no append-only file: when it stops, all is lost that is in no snapshot. Switch it on "
    "(`redis-cli config set appendonly yes`, and in redis.conf, or your provider's setting)"
)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--release", is_flag=True, help="Before a deploy: what Spacebring answers is no reason against it."
)
def check(*, as_json: bool, release: bool) -> None:
    """Check configuration, Redis and Spacebring; exit 1 with everything that is wrong."""
    # Standard output is for what is found.
    configure_logging("auto", sys.stderr)
    problems, notes = findings(release=release)
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


def findings(*, release: bool = False) -> tuple[list[str], list[str]]:
    """Look at everything; gives (problems, notes).

    `release`: an outage of Spacebring must not keep a fix from being deployed, nor may the first deploy need
    a connection that can only be made on the dashboard it brings.
    """
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
    if config is not None and not config.channels:
        notes.append("nothing can come in: bridge.toml has no [[channels]]")
    wrong, told = _store(found, config or Config())
    problems += wrong
    notes += told
    wrong, told = _spacebring(found, config or Config(), release=release)
    problems += wrong
    notes += told
    if found.admin_password is None or found.secret_key is None:
        notes.append("the dashboard is closed: set BRIDGE_ADMIN_PASSWORD and BRIDGE_SECRET_KEY to open it")
    if found.api_token is None:
        notes.append("the API is closed: set BRIDGE_API_TOKEN to open it")
    return problems, notes


def _store(found: Settings, config: Config) -> tuple[list[str], list[str]]:
    if found.store is None:
        return [NO_STORE], []
    with connect(found.store) as redis:
        try:
            report = inspect(redis)
            refused = writable(redis)
            plan = open_ledger(redis, config).durability.plan()
        except RedisError as error:
            return [
                f"Redis cannot be reached: {why(error)}; is REDIS_URL right (REDIS_TLS too), is it up?"
            ], []
        except BridgeError as error:
            return [str(error)], []
    problems = [*report.problems, refused, plan.lacking]
    notes = [f"durability in force: {plan.told}", "" if report.append_only else FORGETFUL]
    return [problem for problem in problems if problem], [note for note in notes if note]


def _spacebring(found: Settings, config: Config, *, release: bool) -> tuple[list[str], list[str]]:
    """Ask with our credentials, as a worker would; gives (problems, notes)."""
    try:
        check_credentials(found)
    except ConfigError as error:
        return list(error.problems), []
    # What is wrong with the store is told already: without one, a token can still be tried.
    with connect(found.store or _NOWHERE) as redis:
        try:
            auth = credentials(found, redis, timeout=config.spacebring.timeout)
        except ConfigError as error:
            return list(error.problems), []
        except RedisError:
            return [], []
        client = SpacebringClient(found.spacebring_url, auth, timeout=config.spacebring.timeout)
        try:
            return location_problems(client, config), _connection(auth)
        except SpacebringError as error:
            failed = [_failed(error, found, auth)]
            return ([], failed) if release else (failed, [])
        finally:
            client.close()


def _failed(error: SpacebringError, found: Settings, auth: SpacebringAuth) -> str:
    if isinstance(error, CredentialsError):
        mend = (
            "mend SPACEBRING_TOKEN and SPACEBRING_NETWORK_ID, or SPACEBRING_CLIENT_ID and "
            "SPACEBRING_CLIENT_SECRET"
        )
        if isinstance(auth, OAuth):
            mend += f"; with OAuth2, {CONNECT}"
        return f"Spacebring refuses our credentials ({error.status or 'not asked'}): {error}; {mend}"
    return (
        f"Spacebring cannot be asked ({error.status or 'no answer'}): {error}; is SPACEBRING_URL "
        f"({found.spacebring_url}) right, and is Spacebring up?"
    )


def _connection(auth: SpacebringAuth) -> list[str]:
    """Say how we are connected, where there is more to say than that it works."""
    if isinstance(auth, OAuth) and (tokens := auth.tokens()) is not None:
        said = (
            f"connected to Spacebring by OAuth2 since {_utc(tokens.connected)} ({tokens.origin}); the access "
            f"token was renewed at {_utc(tokens.renewed)}, works, and is good until {_utc(tokens.expires)}"
        )
        return [said]
    if auth.hint:
        return [f"connected to Spacebring by Basic credentials, which may not do: {auth.hint}"]
    return []


def _utc(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
