"""`bridge up`: everything on this machine, in one command."""

from __future__ import annotations

import json
import secrets
import socket
import time
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.error import URLError

import click
from redis.exceptions import RedisError

from cli.store import lock, server_binary, socket_path, store_part
from config.store import StoreAddress
from sandbox.options import DEFAULT_NETWORK_ID, SandboxOptions
from service.core.errors import ConfigError
from service.core.queue import workers_alive
from service.core.store import connect
from workers.main import bridge_command
from workers.supervisor import Part, Supervisor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from config.channels import Config
    from config.secrets import Secret
    from config.settings import Settings

_SECRETS = ("BRIDGE_ADMIN_PASSWORD", "BRIDGE_API_TOKEN", "BRIDGE_SECRET_KEY")
_SECRETS_FILE = "secrets.json"
_PORT_WITHIN = 10.0
_EXAMPLE = "-d 'name=Ann Lee' -d 'email=ann@example.com' -d 'message=The Wi-Fi in room 4 is down'"


@dataclass(frozen=True)
class Plan:
    """What `bridge up` starts, and with which environment."""

    settings: Settings
    config: Config
    environment: Mapping[str, str]
    host: str
    processes: int

    @property
    def with_sandbox(self) -> bool:
        """Whether the sandbox stands in for Spacebring."""
        return not self.settings.has_credentials


def plan(settings: Settings, config: Config, host: str, processes: int) -> Plan:
    """Decide the environment of the parts: the embedded store, made-up secrets, the sandbox."""
    environment = {**_logins(settings), "BRIDGE_DATA_PERSISTENT": "true"}
    if settings.redis_url is None:
        environment["REDIS_URL"] = f"unix://{socket_path(settings.data)}"
    if not settings.has_credentials:
        environment |= {
            "SPACEBRING_URL": f"http://127.0.0.1:{settings.sandbox_port}",
            "SPACEBRING_TOKEN": SandboxOptions(locations={}).token,
            "SPACEBRING_NETWORK_ID": DEFAULT_NETWORK_ID,
        }
    return Plan(settings, config, environment, host, processes)


def run(chosen: Plan) -> None:
    """Run until SIGINT or SIGTERM; raises ConfigError where a port or the directory is taken."""
    settings = chosen.settings
    parts: list[Part] = []
    if settings.redis_url is None:
        parts.append(store_part(settings.data, server_binary(), lock(settings.data)))
    _need_port(chosen.host, settings.port, "PORT")
    shared = dict(chosen.environment)
    if chosen.with_sandbox:
        _need_port("127.0.0.1", settings.sandbox_port, "SANDBOX_PORT")
        sandbox = f"http://127.0.0.1:{settings.sandbox_port}/livez"
        parts.append(Part("sandbox", bridge_command("sandbox"), shared, 1, ready=lambda: lives(sandbox)))
    web = f"{_base(chosen)}/livez"
    command = bridge_command("web", "--host", chosen.host)
    parts.append(Part("web", command, shared, 1, ready=lambda: lives(web)))
    pool = bridge_command("worker", "--processes", str(chosen.processes))
    store = settings.store or StoreAddress(shared["REDIS_URL"])
    parts.append(Part("worker", pool, shared, 2, grace=30, ready=lambda: _works(store)))
    Supervisor(parts).run(lambda: click.echo(banner(chosen)))


def banner(chosen: Plan) -> str:
    """Give what to look at and a request to try."""
    settings, base = chosen.settings, _base(chosen)
    password = chosen.environment.get("BRIDGE_ADMIN_PASSWORD", "as in BRIDGE_ADMIN_PASSWORD")
    lines = ["", "The bridge is running. Ctrl-C stops it.", ""]
    lines.append(f"  dashboard  {base}/   password: {password}")
    if chosen.with_sandbox:
        lines.append(f"  SANDBOX    http://127.0.0.1:{settings.sandbox_port}/   NOTHING REACHES SPACEBRING:")
        lines.append("             no credentials are set, so a stand-in holds the tickets")
    else:
        lines.append(f"  tickets    go to {settings.spacebring_url}")
    public = next((one for one in chosen.config.channels if one.public and one.source == "form"), None)
    if public is not None:
        request = f"curl -sS {base}/hooks/{public.name} -H 'Accept: application/json' {_EXAMPLE}"
        lines += ["", "  try it:", f"    {request}"]
    return "\n".join([*lines, ""])


def _works(store: StoreAddress) -> bool:
    """Whether a worker takes jobs: what is sent before would wait, and look slow."""
    with connect(store) as redis:
        try:
            return workers_alive(redis) > 0
        except RedisError:
            return False


def _base(chosen: Plan) -> str:
    host = "127.0.0.1" if chosen.host == "0.0.0.0" else chosen.host  # noqa: S104 - compared, not bound
    return f"http://{host}:{chosen.settings.port}"


def _logins(settings: Settings) -> dict[str, str]:
    """Give the secrets that the environment leaves out: made once, kept in BRIDGE_DATA."""
    given: dict[str, Secret | None] = dict(
        zip(_SECRETS, (settings.admin_password, settings.api_token, settings.secret_key), strict=True)
    )
    path = settings.data / _SECRETS_FILE
    known = kept(settings.data)
    missing = {name: known.get(name) or secrets.token_urlsafe(18) for name in _SECRETS if given[name] is None}
    if missing.keys() - known.keys():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps({**known, **missing}, indent=2), "utf-8")
    return missing


def kept(data: Path) -> dict[str, str]:
    """Give the secrets that a `bridge up` has made for this directory; raises ConfigError."""
    path = data / _SECRETS_FILE
    try:
        found: dict[str, str] = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ConfigError([f"{path} is not JSON: delete it, and new logins are made"]) from error
    return found


def _need_port(host: str, port: int, variable: str) -> None:
    deadline = time.monotonic() + _PORT_WITHIN
    while True:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                # One left over by a killed `bridge up` is gone in a moment.
                if time.monotonic() >= deadline:
                    raise ConfigError(
                        [f"Port {port} is taken: stop what uses it, or set {variable}"]
                    ) from None
                time.sleep(0.2)
            else:
                return


def lives(url: str) -> bool:
    """Say whether something answers at this URL with success."""
    try:
        with urllib.request.urlopen(url, timeout=1):  # noqa: S310 - our own address
            return True
    except (URLError, OSError):
        return False
