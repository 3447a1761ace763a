"""The bench on which deliveries are tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from config.channels import load_config
from sandbox.app import create_app
from sandbox.options import SandboxOptions
from sandbox.server import running
from service.core.wiring import open_ledger
from tests.slack_api import SlackStandIn, slack_running
from tests.workers.bench import ANN, CONFIG, ELSEWHERE, LOCATION, Bench
from tests.workers.desk import CHANNEL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis


@pytest.fixture
def bench(redis: Redis) -> Iterator[Bench]:
    options = SandboxOptions(
        locations={LOCATION: "Downtown", ELSEWHERE: "Elsewhere"},
        memberships=[("ann@example.com", "Ann", LOCATION, ANN, "7d44ff15-c768-4045-8ccf-7ac3c169f777")],
        rate=0,
    )
    with running(create_app(options)) as base:
        bench = Bench(base, redis, open_ledger(redis, load_config(CONFIG, environ={})))
        yield bench
        if bench.client is not None:
            bench.client.close()


@pytest.fixture
def slack(bench: Bench) -> Iterator[SlackStandIn]:
    """Give the stand-in for Slack's API that the bench's channel `slack` calls."""
    with slack_running() as stand_in:
        bench.channels = CHANNEL.format(base=stand_in.base)
        yield stand_in
