"""The `bridge` command in this process, on the real Valkey."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from cli.main import main
from service.core.request import Headers, InboundRequest
from service.core.source import Key, Part

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from redis import Redis

    from service.core.ledger import Ledger
    from tests.conftest import Valkey

LOCATION = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
CONFIG = f"""
[spacebring]
location = "downtown"
[locations]
downtown = "{LOCATION}"
[[channels]]
name = "website"
source = "form"
public = true
[[channels]]
name = "mail"
source = "mailgun"
secret = "key-for-tests"
basic = "user:password"
token = "a-token-of-some-length"
"""
FORM = (
    b"POST /hooks/website HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n"
    b"email=ann%40example.com&message=Cold+room"
)


@pytest.fixture
def environment(
    valkey: Valkey, redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> pytest.MonkeyPatch:
    monkeypatch.setenv("REDIS_URL", valkey.url)
    monkeypatch.setenv("BRIDGE_CONFIG", CONFIG)
    monkeypatch.setenv("BRIDGE_DATA", str(tmp_path / "data"))
    return monkeypatch


@pytest.fixture
def bridge(environment: pytest.MonkeyPatch) -> Callable[..., Result]:
    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, list(arguments))

    return run


def printed(result: Result) -> Any:  # noqa: ANN401 - as JSON is
    return json.loads(result.stdout)


def accept(ledger: Ledger, key: str = "one") -> str:
    request = InboundRequest("POST", "https://bridge.example/hooks/website", Headers(), b"a=b")
    accepted = ledger.accept(
        request, channel="website", source="form", lane="backlog", parts=[Part((Key(key),))]
    )
    return accepted.events[0]
