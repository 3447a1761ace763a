"""The sandbox's page for a person: the tickets that it holds, and the faults that are on."""

import json
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urlsplit

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from sandbox.control import summary
from sandbox.faults import Fault
from sandbox.parts import parts

pages = Blueprint("pages", __name__)

_SHOWN = 100
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self';"
        " base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: that would make a browser send `Origin: null` with our own form.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Preset(NamedTuple):
    """A common fault that the page can switch."""

    title: str
    effect: str
    fault: Fault


_ANY = ("*",)
PRESETS: Mapping[str, Preset] = {
    "down": Preset("Down", "Every request is answered 503.", Fault("status", status=503, methods=_ANY)),
    "credentials": Preset(
        "Credentials refused", "Every request is answered 401.", Fault("status", status=401, methods=_ANY)
    ),
    "refused": Preset("Tickets refused", "Filing a ticket is answered 400.", Fault("status", status=400)),
    "limited": Preset(
        "One in three limited",
        "One ticket in three is answered 429, to retry after 2\N{NO-BREAK SPACE}s.",
        Fault("status", status=429, retry_after=2, every=3),
    ),
    "slow": Preset("Slow", "Filing a ticket takes 3\N{NO-BREAK SPACE}s longer.", Fault("latency", seconds=3)),
    "silent": Preset(
        "Silent, not filed",
        "No answer for 30\N{NO-BREAK SPACE}s, and no ticket.",
        Fault("timeout_before_commit"),
    ),
    "silent-filed": Preset(
        "Silent, but filed",
        "The ticket is filed, then no answer for 30\N{NO-BREAK SPACE}s.",
        Fault("timeout_after_commit"),
    ),
    "error-filed": Preset(
        "Error, but filed", "The ticket is filed, the answer is 500.", Fault("error_after_commit")
    ),
    "unreadable": Preset(
        "Unreadable 201", "The ticket is filed, the answer is cut off.", Fault("wrong_json")
    ),
    "reset": Preset("Reset, not filed", "The connection is reset, and no ticket.", Fault("reset")),
    "reset-filed": Preset(
        "Reset, but filed", "The ticket is filed, then the connection is reset.", Fault("reset_after_commit")
    ),
}


@pages.after_app_request
def _lock_down(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response


@pages.get("/")
def index() -> str:
    """Show the newest tickets and the faults: 200."""
    held = parts()
    active = {found.fault: found for found in held.faults.active()}
    known = {preset.fault for preset in PRESETS.values()}
    return render_template(
        "sandbox.html",
        count=held.store.count(),
        tickets=[summary(ticket) for ticket in held.store.newest(_SHOWN)],
        presets=[(key, preset, active.get(preset.fault)) for key, preset in PRESETS.items()],
        others=[
            (json.dumps(found.fault.document()), found)
            for fault, found in active.items()
            if fault not in known
        ],
        any_fault=bool(active),
    )


@pages.post("/faults")
def switch_faults() -> BaseResponse:
    """Switch the fault named by `switch` on or off, or `all` off: 303 back to the page.

    403 when the form was not sent from this page, 400 for a fault that the page does not have.
    """
    if not _from_own_page():
        abort(HTTPStatus.FORBIDDEN)
    faults = parts().faults
    name = request.form.get("switch", "")
    if name == "all":
        faults.replace([])
    elif name in PRESETS:
        faults.switch(PRESETS[name].fault, on=request.form.get("to") == "on")
    else:
        abort(HTTPStatus.BAD_REQUEST)
    return redirect(url_for("pages.index"), HTTPStatus.SEE_OTHER)


@pages.app_template_filter("moment")
def moment(date: str) -> str:
    """Write an ISO date for a person."""
    return datetime.fromisoformat(date).strftime("%-d %B %Y, %H:%M:%S UTC")


def _from_own_page() -> bool:
    """Say whether a browser vouches that the form was sent from this host; unsure counts as no."""
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if site is not None and site != "same-origin":
        return False
    if origin is not None:
        return urlsplit(origin).netloc == request.host
    return site is not None
