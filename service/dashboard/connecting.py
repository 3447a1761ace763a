"""How the bridge is connected to Spacebring, and the way of a person through the log-in there."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from flask import flash, redirect, render_template, request, session, url_for

from config.secrets import Secret
from service.core.errors import LoginRefused, TokensUnreadable
from service.core.signing import same
from service.core.tokens import BY_DASHBOARD, TokenStore
from service.dashboard.body import visible
from service.web import current

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from service.core.tokens import Tokens
    from service.web import Web

_STATE = "spacebring_state"
_SAID = 200


def spacebring() -> ResponseReturnValue:
    """Show how the bridge is connected, never with what."""
    web = current()
    problem = ""
    tokens = None
    store = TokenStore(web.redis, _key(web))
    snapshot = store.snapshot()
    try:
        tokens = store.open(snapshot)
    except TokensUnreadable as error:
        problem = str(error)
    return render_template(
        "spacebring.html",
        kind=_kind(web, tokens, unreadable=bool(problem)),
        tokens=tokens,
        problem=problem,
        refused=snapshot.refused,
        times={name: datetime.fromtimestamp(seconds, UTC) for name, seconds in _times(tokens) if seconds},
        unconnectable=web.unconnectable,
        redirect_uri=_redirect_uri(),
        network=web.settings.network_id,
        base=web.settings.spacebring_url,
    )


def connect() -> ResponseReturnValue:
    """Begin a log-in: show the page that leads to Spacebring.

    A page and no redirect: `form-action` of our policy also holds for where a form's redirects lead.
    """
    connector = current().connector
    if connector is None:
        return redirect(url_for("dashboard.spacebring"))
    begun = connector.begin(_redirect_uri(), origin=BY_DASHBOARD, pkce=request.form.get("no_pkce") != "yes")
    session[_STATE] = begun.state
    return render_template("spacebring_leave.html", url=begun.url)


def callback() -> ResponseReturnValue:
    """End a log-in: Spacebring sends the person here, with a code or with why there is none."""
    state, code = request.args.get("state", ""), request.args.get("code", "")
    ours = session.pop(_STATE, "")
    begun_here = bool(ours) and same(state.encode("utf-8", "replace"), ours.encode())
    connector = current().connector
    if code and connector is not None:
        try:
            connector.finish(state, code, begun_here=begun_here)
        except LoginRefused as error:
            flash(str(error), "bad")
        else:
            flash("Spacebring is connected. What waited for it is delivered within half a minute.", "good")
    else:
        # Only who brings our state back may put words on our page.
        said = request.args.get("error_description") or request.args.get("error", "") if begun_here else ""
        why = f" It said: {visible(said[:_SAID])}" if said else ""
        flash(f"Spacebring did not let the bridge in.{why} Nothing was changed.", "bad")
    return redirect(url_for("dashboard.spacebring"))


def _key(web: Web) -> Secret:
    # The guard has let nobody in without a key.
    return web.settings.secret_key or Secret("")


def _kind(web: Web, tokens: Tokens | None, *, unreadable: bool) -> str:
    settings = web.settings
    if settings.token is not None:
        return "bearer"
    if tokens is not None or unreadable or settings.refresh_token is not None:
        return "oauth"
    return "basic" if settings.client_id is not None else "none"


def _times(tokens: Tokens | None) -> list[tuple[str, float]]:
    if tokens is None:
        return []
    return [("connected", tokens.connected), ("renewed", tokens.renewed), ("expires", tokens.expires)]


def _redirect_uri() -> str:
    public = current().settings.public_url
    path = url_for("dashboard.spacebring_callback")
    return f"{public}{path}" if public else url_for("dashboard.spacebring_callback", _external=True)
