"""The operator's pages: server-rendered, without scripts; what strangers wrote is only ever text."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flask import Blueprint, request
from flask.sessions import SecureCookieSessionInterface
from flask_wtf.csrf import CSRFProtect
from redis.exceptions import RedisError
from werkzeug.exceptions import HTTPException

from service.core.errors import NoSuchEvent
from service.core.ledger.states import State
from service.dashboard import access, connecting, pages, problems, words
from service.web import current

if TYPE_CHECKING:
    from flask import Flask, Response

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: over https the check against forged requests looks at the referrer.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_STYLES_SECONDS = 3600


class _Sessions(SecureCookieSessionInterface):
    """Flask's own, whose cookie goes over https only wherever the log-in did."""

    def get_cookie_secure(self, app: Flask) -> bool:
        """Say whether the cookie is for https only: by BRIDGE_PUBLIC_URL, else by the request's scheme."""
        return super().get_cookie_secure(app) or request.is_secure


def register(app: Flask) -> None:
    """Add the pages to the app; needs `app.extensions["bridge"]` already."""
    settings = app.extensions["bridge"].settings
    if settings.secret_key is not None:
        app.secret_key = settings.secret_key.bytes
    app.session_interface = _Sessions()
    app.config.update(
        SESSION_COOKIE_NAME="bridge_session",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=(settings.public_url or "").startswith("https:"),
        PERMANENT_SESSION_LIFETIME=access.LIFETIME,
        # The hooks and the API have locks of their own: only our guard asks for the token.
        WTF_CSRF_CHECK_DEFAULT=False,
        # The token lives as long as the session: a page left open over lunch still works.
        WTF_CSRF_TIME_LIMIT=None,
    )
    CSRFProtect(app)  # type: ignore[no-untyped-call] # Flask-WTF has no types
    app.register_blueprint(_blueprint())


def _blueprint() -> Blueprint:
    blueprint = Blueprint(
        "dashboard", __name__, static_folder="static", static_url_path="/static", template_folder="templates"
    )
    for name, rule, methods, spacebring in (
        ("spacebring", "/spacebring", ["GET"], connecting.spacebring),
        ("spacebring_connect", "/spacebring/connect", ["POST"], connecting.connect),
        ("spacebring_callback", "/spacebring/callback", ["GET"], connecting.callback),
    ):
        blueprint.add_url_rule(rule, name, spacebring, methods=methods)
    for rule, methods, view in (
        ("/", ["GET"], pages.overview),
        ("/events", ["GET"], pages.events),
        ("/events/<event>", ["GET"], pages.event),
        ("/events/<event>/<operation>", ["POST"], pages.operate),
        ("/dead-letters", ["GET"], pages.dead_letters),
        ("/dead-letters", ["POST"], pages.operate_many),
        ("/login", ["GET", "POST"], access.login),
        ("/logout", ["POST"], access.logout),
    ):
        blueprint.add_url_rule(rule, view_func=view, methods=methods)
    blueprint.before_request(access.guard)
    blueprint.after_request(_guarded)
    blueprint.context_processor(_context)
    for name, word in words.FILTERS.items():
        blueprint.add_app_template_filter(word, name)
    blueprint.register_error_handler(HTTPException, problems.http_error)
    blueprint.register_error_handler(NoSuchEvent, problems.no_such_event)
    blueprint.register_error_handler(RedisError, problems.redis_away)
    return blueprint


def _context() -> dict[str, Any]:
    return {
        "now": datetime.now(UTC),
        "states": list(State),
        "logged_in": access.logged_in(),
        "channels": [channel.name for channel in current().config.channels],
        "locations": {uuid: name for name, uuid in current().config.locations.items()},
    }


def _guarded(response: Response) -> Response:
    response.headers.update(_HEADERS)
    if request.endpoint == "dashboard.static":
        response.headers["Cache-Control"] = f"public, max-age={_STYLES_SECONDS}"
    else:
        response.headers["Cache-Control"] = "no-store"
    return response
