"""Who may see the pages: one password, a signed session, and a brake on guessing."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flask import Response, redirect, render_template, request, session, url_for

from service.core.signing import same
from service.core.store import PREFIX
from service.web import current

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as BaseResponse

_TRIES = 10
_WITHIN = 300
_OPEN = frozenset({"dashboard.login", "dashboard.sign_in", "dashboard.static"})


def guard() -> BaseResponse | None:
    """Give what to answer instead of the page, or None where it may be shown."""
    settings = current().settings
    if request.endpoint == "dashboard.static":
        return None
    missing = [
        name
        for name, value in (
            ("BRIDGE_ADMIN_PASSWORD", settings.admin_password),
            ("BRIDGE_SECRET_KEY", settings.secret_key),
        )
        if value is None
    ]
    if missing:
        return Response(render_template("closed.html", missing=missing), HTTPStatus.SERVICE_UNAVAILABLE)
    if request.endpoint in _OPEN or session.get("admin"):
        return None
    return redirect(url_for("dashboard.login", next=request.full_path.removesuffix("?")))


def show_login(message: str = "", status: int = HTTPStatus.OK) -> Response:
    """Give the login page."""
    return Response(render_template("login.html", message=message, next=_next()), status)


def check_password() -> BaseResponse:
    """Let the operator in, or say no; after 10 wrong tries in 5 minutes from one address, wait."""
    # redis-py types answers as bytes or str.
    redis: Any = current().redis
    key = f"{PREFIX}login:{request.remote_addr}"
    if int(redis.get(key) or 0) >= _TRIES:
        return show_login("Too many tries: wait five minutes.", HTTPStatus.TOO_MANY_REQUESTS)
    password = current().settings.admin_password
    given = request.form.get("password", "").encode("utf-8", "surrogateescape")
    if password is None or not same(given, password.bytes):
        with redis.pipeline(transaction=True) as pipeline:
            pipeline.incr(key)
            pipeline.expire(key, _WITHIN)
            pipeline.execute()
        return show_login("That is not the password.", HTTPStatus.UNAUTHORIZED)
    redis.delete(key)
    session.clear()
    session["admin"] = True
    session.permanent = True
    return redirect(_next())


def _next() -> str:
    """Give where to go after the login: a path of ours, never another site."""
    wanted = request.values.get("next", "")
    parts = urlsplit(wanted)
    ours = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and not parts.netloc
    return wanted if ours else url_for("dashboard.overview")
