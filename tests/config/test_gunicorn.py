from __future__ import annotations

import importlib
import io
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from gunicorn.config import Config

from config.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
LOGGERS = ("", "gunicorn.error", "gunicorn.access")


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # The module reads the environment where it is imported: each test imports its own.
    monkeypatch.delitem(sys.modules, "config.gunicorn", raising=False)
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [(list(one.handlers), one.level, one.propagate) for one in loggers]
    configured = structlog.get_config()
    yield
    for one, (handlers, level, propagate) in zip(loggers, before, strict=True):
        one.handlers[:] = handlers
        one.setLevel(level)
        one.propagate = propagate
    structlog.configure(**configured)


def defaults() -> Config:
    return Config()  # type: ignore[no-untyped-call]


def settings() -> Any:  # noqa: ANN401 - its names are gunicorn's
    return importlib.import_module("config.gunicorn")


def test_the_port_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "8123")

    assert settings().bind == ["0.0.0.0:8123"]


def test_a_wrong_environment_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "web")

    with pytest.raises(ConfigError, match="PORT: 'web' is not a port"):
        settings()


def test_every_setting_is_one_that_gunicorn_knows_and_takes() -> None:
    module = settings()
    config = defaults()
    taken = {name: value for name, value in vars(module).items() if name in config.settings}

    for name, value in taken.items():
        config.set(name, value)  # type: ignore[no-untyped-call]

    assert sorted(taken) == [
        "accesslog",
        "bind",
        "control_socket_disable",
        "forwarded_allow_ips",
        "graceful_timeout",
        "keepalive",
        "limit_request_field_size",
        "limit_request_fields",
        "limit_request_line",
        "logger_class",
        "threads",
        "timeout",
        "worker_class",
        "workers",
    ]


def test_gunicorns_entries_take_the_way_of_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setenv("LOG_FORMAT", "json")
    monkeypatch.setattr(sys, "stdout", stream)

    settings().RoutedLogger(defaults()).info("Listening at: %s", "/hooks/mail/a-token")

    (entry,) = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (entry["event"], entry["logger"]) == ("Listening at: /hooks/mail/…", "gunicorn.error")


@pytest.mark.slow
def test_gunicorn_itself_starts_with_these_settings(tmp_path: Path) -> None:
    (tmp_path / "tiny.py").write_text("def app(environ, start_response):\n    return []\n")
    environ = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}", "PORT": "8124"}

    ended = subprocess.run(
        [sys.executable, "-m", "gunicorn", "-c", "python:config.gunicorn", "--print-config", "tiny:app"],
        env=environ,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    shown = dict(line.split("=", 1) for line in ended.stdout.splitlines() if "=" in line)
    found = {name.strip(): value.strip() for name, value in shown.items()}
    assert found["bind"] == "['0.0.0.0:8124']"
    assert found["worker_class"] == "gthread"
    assert found["control_socket_disable"] == "True"
    assert found["forwarded_allow_ips"] == "[]"
