"""The operator's pages: overview, events, one event, dead letters. Server-rendered, no script."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from flask_wtf import CSRFProtect

from service.dashboard.login import guard
from service.dashboard.pages import blueprint

if TYPE_CHECKING:
    from flask import Flask, Response

_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)


def register(app: Flask) -> None:
    """Add the pages to the app; without password and secret key they only say what to set."""
    web = app.extensions["bridge"]
    settings = web.settings
    if settings.secret_key is not None:
        app.secret_key = settings.secret_key.reveal()
    app.config.update(
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=bool(settings.public_url and settings.public_url.startswith("https:")),
        PERMANENT_SESSION_LIFETIME=timedelta(hours=12),
        # Only the pages hold a session: webhooks and the API have locks of their own.
        WTF_CSRF_CHECK_DEFAULT=False,
        WTF_CSRF_TIME_LIMIT=None,
    )
    csrf = CSRFProtect(app)

    @blueprint.before_request
    def _protect() -> object:
        refused = guard()
        if refused is None:
            csrf.protect()
        return refused

    @blueprint.after_request
    def _lock_down(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "same-origin"
        if not response.headers.get("Content-Type", "").startswith("text/css"):
            response.headers["Cache-Control"] = "no-store"
        return response

    app.register_blueprint(blueprint)
