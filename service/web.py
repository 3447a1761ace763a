"""What the web side's views share: one `Web` an app, reached through `current()`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from flask import current_app

if TYPE_CHECKING:
    from redis import Redis

    from config.channels import Config
    from config.settings import Settings
    from service.core.ledger import Ledger
    from service.core.wiring import Door

EXTENSION = "bridge"


@dataclass(frozen=True)
class Web:
    """Settings, configuration, ledger and the open channels of one app."""

    settings: Settings
    config: Config
    ledger: Ledger
    redis: Redis
    doors: Mapping[str, Door] = field(default_factory=dict)


def current() -> Web:
    """Give the running app's `Web`."""
    return cast("Web", current_app.extensions[EXTENSION])
