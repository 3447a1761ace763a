"""`bridge login`, and what `bridge check` says of OAuth2."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.serving import make_server

from cli.context import settings as read_settings
from cli.login import _await, _dashboard_answers, pasted_code
from cli.store import socket_path
from cli.wsgi import connect_spacebring
from config.channels import load_config
from config.secrets import Secret
from sandbox.app import create_app as create_sandbox
from sandbox.options import DEFAULT_NETWORK_ID, SandboxOptions
from sandbox.server import running
from service.app import create_app
from service.core.errors import LoginRefused
from service.core.tokens import BY_CLI, PendingLogin, Tokens, TokenStore
from tests.cli.conftest import CONFIG, LOCATION, printed
from tests.conftest import until
from tests.oauth import CLIENT, KEY, REDIRECT, SECRET, Connection, consent, settings
from tests.web.conftest import CONFIG as WEB_CONFIG
from tests.web.conftest import PASSWORD, Browser
from workers.main import bridge_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from click.testing import Result
    from redis import Redis

    from config.channels import Config


@pytest.fixture
def connection(environment: pytest.MonkeyPatch, redis: Redis) -> Iterator[Connection]:
    options = SandboxOptions(locations={LOCATION: "Downtown"}, rate=0)
    with running(create_sandbox(options)) as base:
        for name, value in (
            ("SPACEBRING_URL", base),
            ("SPACEBRING_CLIENT_ID", CLIENT),
            ("SPACEBRING_CLIENT_SECRET", SECRET),
            ("SPACEBRING_NETWORK_ID", DEFAULT_NETWORK_ID),
            ("BRIDGE_SECRET_KEY", KEY.reveal()),
            ("BRIDGE_ADMIN_PASSWORD", PASSWORD),
            ("BRIDGE_API_TOKEN", "an-api-token-for-the-tests"),
        ):
            environment.setenv(name, value)
        yield Connection(base, redis)


@pytest.fixture
def bridge_process(connection: Connection) -> Callable[..., subprocess.Popen[str]]:
    """Run `bridge` as a person at a terminal does, whose answers are written later."""

    def start(*arguments: str) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        return subprocess.Popen(bridge_command(*arguments), stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    return start


def shown_url(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"http\S+/oauth2/authorize\S+", line):
            return found[0]
    raise AssertionError("no address was shown")


@pytest.mark.parametrize("extra", [[], ["--no-pkce"]])
def test_a_person_pastes_the_address_that_spacebring_sends_them_to(
    bridge_process: Callable[..., subprocess.Popen[str]], connection: Connection, extra: list[str]
) -> None:
    process = bridge_process("login", "--redirect-uri", REDIRECT, *extra)
    url = shown_url(process)

    output, _ = process.communicate(consent(url) + "\n", timeout=30)

    assert process.returncode == 0
    assert "Spacebring is connected" in output
    assert ("code_challenge" in url) is not bool(extra)
    assert connection.tokens().origin == BY_CLI
    assert connection.tokens().access not in output


def test_the_dashboards_callback_ends_a_log_in_of_the_command_line(
    bridge_process: Callable[..., subprocess.Popen[str]],
    connection: Connection,
    environment: pytest.MonkeyPatch,
) -> None:
    # The page is reached at the address that the command names: a real server.
    chosen = settings(connection.base, admin_password=Secret(PASSWORD))
    app = create_app(chosen, WEB_CONFIG, connection.redis, connect_spacebring=connect_spacebring)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    base = f"http://127.0.0.1:{server.server_port}"
    environment.setenv("BRIDGE_PUBLIC_URL", base)

    process = bridge_process("login")
    back = consent(shown_url(process))
    operator = Browser(app.test_client())
    operator.login()
    operator.get(back.removeprefix(base))
    output, _ = process.communicate(timeout=30)
    server.shutdown()
    thread.join()
    server.server_close()

    assert back.startswith(f"{base}/spacebring/callback?")
    assert process.returncode == 0
    assert "Waiting for the dashboard" in output
    assert "Spacebring is connected" in output


def test_a_log_in_that_the_dashboard_could_not_end_is_given_up(redis: Redis) -> None:
    store = TokenStore(redis, KEY)
    store.put(Tokens("r", 0, "test"))
    store.begin("state", PendingLogin(REDIRECT, BY_CLI, ""))
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        store.take("state")

    with pytest.raises(LoginRefused, match="came to nothing"):
        _await(store, "state", within=0, sleep=sleep)
    assert len(slept) == 2


def test_tokens_that_could_not_be_read_before_are_replaced(redis: Redis) -> None:
    TokenStore(redis, Secret("other")).put(Tokens("r", 0, "test"))
    store = TokenStore(redis, KEY)

    _await(store, "state", within=30, sleep=lambda _: store.put(Tokens("r", 1, "test")))

    assert store.tokens() == Tokens("r", 1, "test")


def test_without_a_redirect_uri_it_says_what_to_set(
    bridge: Callable[..., Result], connection: Connection
) -> None:
    result = bridge("login")

    assert result.exit_code == 1
    assert "set BRIDGE_PUBLIC_URL" in result.output


def test_the_key_that_bridge_up_made_opens_what_it_stored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BRIDGE_DATA", "d")
    for name in ("REDIS_URL", "BRIDGE_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    socket_path(Path("d")).parent.mkdir(parents=True)
    socket_path(Path("d")).touch()

    without = read_settings().secret_key
    (tmp_path / "d" / "secrets.json").write_text('{"BRIDGE_SECRET_KEY": "made"}')
    made = read_settings().secret_key
    monkeypatch.setenv("BRIDGE_SECRET_KEY", "set")

    assert (without, made, read_settings().secret_key) == (None, Secret("made"), Secret("set"))


def test_a_dashboard_that_is_closed_takes_nobody_who_comes_back() -> None:
    assert _dashboard_answers(settings("http://127.0.0.1:1", public_url="http://127.0.0.1:1")) is False


@pytest.mark.parametrize(
    ("pasted", "said"),
    [
        ("https://b.example/cb?code=c&state=other", "belongs to another log-in"),
        ("https://b.example/cb?code=c", "belongs to another log-in"),
        ("https://b.example/cb?state=st&error=access_denied", "Spacebring said: access_denied."),
        ("https://b.example/cb?state=st", "holds no code"),
        ("https://[?code=c", "holds no code"),
    ],
)
def test_an_address_that_is_not_the_answer_is_refused(pasted: str, said: str) -> None:
    with pytest.raises(LoginRefused, match=re.escape(said)):
        pasted_code(pasted, "st")


@pytest.mark.parametrize("pasted", ["c0de", "https://b.example/cb?code=c0de&state=st", "?state=st&code=c0de"])
def test_a_code_is_taken_alone_or_out_of_its_address(pasted: str) -> None:
    assert pasted_code(pasted, "st") == "c0de"


@given(st.text() | st.text().map(lambda text: f"https://b.example/?state=st&{text}"))
def test_whatever_is_pasted_gives_a_code_or_is_refused(text: str) -> None:
    with suppress(LoginRefused):
        assert isinstance(pasted_code(text, "st"), str)


def test_check_tells_of_oauth_without_renewing_what_is_good(
    bridge: Callable[..., Result], connection: Connection
) -> None:
    connection.connect()
    connection.asked()

    found = printed(bridge("check", "--json"))

    assert found["ok"] is True
    assert re.search(
        r"connected to Spacebring by OAuth2 since .* \(bridge login\).*works", " ".join(found["notes"])
    )
    assert connection.asked() == 0


def test_check_tells_that_basic_may_not_do(bridge: Callable[..., Result], connection: Connection) -> None:
    note = " ".join(printed(bridge("check", "--json"))["notes"])

    assert "by Basic credentials" in note
    assert "`bridge login`" in note


def test_check_tells_that_a_person_has_to_log_in_again(
    bridge: Callable[..., Result], connection: Connection
) -> None:
    connection.connect()
    connection.expire(refresh=True)

    assert "run `bridge login`" in bridge("check").output


def test_check_tells_that_the_key_is_missing_or_the_store_away(
    bridge: Callable[..., Result], connection: Connection, environment: pytest.MonkeyPatch
) -> None:
    connection.connect()
    environment.delenv("BRIDGE_SECRET_KEY")
    keyless = bridge("check").output
    environment.setenv("REDIS_URL", "unix:///nowhere/at/all.sock")
    away = bridge("check").output

    assert "BRIDGE_SECRET_KEY is not set" in keyless
    assert away.count("problem:") == 1
    assert "Redis cannot be reached" in away


def test_processes_that_renew_at_once_make_one_call_for_tokens(
    bridge_process: Callable[..., subprocess.Popen[str]], connection: Connection
) -> None:
    connection.connect()
    connection.expire()
    connection.asked()
    connection.fault(kind="latency", seconds=2, path="/oauth2/token")

    processes = [bridge_process("check", "--json") for _ in range(3)]
    outputs = [process.communicate(timeout=60) for process in processes]

    assert [json.loads(found)["ok"] for found, _ in outputs] == [True] * 3
    assert ["access renewed" in logged for _, logged in outputs].count(True) == 1
    assert connection.asked() == 1


@pytest.mark.slow
def test_delivery_that_basic_may_not_do_goes_on_by_itself_after_a_log_in(
    bridge_process: Callable[..., subprocess.Popen[str]],
    bridge: Callable[..., Result],
    connection: Connection,
) -> None:
    app = create_app(settings(connection.base), _config(), connection.redis)
    answer = app.test_client().post(
        "/hooks/website",
        data={"email": "ann@example.com", "message": "Cold room"},
        headers={"Accept": "application/json"},
    )
    worker = bridge_process("worker", "--processes", "1")
    paused: Any = connection.redis

    until(lambda: paused.exists("bridge:pause"))
    waiting = connection.tickets()
    connection.connect()
    until(lambda: connection.tickets() == 1)
    worker.terminate()
    worker.communicate(timeout=60)

    assert answer.status_code == 200
    assert waiting == 0
    assert printed(bridge("dead", "--json"))["events"] == []


def _config() -> Config:
    return load_config(CONFIG, environ={})
