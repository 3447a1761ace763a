"""Reports crashes to Sentry, where SENTRY_DSN is set: which error and where in our code, and nothing else.

https://docs.sentry.io/platforms/python/configuration/options/; what an integration would add (URL, headers,
cookies, body, arguments, breadcrumbs) never leaves this process, nor does the error's own message, which
may quote what a sender wrote: the log has it, with its secrets taken out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import sentry_sdk
from sentry_sdk.integrations.atexit import AtexitIntegration
from sentry_sdk.integrations.dedupe import DedupeIntegration
from sentry_sdk.integrations.excepthook import ExcepthookIntegration
from sentry_sdk.integrations.threading import ThreadingIntegration

if TYPE_CHECKING:
    from sentry_sdk.integrations import Integration
    from sentry_sdk.types import Event, Hint

    from config.secrets import Secret

# `transaction` is the name of a route or job, never a path.
_KEPT = ("event_id", "timestamp", "platform", "level", "release", "environment", "sdk", "transaction")


def report_errors(dsn: Secret | None, *integrations: Integration) -> None:
    """Report what crashes this process, and what `integrations` see; nothing is done without a `dsn`."""
    if dsn is None:
        return
    sentry_sdk.init(
        dsn=dsn.reveal(),
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[
            AtexitIntegration(),
            DedupeIntegration(),
            ExcepthookIntegration(),
            ThreadingIntegration(),
            *integrations,
        ],
        before_send=_only_the_crash,
        include_local_variables=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        propagate_traces=False,
        auto_session_tracking=False,
        send_client_reports=False,
    )


def _only_the_crash(event: Event, _hint: Hint) -> Event:
    kept = {key: value for key, value in event.items() if key in _KEPT}
    errors = event.get("exception", {}).get("values", [])
    kept["exception"] = {
        "values": [{key: error.get(key) for key in ("type", "module", "stacktrace")} for error in errors]
    }
    return cast("Event", kept)
