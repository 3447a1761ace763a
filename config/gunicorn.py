"""Settings for `gunicorn -c python:config.gunicorn "cli.wsgi:make_app()"`.

Names and meanings: https://docs.gunicorn.org/en/stable/settings.html. gunicorn reads the names of
this module, so it has to read the environment where it is imported; it is imported for nothing else.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from gunicorn.glogging import Logger

from config.logging import configure_logging
from config.settings import load_settings

if TYPE_CHECKING:
    from gunicorn.config import Config

_settings = load_settings(os.environ)


class RoutedLogger(Logger):
    """gunicorn's logger without handlers of its own: its entries take the way of all others."""

    def setup(self, cfg: Config) -> None:
        """Set up as gunicorn does, then hand its entries over to the root logger."""
        super().setup(cfg)  # type: ignore[no-untyped-call]
        configure_logging(_settings.log_format)
        for log in (self.error_log, self.access_log):
            log.handlers.clear()
            log.propagate = True


bind = [f"0.0.0.0:{_settings.port}"]
worker_class = "gthread"
workers = 2
threads = 4
# Heroku gives 30 s from SIGTERM to SIGKILL.
timeout = 30
graceful_timeout = 20
keepalive = 5

logger_class = RoutedLogger
# One line per request comes from the application, which knows what must not be in it.
accesslog = None

# Room for a long token and query in the URL; the size of a body is the application's to limit.
limit_request_line = 8190
limit_request_fields = 100
limit_request_field_size = 8190

# gunicorn would believe X-Forwarded-Proto of any caller on this machine: BRIDGE_TRUSTED_PROXIES decides.
forwarded_allow_ips = ""

# It would write a socket into a home directory, which a container may not have.
control_socket_disable = True
