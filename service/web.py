"""What the web side works with, put together once by `create_app` and found through the app."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flask import current_app

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis import Redis

    from config.channels import Config
    from config.settings import Settings
    from service.core.ledger import Ledger
    from service.core.spool import Spool
    from service.core.wiring import Door

EXTENSION = "bridge"


@dataclass(frozen=True)
class Web:
    """The parts that a request may use; `create_app` stores it in `app.extensions["bridge"]`."""

    settings: Settings
    config: Config
    ledger: Ledger
    redis: Redis
    spool: Spool
    doors: Mapping[str, Door] = field(default_factory=dict)


def current() -> Web:
    """Give the parts of the app that serves this request; raises KeyError where none were stored."""
    web: Web = current_app.extensions[EXTENSION]
    return web
