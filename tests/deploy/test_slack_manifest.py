"""The Slack app's manifest keeps to Slack's limits, and asks for what the source serves.

Limits: https://github.com/slackapi/manifest-schema, schemas/manifest.schema.2.0.0.json.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.core.slack.modal import CALLBACK

TEMPLATE = Path(__file__).resolve().parents[2] / "deploy" / "slack-manifest.yaml"
URL = "https://bridge.example/hooks/slack"
# What the source serves; a scope without which each does not come, or cannot be read.
EVENTS = {
    "app_mention": "app_mentions:read",
    "message.im": "im:history",
    "reaction_added": "reactions:read",
    "function_executed": "",
}
CALLS = {"chat:write", "im:write", "users:read", "users:read.email", "channels:history", "groups:history"}


def manifest(*, workflows: bool) -> dict[str, Any]:
    text = TEMPLATE.read_text("utf-8").replace("{url}", URL)
    if workflows:
        text = text.replace("  org_deploy_enabled: false\n", "").replace("#: ", "")
    read: dict[str, Any] = yaml.safe_load(text)  # type: ignore[no-untyped-call]
    return read


@pytest.mark.parametrize("workflows", [False, True])
def test_the_manifest_keeps_to_slacks_limits(workflows: bool) -> None:  # noqa: FBT001
    app = manifest(workflows=workflows)

    display, features = app["display_information"], app["features"]
    assert 1 <= len(display["name"]) <= 35
    assert 1 <= len(display["description"]) <= 140
    assert 1 <= len(features["bot_user"]["display_name"]) <= 80
    assert 1 <= len(features["shortcuts"]) <= 10
    for shortcut in features["shortcuts"]:
        assert shortcut.keys() == {"name", "type", "callback_id", "description"}
        assert shortcut["type"] in {"message", "global"}
        assert 1 <= len(shortcut["name"]) <= 24
        assert 1 <= len(shortcut["description"]) <= 150
        assert 1 <= len(shortcut["callback_id"]) <= 255
    for command in features["slash_commands"]:
        assert re.fullmatch(r"/.{1,31}", command["command"])
        assert 1 <= len(command["description"]) <= 2000
    events = app["settings"]["event_subscriptions"]["bot_events"]
    assert len(events) == len(set(events)) <= 100


@pytest.mark.parametrize("workflows", [False, True])
def test_everything_comes_to_the_channel_with_the_scopes_that_it_needs(workflows: bool) -> None:  # noqa: FBT001
    app = manifest(workflows=workflows)

    settings, scopes = app["settings"], set(app["oauth_config"]["scopes"]["bot"])
    wanted = dict(EVENTS) if workflows else {name: scope for name, scope in EVENTS.items() if scope}
    assert set(settings["event_subscriptions"]["bot_events"]) == wanted.keys()
    assert scopes == CALLS | {"commands"} | set(filter(None, wanted.values()))
    addresses = [
        settings["event_subscriptions"]["request_url"],
        settings["interactivity"]["request_url"],
        *(command["url"] for command in app["features"]["slash_commands"]),
    ]
    assert addresses == [URL] * 3
    assert settings["org_deploy_enabled"] is workflows


def test_the_step_is_the_one_that_is_served() -> None:
    app = manifest(workflows=True)

    (step,) = app["functions"].items()
    name, function = step
    assert name == CALLBACK
    assert function.keys() == {"title", "description", "input_parameters", "output_parameters"}
    given, made = (function[f"{way}_parameters"] for way in ("input", "output"))
    assert given["properties"].keys() == {"title", "description", "requester", "type", "location"}
    assert made["properties"].keys() == {"ticket_number", "ref"} == set(made["required"])
    assert app["settings"]["function_runtime"] == "remote"
    assert "functions" not in manifest(workflows=False)
