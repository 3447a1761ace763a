"""What the web side works with, put together once by `create_app` and found through the app."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flask import current_app

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from redis import Redis

    from config.channels import Config
    from config.settings import Settings
    from service.core.captures import Captures
    from service.core.intake import Intake
    from service.core.ledger import Ledger
    from service.core.refusals import Refusals
    from service.core.spool import Spool
    from service.core.tokens import Connector
    from service.core.wiring import Door

EXTENSION = "bridge"


@dataclass(frozen=True)
class Web:
    """The parts that a request may use; `create_app` stores it in `app.extensions["bridge"]`.

    `connector` walks the log-in to Spacebring; it is None where that is not set up, for the reasons in
    `unconnectable`.
    """

    settings: Settings
    config: Config
    ledger: Ledger
    redis: Redis
    spool: Spool
    intake: Intake
    captures: Captures
    refusals: Refusals
    doors: Mapping[str, Door] = field(default_factory=dict)
    connector: Connector | None = None
    unconnectable: Sequence[str] = ()


def current() -> Web:
    """Give the parts of the app that serves this request; raises KeyError where none were stored."""
    web: Web = current_app.extensions[EXTENSION]
    return web
