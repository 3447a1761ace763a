"""`bridge check`: everything that is wrong, in one list."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import requests

from cli.check import FORGETFUL
from sandbox.app import create_app
from sandbox.options import DEFAULT_NETWORK_ID, SandboxOptions
from sandbox.server import running
from tests.cli.conftest import CONFIG, LOCATION, printed
from tests.conftest import serving
from tests.ledger.test_store import cluster_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from click.testing import Result
    from redis import Redis


@pytest.fixture
def spacebring(environment: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    with running(create_app(SandboxOptions(locations={LOCATION: "Downtown"}))) as base:
        environment.setenv("SPACEBRING_URL", base)
        environment.setenv("SPACEBRING_TOKEN", "sandbox-token")
        environment.setenv("SPACEBRING_NETWORK_ID", DEFAULT_NETWORK_ID)
        yield environment


def test_all_is_well_where_everything_answers(
    bridge: Callable[..., Result], spacebring: pytest.MonkeyPatch
) -> None:
    for name in ("BRIDGE_ADMIN_PASSWORD", "BRIDGE_SECRET_KEY", "BRIDGE_API_TOKEN"):
        spacebring.setenv(name, "a-long-enough-secret-for-tests-1234")

    result = bridge("check")

    assert result.output.splitlines() == [
        "note: durability in force: memory (Redis may lose what it took in last when it dies)",
        f"note: {FORGETFUL}",
        "all is well",
    ]
    assert result.exit_code == 0


def test_an_append_only_file_needs_no_note(
    bridge: Callable[..., Result], spacebring: pytest.MonkeyPatch, redis: Redis
) -> None:
    redis.config_set("appendonly", "yes")
    try:
        found = printed(bridge("check", "--json"))
    finally:
        redis.config_set("appendonly", "no")

    assert not any("append-only" in note for note in found["notes"])


def test_missing_logins_are_notes_and_no_problems(
    bridge: Callable[..., Result], spacebring: pytest.MonkeyPatch
) -> None:
    found = printed(bridge("check", "--json"))

    assert found["ok"] is True
    assert len(found["notes"]) == 4


def test_a_durability_that_the_server_cannot_give_is_a_problem_and_nothing_starts(
    bridge: Callable[..., Result], spacebring: pytest.MonkeyPatch
) -> None:
    spacebring.setenv("BRIDGE_CONFIG", f'[ledger]\ndurability = "fsync"\n{CONFIG}')

    result = bridge("check")

    assert 'problem: ledger.durability is "fsync", but Redis keeps no append-only file' in result.output
    for part in ("web", "worker"):
        refused = bridge(part)
        assert refused.exit_code == 1
        assert "config set appendonly yes" in refused.output


def test_everything_wrong_is_listed_at_once(
    bridge: Callable[..., Result], environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("BRIDGE_CONFIG", CONFIG.replace('"form"', '"from"'))
    environment.delenv("REDIS_URL")

    result = bridge("check")

    assert result.exit_code == 1
    for part in ("no source 'from'", "REDIS_URL is not set", "No Spacebring credentials", "3 problems"):
        assert part in result.output


def test_a_bridge_without_channels_is_noted(
    bridge: Callable[..., Result], spacebring: pytest.MonkeyPatch
) -> None:
    spacebring.setenv("BRIDGE_CONFIG", "[spacebring]\nrate = 9\n")

    found = printed(bridge("check", "--json"))

    assert (found["problems"], found["notes"][0]) == (
        [],
        "nothing can come in: bridge.toml has no [[channels]]",
    )


def test_a_wrong_environment_is_a_problem(
    bridge: Callable[..., Result], environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("PORT", "many")

    result = bridge("check")

    assert result.exit_code == 1
    assert "PORT" in result.output


def test_a_location_that_spacebring_does_not_know_is_a_problem(
    bridge: Callable[..., Result], spacebring: pytest.MonkeyPatch
) -> None:
    other = "11111111-1111-4111-8111-111111111111"
    spacebring.setenv("BRIDGE_CONFIG", CONFIG.replace(LOCATION, other))

    output = bridge("check").output

    assert f"locations.downtown: Spacebring knows no location {other}" in output
    assert "locations.downtown: Spacebring does not list this location's tickets (4" in output


def test_refused_credentials_are_a_problem(
    bridge: Callable[..., Result], spacebring: pytest.MonkeyPatch
) -> None:
    spacebring.setenv("SPACEBRING_TOKEN", "wrong")

    result = bridge("check")

    assert "Spacebring refuses our credentials (401): " in result.output
    assert "; mend SPACEBRING_TOKEN" in result.output
    assert result.output.endswith("1 problem\n")


def test_a_spacebring_that_does_not_answer_is_a_problem(
    bridge: Callable[..., Result], spacebring: pytest.MonkeyPatch
) -> None:
    spacebring.setenv("SPACEBRING_URL", "http://127.0.0.1:9")

    assert "Spacebring cannot be asked (no answer): " in bridge("check").output
    assert "is SPACEBRING_URL (http://127.0.0.1:9) right" in bridge("check").output


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("SPACEBRING_URL", "http://127.0.0.1:9", "note: Spacebring cannot be asked"),
        ("SPACEBRING_TOKEN", "wrong", "note: Spacebring refuses our credentials"),
    ],
    ids=["down", "not connected"],
)
def test_what_spacebring_answers_keeps_no_release_back(
    bridge: Callable[..., Result], spacebring: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    spacebring.setenv(variable, value)

    result = bridge("check", "--release")

    assert result.exit_code == 0
    assert said in result.output
    assert bridge("check").exit_code == 1


NORTH, SOUTH, WEST = (
    f"{digit * 8}-{digit * 4}-4{digit * 3}-8{digit * 3}-{digit * 12}" for digit in ("1", "2", "3")
)
PLACES = f"""
[locations]
north = "{NORTH}"
[[channels]]
name = "desk"
source = "form"
public = true
location = "{SOUTH}"
  [[channels.rules]]
  match = {{ subject = "x" }}
  location = "{WEST}"
"""


def strike(base: str, path: str, **more: str) -> None:
    fault = {"kind": "status", "status": 403, "methods": ["GET"], "path": path, **more}
    requests.put(f"{base}/sandbox/faults", json=[fault], timeout=5).raise_for_status()


def test_every_location_that_a_ticket_may_go_to_is_checked(
    bridge: Callable[..., Result], spacebring: pytest.MonkeyPatch
) -> None:
    spacebring.setenv("BRIDGE_CONFIG", PLACES)

    problems = printed(bridge("check", "--json"))["problems"]

    unknown = [problem for problem in problems if "knows no location" in problem]
    assert unknown == [
        f"location of channel desk: Spacebring knows no location {SOUTH}",
        f"location in a rule of channel desk: Spacebring knows no location {WEST}",
        f"locations.north: Spacebring knows no location {NORTH}",
    ]


def test_a_location_whose_tickets_cannot_be_listed_is_a_problem_that_says_why(
    bridge: Callable[..., Result], spacebring: pytest.MonkeyPatch
) -> None:
    strike(os.environ["SPACEBRING_URL"], "/support/tickets/v1", location=LOCATION)

    (problem,) = printed(bridge("check", "--json"))["problems"]

    assert problem.startswith("locations.downtown: Spacebring does not list this location's tickets (403): ")
    assert "can never be looked for" in problem


def test_tickets_are_listed_even_where_the_locations_are_not(
    bridge: Callable[..., Result], spacebring: pytest.MonkeyPatch
) -> None:
    strike(os.environ["SPACEBRING_URL"], "/")

    first, second = printed(bridge("check", "--json"))["problems"]

    assert "does not let us list the locations" in first
    assert "does not list this location's tickets" in second


def test_a_redis_that_is_away_is_a_problem(
    bridge: Callable[..., Result], spacebring: pytest.MonkeyPatch
) -> None:
    spacebring.setenv("REDIS_URL", "unix:///nowhere/at/all.sock")

    output = bridge("check").output

    assert "Redis cannot be reached: ConnectionError: Error 2 connecting to /nowhere" in output
    assert "is REDIS_URL right" in output


def test_a_redis_that_may_evict_is_a_problem(
    bridge: Callable[..., Result], spacebring: pytest.MonkeyPatch, redis: Redis
) -> None:
    redis.config_set("maxmemory-policy", "allkeys-lru")

    result = bridge("check")
    redis.config_set("maxmemory-policy", "noeviction")

    assert "maxmemory-policy is allkeys-lru" in result.output


def test_a_redis_cluster_is_refused_by_every_part(
    bridge: Callable[..., Result], spacebring: pytest.MonkeyPatch
) -> None:
    with serving(cluster_options()) as cluster:
        spacebring.setenv("REDIS_URL", cluster.url)

        results = [bridge("check"), bridge("web"), bridge("worker")]

    assert [result.exit_code for result in results] == [1, 1, 1]
    assert all("This is a Redis Cluster" in result.output for result in results)
