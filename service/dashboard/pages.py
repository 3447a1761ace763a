"""The pages and what their buttons do."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, cast, get_args

from flask import Blueprint, abort, flash, redirect, render_template, request, session, url_for
from redis.exceptions import RedisError

from service.core.errors import ConfirmationNeeded, Forbidden, NoSuchEvent
from service.core.ledger import State
from service.core.ledger.model import Operation
from service.core.operations import OPERATIONS, bulk, dead_letters
from service.core.overview import overview as look
from service.dashboard.login import check_password, show_login
from service.web import current

if TYPE_CHECKING:
    from flask import Response
    from werkzeug.wrappers import Response as BaseResponse

    from service.core.request import InboundRequest

blueprint = Blueprint(
    "dashboard",
    __name__,
    template_folder="templates",
    static_folder="static",
    static_url_path="/dashboard-static",
)
_SHOWN_BODY = 20_000
_RECENT = 10


@blueprint.get("/login")
def login() -> Response:
    """Ask for the password."""
    return show_login()


@blueprint.post("/login")
def sign_in() -> BaseResponse:
    """Check the password."""
    return check_password()


@blueprint.post("/logout")
def logout() -> BaseResponse:
    """End the session."""
    session.clear()
    return redirect(url_for("dashboard.login"))


@blueprint.get("/")
def overview() -> str:
    """Show how the bridge does."""
    web = current()
    recent = web.ledger.events(limit=_RECENT).events
    return render_template("overview.html", view=look(web.ledger, web.redis), recent=recent)


@blueprint.get("/events")
def events() -> str:
    """List events, by state, channel and search."""
    asked = {name: request.args.get(name, "") for name in ("status", "channel", "q", "cursor")}
    states = [state for state in State if state == asked["status"]]
    try:
        page = current().ledger.events(
            states=states, channel=asked["channel"], query=asked["q"], cursor=asked["cursor"] or None
        )
    except ValueError:
        abort(HTTPStatus.BAD_REQUEST)
    return render_template(
        "events.html", page=page, asked=asked, states=list(State), channels=current().config.channels
    )


@blueprint.get("/events/<event>")
def event(event: str) -> str:
    """Show one event: what came in, the draft, each attempt."""
    book = current().ledger
    try:
        found = book.event(event)
    except NoSuchEvent:
        abort(HTTPStatus.NOT_FOUND)
    came_in = book.request(found)
    return render_template(
        "event.html",
        event=found,
        attempts=book.attempts(event),
        history=book.history(event),
        request_in=came_in,
        body=_body(came_in),
        operations=OPERATIONS[found.state],
    )


@blueprint.post("/events/<event>/<operation>")
def operate(event: str, operation: str) -> BaseResponse:
    """Replay, discard, hold or release one event."""
    _known(operation)
    confirmed = request.form.get("confirm") == "yes"
    try:
        current().ledger.operate(event, cast("Operation", operation), "dashboard", confirmed=confirmed)
    except ConfirmationNeeded as error:
        flash(f"{error}: tick the box to confirm.", "warning")
    except (Forbidden, NoSuchEvent) as error:
        flash(str(error), "warning")
    else:
        flash(f"Done: {operation}.", "done")
    return redirect(url_for("dashboard.event", event=event))


@blueprint.get("/dead-letters")
def dead() -> str:
    """List what needs a person."""
    asked = {name: request.args.get(name, "") for name in ("channel", "reason", "cursor")}
    try:
        page = dead_letters(
            current().ledger,
            channel=asked["channel"],
            reason=asked["reason"],
            cursor=asked["cursor"] or None,
        )
    except ValueError:
        abort(HTTPStatus.BAD_REQUEST)
    return render_template("dead.html", page=page, asked=asked, channels=current().config.channels)


@blueprint.post("/dead-letters/<operation>")
def operate_dead(operation: str) -> BaseResponse:
    """Replay or discard the chosen dead letters, or all that fit the filter."""
    _known(operation)
    form = request.form
    everything = form.get("scope") == "all"
    done = bulk(
        current().ledger,
        cast("Operation", operation),
        channel=form.get("channel", ""),
        reason=form.get("reason", ""),
        ids=None if everything else form.getlist("id"),
        by="dashboard",
        confirmed=form.get("confirm") == "yes",
    )
    flash(f"Done: {operation} for {done}.", "done")
    return redirect(url_for("dashboard.dead"))


@blueprint.app_errorhandler(RedisError)
def redis_away(_error: RedisError) -> tuple[str, int]:
    """Say that Redis is away, instead of a bare error."""
    return render_template("away.html"), HTTPStatus.SERVICE_UNAVAILABLE


def _known(operation: str) -> None:
    if operation not in get_args(Operation):
        abort(HTTPStatus.NOT_FOUND)


def _body(came_in: InboundRequest | None) -> str:
    """Give the body as text to show, cut where it is long; a page never shows raw bytes."""
    if came_in is None:
        return ""
    if b"\0" in came_in.body:
        return f"(binary, {len(came_in.body)} bytes)"
    text = came_in.body[:_SHOWN_BODY].decode("utf-8", "replace")
    rest = len(came_in.body) - _SHOWN_BODY
    return f"{text}\n… {rest} more bytes" if rest > 0 else text
