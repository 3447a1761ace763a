"""Who may see the pages: the log-in, its session, and the guard before every page."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from flask import current_app, flash, make_response, redirect, render_template, request, session, url_for

from service.core.signing import same
from service.core.store import PREFIX
from service.dashboard import problems
from service.web import current

if TYPE_CHECKING:
    from flask import Response
    from flask.typing import ResponseReturnValue
    from redis import Redis

    from config.settings import Settings

LIFETIME = timedelta(hours=12)
MAX_TRIES = 10
TRIES_SECONDS = 300
# The forms of these pages are small; ten thousand ticked events fit.
_MAX_BODY = 1 << 20
_IPV6_OF_ONE_PLACE = 64


def guard() -> ResponseReturnValue | None:
    """Let a request through to its page, or answer it with the log-in or with what is missing."""
    request.max_content_length = _MAX_BODY
    if request.endpoint == "dashboard.static":
        return None
    missing = _missing(current().settings)
    if missing:
        names = " and ".join(missing)
        return problems.page(
            503,
            "The dashboard is switched off",
            f"Set {names} in the environment of `bridge web` and restart it. "
            "Webhooks are taken in all the same.",
        )
    if request.endpoint != "dashboard.login" and not logged_in():
        here = request.full_path.removesuffix("?") if request.method == "GET" else "/"
        return redirect(url_for("dashboard.login", next=here if here != "/" else None))
    current_app.extensions["csrf"].protect()
    return None


def logged_in() -> bool:
    """Say whether the session is the operator's: of the password as it is now, and not over."""
    settings = current().settings
    if _missing(settings):
        return False
    given, since = session.get("who"), session.get("since")
    if not isinstance(given, str) or not isinstance(since, int):
        return False
    return same(given.encode(), _who(settings)) and time.time() - since < LIFETIME.total_seconds()


def login() -> ResponseReturnValue:
    """Show the log-in (GET), or check the password and go where the operator wanted (POST)."""
    target = _inside(request.values.get("next", ""))
    if request.method != "POST":
        return redirect(target) if logged_in() else _form(target)
    web = current()
    key = f"{PREFIX}login:{_place(request.remote_addr or '')}"
    tries, wait = _count(web.redis, key)
    if tries > MAX_TRIES:
        minutes = -(-wait // 60)
        answer = _form(target, 429, f"Too many tries. Wait {minutes} minute{'' if minutes == 1 else 's'}.")
        answer.headers["Retry-After"] = str(wait)
        return answer
    password = web.settings.admin_password
    given = request.form.get("password", "").encode("utf-8", "surrogatepass")
    if password is None or not same(given, password.bytes):
        return _form(target, 401, "That is not the password. It is BRIDGE_ADMIN_PASSWORD.")
    web.redis.delete(key)
    session.clear()
    session.permanent = True
    session["who"], session["since"] = _who(web.settings).decode(), int(time.time())
    return redirect(target)


def logout() -> ResponseReturnValue:
    """End the session."""
    session.clear()
    flash("You are logged out.", "good")
    return redirect(url_for("dashboard.login"))


def _form(target: str, status: int = 200, problem: str = "") -> Response:
    return make_response(render_template("login.html", target=target, problem=problem), status)


def _missing(settings: Settings) -> list[str]:
    needed = {
        "BRIDGE_ADMIN_PASSWORD": settings.admin_password,
        "BRIDGE_SECRET_KEY": settings.secret_key,
    }
    return [name for name, value in needed.items() if value is None]


def _who(settings: Settings) -> bytes:
    """Give what a session must hold: another password, or another key, ends every session."""
    key = settings.secret_key.bytes if settings.secret_key else b""
    password = settings.admin_password.bytes if settings.admin_password else b""
    return hmac.new(key, b"dashboard\0" + password, hashlib.sha256).hexdigest().encode()


def _count(redis: Redis, key: str) -> tuple[int, int]:
    """Count a try before it is looked at; gives how many there were, and seconds until they are forgotten."""
    with redis.pipeline(transaction=True) as pipeline:
        pipeline.set(key, 0, ex=TRIES_SECONDS, nx=True)
        pipeline.incr(key)
        pipeline.ttl(key)
        _, tries, wait = pipeline.execute()
    return int(tries), max(1, int(wait))


def _place(address: str) -> str:
    """Give what tries are counted by: an address, or for IPv6 the network that one customer has."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if parsed.version == 4:  # noqa: PLR2004 - IPv4
        return str(parsed)
    return str(ipaddress.ip_network((parsed, _IPV6_OF_ONE_PLACE), strict=False).network_address)


def _inside(target: str) -> str:
    """Give the target if it is a path of ours, else the overview: a link must not lead elsewhere."""
    # A browser reads `//host`, and `/` with a backslash, tab or line feed after it, as another host.
    ours = target.startswith("/") and not target.startswith("//") and "\\" not in target
    return target if ours and target.isprintable() else url_for("dashboard.overview")
