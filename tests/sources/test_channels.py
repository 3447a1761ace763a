"""One channel for every source there is, together in one configuration."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from click.testing import CliRunner

from cli.main import main
from service.core.registry import discover
from tests.fixtures_http import FIXTURES
from tests.sources.test_contract import HEAD

if TYPE_CHECKING:
    import pytest


ALL = set(
    """
    sendgrid mailgun postmark cloudmailin ses mandrill sparkpost brevo resend mailersend mailparser parseur zapier
    cloudflare improvmx forwardemail typeform jotform tally googleforms msforms gravityforms wpforms cf7 elementor
    webflow netlify formspree basin hubspot fillout paperform cognito wufoo surveymonkey wix formbricks opnform form
    json standardwebhooks slack
    """.split()
)


def test_a_channel_of_every_source_starts_and_is_listed_with_its_url(monkeypatch: pytest.MonkeyPatch) -> None:
    sources = sorted(discover())
    monkeypatch.setenv("BRIDGE_CONFIG", HEAD.removesuffix("[[channels]]\n") + "".join(map(table, sources)))
    monkeypatch.setenv("BRIDGE_PUBLIC_URL", "https://bridge.example")

    result = CliRunner().invoke(main, ["channels", "--json"])

    assert result.exit_code == 0, result.output
    listed = {one["source"]: one for one in json.loads(result.stdout)["channels"]}
    assert len(ALL) == 42
    assert set(listed) == set(sources) >= ALL
    assert all(one["url"] == f"https://bridge.example/hooks/{one['name']}" for one in listed.values())


def table(source: str) -> str:
    lines = (FIXTURES / source / "channel.toml").read_text("utf-8").splitlines()
    kept = (line for line in lines if not line.startswith(("now =", "key =")))
    return "\n".join(["[[channels]]", *kept, ""])
