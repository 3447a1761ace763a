"""One channel for every source there is, together in one configuration."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from click.testing import CliRunner

from cli.main import main
from service.core.registry import discover
from tests.fixtures_http import channel_toml
from tests.sources.test_contract import HEAD

if TYPE_CHECKING:
    import pytest


# As many as were promised; more may come.
PROMISED = 42


def test_a_channel_of_every_source_starts_and_is_listed_with_its_url(monkeypatch: pytest.MonkeyPatch) -> None:
    sources = sorted(discover())
    monkeypatch.setenv("BRIDGE_CONFIG", HEAD.removesuffix("[[channels]]\n") + "".join(map(table, sources)))
    monkeypatch.setenv("BRIDGE_PUBLIC_URL", "https://bridge.example")

    result = CliRunner().invoke(main, ["channels", "--json"])

    assert result.exit_code == 0, result.output
    listed = {one["source"]: one for one in json.loads(result.stdout)["channels"]}
    assert sorted(listed) == sources
    assert len(sources) >= PROMISED
    assert [name for name, one in listed.items() if one["locks"] == ["public"]] == ["form"]
    assert all(one["url"] == f"https://bridge.example/hooks/{one['name']}" for one in listed.values())


def table(source: str) -> str:
    return f"[[channels]]\n{channel_toml(source)}\n"
