"""create_app(): the only wiring on the web side."""

from __future__ import annotations

import os
import time
from functools import partial
from typing import TYPE_CHECKING

from flask import Flask, Response, g, request
from sentry_sdk.integrations.flask import FlaskIntegration
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge
from werkzeug.middleware.proxy_fix import ProxyFix

from config.channels import load_config
from config.logging import get_logger
from config.sentry import report_errors
from config.settings import load_settings
from service import api, dashboard, health, hooks, metrics
from service.core.captures import CAPTURES, Captures
from service.core.drainer import Drainer
from service.core.errors import ConfigError, NoSuchChannel, TooLarge, WrongMethod
from service.core.intake import Intake
from service.core.refusals import Refusals
from service.core.store import connect
from service.core.wiring import open_doors, open_ledger, open_spool
from service.web import EXTENSION, Web

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flask.typing import ResponseReturnValue
    from redis import Redis

    from config.channels import Config
    from config.settings import Settings
    from service.core.tokens import Connector

_log = get_logger("web")


def _not_wired(_settings: Settings, _config: Config, _redis: Redis) -> Connector:
    raise ConfigError(["This process was not started by `bridge web`, which can log in to Spacebring"])


def create_app(
    settings: Settings | None = None,
    config: Config | None = None,
    redis: Redis | None = None,
    *,
    clock: Callable[[], float] = time.time,
    connect_spacebring: Callable[[Settings, Config, Redis], Connector] = _not_wired,
) -> Flask:
    """Give the web application.

    What is not passed is read from the environment. Raises ConfigError with everything that is wrong.
    `clock` is what signatures' time windows are checked against. `connect_spacebring` gives the part that
    logs in to Spacebring; a ConfigError of its says why there is none, on the page that would use it.
    """
    settings = settings or load_settings(os.environ)
    config = config or load_config(settings.config, environ=os.environ)
    report_errors(settings.sentry_dsn, FlaskIntegration())
    doors = open_doors(config, clock=clock)
    redis = _store(settings) if redis is None else redis
    app = Flask(__name__, static_folder=None)
    if settings.trusted_proxies:
        # Who asked is counted from the outermost proxy of ours; how, is what the nearest one says. Not the
        # host: proxies such as Heroku's keep it in Host, and hand on whatever X-Forwarded-Host a caller sent.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=settings.trusted_proxies, x_proto=1, x_host=0)  # type: ignore[method-assign]
    connector, unconnectable = _connector(partial(connect_spacebring, settings, config, redis))
    ledger, spool = open_ledger(redis, config), open_spool(settings, config)
    app.extensions[EXTENSION] = Web(
        settings,
        config,
        ledger,
        redis,
        spool,
        Intake(ledger, spool),
        Captures(settings.data / CAPTURES),
        Refusals(redis),
        doors,
        connector,
        unconnectable,
    )
    # One more, for Werkzeug cuts a body of unknown length off there instead of refusing it: see hooks.
    app.config["MAX_CONTENT_LENGTH"] = config.ledger.max_body + 1
    app.json.sort_keys = False  # type: ignore[attr-defined]
    _register_parts(app)
    return app


def _store(settings: Settings) -> Redis:
    if settings.store is None:
        raise ConfigError(["REDIS_URL is not set: give the URL of a Redis or Valkey server"])
    return connect(settings.store)


def _connector(make: Callable[[], Connector]) -> tuple[Connector | None, Sequence[str]]:
    """Give what logs in to Spacebring, or why there is none."""
    try:
        return make(), ()
    except ConfigError as error:
        return None, error.problems


def _register_parts(app: Flask) -> None:
    for part in (hooks, api, dashboard, health, metrics):
        part.register(app)
    app.register_error_handler(RequestEntityTooLarge, _too_large)
    app.register_error_handler(NotFound, _nothing_here)
    app.register_error_handler(MethodNotAllowed, _nothing_here)
    app.before_request(_start)
    app.after_request(_log_request)


def start_draining(app: Flask) -> Flask:
    """Let the spool move into the ledger for as long as this process lives; gives the app again."""
    web: Web = app.extensions[EXTENSION]
    Drainer(web.spool, web.ledger).start()
    return app


def _too_large(_error: RequestEntityTooLarge) -> Response:
    return hooks.refuse(TooLarge(hooks.TOO_LARGE))


def _nothing_here(error: HTTPException) -> ResponseReturnValue:
    # Programs call these paths: what they get wrong is told as JSON.
    if request.path.startswith("/hooks/"):
        return hooks.refuse(
            WrongMethod(
                f"{request.method} is not served here: send by POST", sorted(error.valid_methods or ())
            )
            if isinstance(error, MethodNotAllowed)
            else NoSuchChannel("The path names no channel")
        )
    return api.problem(error) if request.path.startswith("/api/") else error.get_response()


def _start() -> None:
    g.started = time.perf_counter()


def _log_request(response: Response) -> Response:
    rule = request.url_rule
    _log.info(
        "request",
        method=request.method,
        # The rule, not the path: a path may hold a channel's token.
        route=rule.rule if rule else None,
        status=response.status_code,
        duration_ms=round((time.perf_counter() - g.started) * 1000, 1),
        channel=g.get("channel"),
        event_id=g.get("event"),
        outcome=g.get("status"),
    )
    return response
