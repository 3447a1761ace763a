"""`POST /hooks/<channel>[/<token>]`: verify, identify, accept, answer. No vendor knowledge here."""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import Blueprint, Response, g, jsonify, request
from redis.exceptions import RedisError

from config.logging import get_logger
from service import pages
from service.core.browser import preferred
from service.core.errors import (
    Invalid,
    NoSuchChannel,
    RequestError,
    StoreFull,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnreadableError,
    UnsupportedContent,
    WrongMethod,
)
from service.core.ledger.ids import marker_of
from service.core.refusals import FULL
from service.core.request import SECRET_PARAMETERS, Headers, InboundRequest
from service.core.source import Part, content_key
from service.web import current

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask import Flask

    from service.core.ledger import Acceptance
    from service.core.signing import Verified
    from service.core.source import Reply, Source
    from service.core.wiring import Door

blueprint = Blueprint("hooks", __name__, url_prefix="/hooks", template_folder="templates")
_METHODS = ("GET", "HEAD", "POST")
_ALLOW = ("POST", "GET", "HEAD", "OPTIONS")
_RETRY_AFTER = 30
TOO_LARGE = "The body is larger than this service takes (ledger.max_body)"
_log = get_logger("hooks")
# What a script of an allowed site may send, and may read of the answer.
_SENT = "Accept, Authorization, Content-Type, Idempotency-Key, X-Bridge-Token"
_READ = "Retry-After, X-Bridge-Event, X-Bridge-Status"


def register(app: Flask) -> None:
    """Add the endpoint to the app."""
    app.register_blueprint(blueprint)
    app.register_error_handler(RequestError, refuse)


@blueprint.route("/<channel>/", methods=_METHODS, provide_automatic_options=False)
@blueprint.route("/<channel>", methods=_METHODS, provide_automatic_options=False)
@blueprint.route("/<channel>/<path:token>", methods=_METHODS, provide_automatic_options=False)
def receive(channel: str, token: str = "") -> Response:
    """Take one webhook; the answers are those of `design.md` section 4."""
    door = current().doors.get(channel)
    if door is None:
        raise NoSuchChannel(f"No channel {channel[:64]!r} is configured")
    g.channel, g.source = channel, door.source
    if request.method in door.source.probes:
        return _ready(door)
    inbound = _inbound(token)
    verified = door.source.verify(inbound)
    if (hello := door.source.handshake(verified)) is not None:
        return _as_response(hello)
    # Not a handshake: some need no lock, and would fill the captures.
    current().captures.offer(door.source, verified, door.channel.capture)
    if not door.source.accepts(inbound):
        raise UnsupportedContent(
            f"{door.source.label} sends {' or '.join(door.source.content_types)}, "
            f"not {inbound.content_type or 'a body without a content type'}"
        )
    parts = _identify(door.source, verified)
    if not parts:
        return _ignored(door.source, verified)
    try:
        acceptance = _accept(door, inbound, parts)
    except Unavailable as error:
        if (reply := door.source.unavailable(verified)) is None:
            raise
        g.status = error.title
        _count(error)
        return _as_response(reply)
    return _answer(door.source, verified, acceptance)


def _ready(door: Door) -> Response:
    """Answer a vendor that checks the URL; data in the query makes no ticket, and somebody is told so."""
    told = [name for name in request.args if name not in SECRET_PARAMETERS]
    if told and door.source.verdict:
        raise WrongMethod("What is in the query makes no ticket: send it by POST, in the body", _ALLOW)
    if told:
        # Vendors that check the URL may add something of theirs; others were told to send by GET.
        _log.warning("get_with_data", channel=door.channel.name, method=request.method, parameters=len(told))
    return jsonify(status="ready", channel=door.channel.name)


@blueprint.route("/<channel>/", methods=("OPTIONS",), provide_automatic_options=False)
@blueprint.route("/<channel>", methods=("OPTIONS",), provide_automatic_options=False)
@blueprint.route("/<channel>/<path:token>", methods=("OPTIONS",), provide_automatic_options=False)
def preflight(channel: str, token: str = "") -> Response:
    """Answer a browser that asks whether a script of another site may post here."""
    del token
    if channel not in current().doors:
        raise NoSuchChannel(f"No channel {channel[:64]!r} is configured")
    response = Response(status=HTTPStatus.NO_CONTENT, headers={"Allow": ", ".join(_ALLOW)})
    response.headers.pop("Content-Type")
    if _from_allowed_site():
        response.headers["Access-Control-Allow-Methods"] = "POST, OPTIONS"
        response.headers["Access-Control-Allow-Headers"] = _SENT
        response.headers["Access-Control-Max-Age"] = "600"
    return response


@blueprint.after_request
def _let_scripts_read(response: Response) -> Response:
    """Name the site that asks, where the channel knows it; never with credentials: we use no cookie here."""
    if _origins():
        response.vary.add("Origin")
    if _from_allowed_site():
        response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
        response.headers["Access-Control-Expose-Headers"] = _READ
    return response


def _from_allowed_site() -> bool:
    return request.headers.get("Origin", "").lower() in _origins()


def _origins() -> Sequence[str]:
    door = current().doors.get((request.view_args or {}).get("channel", ""))
    return () if door is None else door.channel.origins


def _inbound(token: str) -> InboundRequest:
    web = current()
    public = web.settings.public_url or request.host_url.rstrip("/")
    # Before anything touches request.form: afterwards the raw body is gone.
    body = request.get_data(cache=True)
    if len(body) > web.config.ledger.max_body:
        raise TooLarge(TOO_LARGE)
    # The path as it was sent: signatures may cover it, and WSGI has decoded the other one.
    path = request.environ.get("RAW_URI") or request.full_path.removesuffix("?")
    return InboundRequest(
        method=request.method,
        url=public + path,
        headers=Headers.of(request.headers.items()),
        body=body,
        path_token=token,
    )


def _identify(source: Source, verified: Verified) -> Sequence[Part]:
    try:
        parts = source.identify(verified)
        if source.verdict:
            for part in parts:
                source.parse(verified, part)
    except UnreadableError as error:
        if source.verdict:
            raise Invalid(str(error)) from error
        # It is verified: keep it whole. The worker makes it a dead letter; once the source is mended, a
        # replay takes it apart.
        return [Part((content_key(verified.request),))]
    return parts


def _accept(door: Door, inbound: InboundRequest, parts: Sequence[Part]) -> Acceptance:
    web = current()
    parcel = web.ledger.parcel(
        door.source.kept(inbound),
        channel=door.channel.name,
        source=door.source.name,
        lane=door.source.lane,
        parts=parts,
        receipt=door.source.receipts,
    )
    return web.intake.keep(parcel)


def _answer(source: Source, verified: Verified, acceptance: Acceptance) -> Response:
    event, status = acceptance.events[0], acceptance.status
    g.event, g.status = event, status
    reply = source.reply(verified, marker_of(event), status)
    if reply is None:
        body: dict[str, object] = {"status": status, "event": event}
        if len(acceptance.events) > 1:
            body["events"] = list(acceptance.events)
        response = jsonify(body)
    else:
        response = _as_response(reply)
    response.headers["X-Bridge-Event"] = event
    response.headers["X-Bridge-Status"] = status
    return response


def _ignored(source: Source, verified: Verified) -> Response:
    g.status = "ignored"
    reply = source.reply(verified, "", "ignored")
    response = jsonify(status="ignored", event=None) if reply is None else _as_response(reply)
    response.headers["X-Bridge-Status"] = "ignored"
    return response


def _as_response(reply: Reply) -> Response:
    if reply.thanks is not None:
        return pages.thanks(reply.thanks)
    response = Response(
        reply.body, status=reply.status, content_type=reply.content_type, headers=reply.headers
    )
    if reply.location:
        response.headers["Location"] = reply.location
    return response


def refuse(error: RequestError) -> Response:
    """Answer a refused request with its status, or the vendor's own code for it."""
    source: Source | None = g.get("source")
    status = error.status
    if isinstance(error, Unauthorized) and source is not None:
        status = source.answers.refusing(error.reason)
    if isinstance(error, Unavailable) and source is not None:
        status = source.answers.unavailable
    g.status = error.reason if isinstance(error, Unauthorized) else error.title
    if source is not None:
        _count(error)
    response = _problem(error, status)
    if isinstance(error, WrongMethod):
        response.headers["Allow"] = ", ".join(error.allowed)
    if isinstance(error, Unauthorized) and source is not None and source.options.locks.basic:
        response.headers["WWW-Authenticate"] = 'Basic realm="bridge"'
    if status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
        response.headers["Retry-After"] = str(getattr(error, "retry_after", _RETRY_AFTER))
    return response


def _count(error: RequestError) -> None:
    """Note that a channel turned a request away, for a reason that an operator can mend."""
    if not isinstance(error, Unauthorized | StoreFull):
        return
    with suppress(RedisError):
        current().refusals.note(g.channel, error.reason if isinstance(error, Unauthorized) else FULL)


def _is_person() -> bool:
    """Say whether somebody looks at the answer in a browser, where the source has people for senders."""
    source: Source | None = g.get("source")
    accept = ",".join(request.headers.getlist("Accept"))
    return source is not None and source.verdict and preferred(accept) == "page"


def _problem(error: RequestError, status: int) -> Response:
    """Answer as RFC 9457 problem details, or as a page to a person who sent a form."""
    if _is_person():
        return pages.refused(error, status)
    fields = error.fields if isinstance(error, Invalid) else {}
    problem: dict[str, object] = {"title": error.title, "status": status, "detail": str(error)}
    if fields:
        problem["errors"] = [
            {"field": name, "detail": message} for name, messages in fields.items() for message in messages
        ]
    response = jsonify(problem)
    response.status_code = status
    response.content_type = "application/problem+json"
    return response
