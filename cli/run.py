"""The commands that run something: up, web, worker, sandbox."""

from __future__ import annotations

import os
import sys
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click
from redis.exceptions import RedisError

from cli import up as everything
from cli.context import configuration, plain_errors, settings
from config.logging import configure_logging
from config.settings import load_settings
from sandbox.app import create_app
from sandbox.options import SandboxOptions
from sandbox.server import serve
from service.core.errors import ConfigError
from service.core.store import connect, inspect
from service.core.wiring import open_doors, open_ledger
from workers.main import run_dispatcher, run_pool, run_worker, store
from workers.spacebring.credentials import check_credentials

if TYPE_CHECKING:
    from config.channels import Config
    from config.store import StoreAddress

_ROOT = Path(__file__).resolve().parent.parent
# Known to the sandbox, so that the look-up of a requester can be tried.
_MEMBERS = (("ann@example.com", "Ann Lee"), ("bob@example.com", "Bob Ray"))


@click.command()
@click.option("--processes", type=click.IntRange(1, 64), default=4, show_default=True, help="Workers.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address that the web part listens on.")
def up(processes: int, host: str) -> None:
    """Run everything here: store, web, workers, and the sandbox where no credentials are set."""
    with plain_errors():
        # The environment alone: a store of its own is started where REDIS_URL is not set.
        found = load_settings(os.environ)
        configure_logging(found.log_format)
        config = configuration(found)
        open_doors(config)
        everything.run(everything.plan(found, config, host, processes))


@click.command()
@click.option("--host", default="0.0.0.0", show_default=True, help="Address to listen on.")  # noqa: S104
def web(host: str) -> None:
    """Serve webhooks, API and dashboard with gunicorn on $PORT."""
    with plain_errors():
        found = settings()
        check_credentials(found)
        config = configuration(found)
        refuse_unsuitable(store(found), config)
        open_doors(config)
        environment = {**os.environ, "PYTHONPATH": _with_root(os.environ.get("PYTHONPATH"))}
        command = [
            *(sys.executable, "-m", "gunicorn", "-c", "python:config.gunicorn"),
            *("--bind", f"{host}:{found.port}", "cli.wsgi:make_app()"),
        ]
        os.execve(sys.executable, command, environment)  # noqa: S606 - this process becomes gunicorn


def refuse_unsuitable(address: StoreAddress, config: Config) -> None:
    """Raise StoreUnsuitable for a server that can never do what is asked; one that is away may still come."""
    with connect(address) as redis, suppress(RedisError):
        inspect(redis)
        open_ledger(redis, config).durability.refuse_lacking()


def _with_root(path: str | None) -> str:
    return os.pathsep.join([str(_ROOT), *([path] if path else [])])


@click.command()
@click.option("--processes", type=click.IntRange(1, 64), default=2, show_default=True, help="Workers.")
@click.option("--role", type=click.Choice(["pool", "dispatcher", "worker"]), default="pool", hidden=True)
def worker(processes: int, role: str) -> None:
    """File tickets: one dispatcher and a pool of workers."""
    with plain_errors():
        found = settings()
        configure_logging(found.log_format)
        check_credentials(found)
        config = configuration(found)
        refuse_unsuitable(store(found), config)
        if role == "dispatcher":
            run_dispatcher(found, config)
        elif role == "worker":
            run_worker(found, config)
        else:
            run_pool(config, processes)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--rate", type=int, default=10, show_default=True, help="Requests a second; 0 for no limit.")
@click.option("--strict", is_flag=True, help="Count requests in a strict sliding window.")
@click.option(
    "--token-life", type=click.IntRange(1), default=3600, show_default=True, help="Seconds (OAuth2)."
)
@click.option("--rotate/--no-rotate", default=True, show_default=True, help="Refresh tokens are good once.")
def sandbox(host: str, rate: int, *, strict: bool, token_life: int, rotate: bool) -> None:
    """Serve the stand-in Spacebring on $SANDBOX_PORT."""
    with plain_errors():
        found = settings()
        configure_logging(found.log_format)
        found.data.mkdir(parents=True, exist_ok=True)
        options = SandboxOptions(
            locations=locations(configuration(found)),
            memberships=members(configuration(found)),
            rate=rate,
            strict_window=strict,
            access_life=token_life,
            rotate_refresh=rotate,
            data=found.data / "sandbox.db",
        )
        try:
            serve(create_app(options), host, found.sandbox_port)
        except OSError as error:
            where, why = f"{host}:{found.sandbox_port}", str(error.strerror).partition(" (")[0]
            raise ConfigError(
                [f"The sandbox cannot listen on {where} ({why}): set SANDBOX_PORT or --host"]
            ) from error


def locations(config: Config) -> dict[str, str]:
    """Give the sandbox's locations: those of bridge.toml, by uuid."""
    known = {ref: name for name, ref in config.locations.items()}
    used = [config.spacebring.location, *(channel.location for channel in config.channels)]
    return {**{ref: ref for ref in used if ref}, **known}


def members(config: Config) -> list[tuple[str, str, str, str, str]]:
    """Give the sandbox's members: the same made-up people in each location."""
    return [
        (
            email,
            name,
            location,
            str(uuid.uuid5(uuid.NAMESPACE_URL, email)),
            str(uuid.uuid5(uuid.NAMESPACE_URL, location + email)),
        )
        for location in locations(config)
        for email, name in _MEMBERS
    ]
