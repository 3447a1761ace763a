"""The pages that say what went wrong and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import make_response, render_template
from flask_wtf.csrf import CSRFError

if TYPE_CHECKING:
    from flask import Response
    from redis.exceptions import RedisError
    from werkzeug.exceptions import HTTPException

    from service.core.errors import NoSuchEvent

RETRY_AFTER = 10


def page(status: int, title: str, message: str, *, retry_after: int = 0) -> Response:
    """Give a page with that status, its title and what to do."""
    response = make_response(render_template("problem.html", title=title, message=message), status)
    if retry_after:
        response.headers["Retry-After"] = str(retry_after)
    return response


def http_error(error: HTTPException) -> Response:
    """Answer an HTTP error."""
    if isinstance(error, CSRFError):
        return page(
            400,
            "This page was too old",
            "Nothing was changed. You logged in anew, or out, since it was opened: "
            "go back, reload it, try again.",
        )
    return page(error.code or 500, error.name, error.description or "")


def no_such_event(error: NoSuchEvent) -> Response:
    """Answer where an event is not, or no longer, in the ledger."""
    return page(404, "No such event", str(error))


def redis_away(error: RedisError) -> Response:
    """Answer where Redis cannot be asked."""
    return page(
        503,
        "Redis is away",
        f"The ledger cannot be read ({type(error).__name__}). Until Redis is back, senders are told to try "
        "again later. Look at the Redis server and at REDIS_URL, then reload this page.",
        retry_after=RETRY_AFTER,
    )
