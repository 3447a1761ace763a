"""The WSGI application of `bridge web`: the web side, with the part that logs in to Spacebring.

That part belongs to the workers' side, which the web side does not import; here both are put together.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from service.app import create_app, start_draining
from workers.main import MAX_WAIT
from workers.spacebring.credentials import connector
from workers.spacebring.limiter import Limiter

if TYPE_CHECKING:
    from flask import Flask
    from redis import Redis

    from config.channels import Config
    from config.settings import Settings
    from workers.spacebring.login import Login


def make_app() -> Flask:
    """Give the application, by the environment: `gunicorn "cli.wsgi:make_app()"`; raises ConfigError."""
    return start_draining(create_app(connect_spacebring=connect_spacebring))


def connect_spacebring(settings: Settings, config: Config, redis: Redis) -> Login:
    """Give the log-in to Spacebring, paced by the workers' limiter; raises ConfigError."""
    timeout = config.spacebring.timeout
    limiter = Limiter(redis, rate=config.spacebring.rate, timeout=timeout, max_wait=MAX_WAIT)
    # A person waits for it, and there may be no workers whose number gives the places.
    return connector(settings, redis, timeout=timeout, slots=partial(limiter.call, with_place=False))
