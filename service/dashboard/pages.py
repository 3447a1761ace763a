"""What the pages show and what their buttons do."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from flask import abort, flash, redirect, render_template, request, url_for

from service.core import operations
from service.core.errors import Forbidden
from service.core.ledger.model import Operation
from service.core.ledger.states import State
from service.core.overview import overview as look
from service.dashboard.body import shown
from service.web import current

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flask.typing import ResponseReturnValue

_BY = "dashboard"
_RECENT = 10
_URGENT = 5
_PAGE = 50
REFRESH_SECONDS = 15
_OPERATIONS: dict[str, Operation] = {name: name for name in get_args(Operation)}
_BULK: dict[str, Operation] = {"replay": "replay", "discard": "discard"}
_DONE = {
    "replay": "replayed",
    "discard": "discarded",
    "hold": "held: it waits until somebody releases it",
    "release": "released",
}


def overview() -> ResponseReturnValue:
    """Show how the bridge does, what needs a person, and what came last."""
    web = current()
    return render_template(
        "overview.html",
        view=look(web.ledger, web.redis),
        spooled=web.spool.waiting(),
        alarms=web.ledger.alarms()[:_URGENT],
        urgent=web.ledger.events(states=[State.DEAD], limit=_URGENT).events,
        recent=web.ledger.events(limit=_RECENT).events,
        refresh=0 if request.args.get("refresh") == "off" else REFRESH_SECONDS,
    )


def events() -> ResponseReturnValue:
    """List events by state, channel and what is looked for, page by page."""
    web = current()
    asked = {name: request.args.get(name, "").strip() for name in ("state", "channel", "q")}
    if asked["state"] and asked["state"] not in set(State):
        abort(404, f"There is no state {asked['state'][:40]!r}.")
    cursor = request.args.get("cursor")
    try:
        page = web.ledger.events(
            states=[State(asked["state"])] if asked["state"] else [],
            channel=asked["channel"],
            query=asked["q"],
            limit=_PAGE,
            cursor=cursor,
        )
    except ValueError:
        abort(400, "The address of this page is damaged: start from the newest events.")
    counts = web.ledger.stats().states
    return render_template("events.html", page=page, asked=asked, cursor=cursor, counts=counts)


def event(event: str) -> ResponseReturnValue:
    """Show one event: what came in, what is sent, each attempt, each change, and what can be done."""
    ledger = current().ledger
    found = ledger.event(event)
    request_kept = ledger.request(found)
    return render_template(
        "event.html",
        event=found,
        inbound=request_kept,
        body=shown(request_kept) if request_kept else None,
        attempts=ledger.attempts(found.id),
        history=ledger.history(found.id),
        operations=[
            name
            for name in operations.OPERATIONS[found.state]
            if found.has_body or name not in operations.NEED_BODY
        ],
        needs_confirmation=found.code == operations.UNKNOWN,
    )


def operate(event: str, operation: str) -> ResponseReturnValue:
    """Do what a button of an event says, and show the event again."""
    if operation not in _OPERATIONS:
        abort(404, "There is no such operation.")
    confirmed = request.form.get("confirm") == "yes"
    try:
        current().ledger.operate(event, _OPERATIONS[operation], _BY, confirmed=confirmed)
    except Forbidden as error:
        flash(f"{error}.", "bad")
    else:
        flash(f"The event is {_DONE[operation]}.", "good")
    return redirect(url_for("dashboard.event", event=event))


def dead_letters() -> ResponseReturnValue:
    """List the dead letters that fit a filter, to be replayed or discarded."""
    ledger = current().ledger
    asked = _filter(request.args)
    cursor = request.args.get("cursor")
    try:
        page = operations.dead_letters(ledger, **asked, limit=_PAGE, cursor=cursor)
    except ValueError:
        abort(400, "The address of this page is damaged: start from the newest dead letters.")
    total = ledger.stats().states[State.DEAD]
    return render_template(
        "dead_letters.html", page=page, asked=asked, cursor=cursor, total=total, unknown=operations.UNKNOWN
    )


def operate_many() -> ResponseReturnValue:
    """Replay or discard one, the ticked, or all dead letters of the filter, and show the rest."""
    form = request.form
    asked = _filter(form)
    back = redirect(
        url_for("dashboard.dead_letters", channel=asked["channel"] or None, reason=asked["reason"] or None)
    )
    name, _, one = form.get("do", "").partition(":")
    everything = one == "all"
    if name not in _BULK:
        abort(400, "No operation was given.")
    ids: Sequence[str] | None = None if everything else [one] if one else form.getlist("event")
    if everything and form.get("sure") != "yes":
        flash("Nothing was done: tick the box that says so to do it to all of them.", "bad")
        return back
    if not everything and not ids:
        flash("Nothing was done: no dead letter was ticked.", "bad")
        return back
    done = operations.bulk(
        current().ledger,
        _BULK[name],
        **(asked if everything else {}),
        ids=ids,
        by=_BY,
        confirmed=form.get("confirm") == "yes",
    )
    flash(f"{done} dead letter{'' if done == 1 else 's'} {_DONE[name]}.", "good" if done else "bad")
    if ids is not None and done < len(ids):
        flash(
            f"{len(ids) - done} passed over: no dead letter any more, or it may have made a ticket already. "
            "Look for its marker in Spacebring first, then tick the box to send it again.",
            "bad",
        )
    return back


def _filter(values: Mapping[str, str]) -> dict[str, str]:
    return {name: values.get(name, "").strip() for name in ("channel", "reason")}
