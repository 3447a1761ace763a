"""The operator's JSON API; its OpenAPI document is made of the schemas that check and render."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from flask import current_app, jsonify, request
from flask_smorest import Api, Blueprint  # type: ignore[import-untyped]
from redis.exceptions import RedisError
from werkzeug.exceptions import (
    Conflict,
    HTTPException,
    NotFound,
    RequestEntityTooLarge,
    ServiceUnavailable,
    Unauthorized,
    UnprocessableEntity,
    UnsupportedMediaType,
)

from service import api_schemas as schemas
from service.core import operations
from service.core.errors import Forbidden, NoSuchEvent
from service.core.ledger.states import ACTIVE, State
from service.core.overview import overview
from service.core.signing import same
from service.core.views import event_data
from service.web import current

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask, Response
    from flask.typing import ResponseReturnValue
    from marshmallow import Schema

    from service.core.ledger import Event, Operation

_BY = "api"
# 10,000 ids of events and what stands round them.
_MAX_BODY = 1 << 20
_SPEC = "openapi"
_ERRORS = {
    401: "The bearer token is missing or wrong",
    404: "No such event",
    409: "The event's status forbids it",
    415: "A body that is not application/json",
    422: "A value that cannot be",
    503: "Redis is away",
}

_View = TypeVar("_View", bound="Callable[..., Any]")


class _Api(Api):  # type: ignore[misc] # flask-smorest has no types
    """The extension without its handler of every HTTP error of the whole app: ours are the blueprint's."""

    def _register_error_handlers(self) -> None:
        pass


blueprint = Blueprint("api", __name__, url_prefix="/api", description="The operator's API")


def register(app: Flask) -> None:
    """Add `/api` to the app; needs `app.extensions["bridge"]` once requests come."""
    api = _Api(
        app,
        spec_kwargs={
            "title": "Spacebring bridge",
            "version": "1",
            "openapi_version": "3.0.3",
            "security": [{"bearer": []}],
        },
    )
    api.spec.components.security_scheme("bearer", {"type": "http", "scheme": "bearer"})
    api.register_blueprint(blueprint)
    app.extensions[_SPEC] = api.spec


def problem(error: HTTPException) -> ResponseReturnValue:
    """Give an HTTP error as the API says it: `{"code", "status", "message"}`, with 422 also `errors`."""
    code = error.code or 500
    # webargs puts what marshmallow found into `data`.
    errors = getattr(error, "data", {}).get("messages")
    message = "; ".join(_flat(errors)) if errors else error.description
    body = {"code": code, "status": error.name, "message": message, **({"errors": errors} if errors else {})}
    answer = jsonify(body)
    answer.status_code = code
    if code == Unauthorized.code:
        answer.headers["WWW-Authenticate"] = "Bearer"
    if code == ServiceUnavailable.code:
        answer.headers["Retry-After"] = "10"
    return answer


def _flat(errors: Any, path: tuple[str, ...] = ()) -> list[str]:  # noqa: ANN401 - marshmallow's nested messages
    """Give lines of `path: message`, without the request's part and without positions in a list."""
    if isinstance(errors, dict):
        return [line for key, value in errors.items() for line in _flat(value, (*path, str(key)))]
    place = ".".join(key for key in path[1:] if not key.isdigit())
    return [f"{place}: {message}" if place else message for message in errors]


def _endpoint(
    rule: str,
    *,
    gives: type[Schema],
    method: str = "GET",
    query: type[Schema] | None = None,
    body: type[Schema] | None = None,
    refuses: tuple[int, ...] = (),
) -> Callable[[_View], _View]:
    """Route to a view and document it: what it takes, what it gives, with which statuses it refuses."""

    def decorate(view: _View) -> _View:
        made: Any = blueprint.response(200, gives)(view)
        for status in sorted({401, 503, *refuses}):
            made = blueprint.alt_response(status, schema=schemas.ErrorView, description=_ERRORS[status])(made)
        if query is not None:
            made = blueprint.arguments(query, location="query")(made)
        if body is not None:
            made = blueprint.arguments(body, required=False)(made)
        blueprint.route(rule, methods=[method])(made)
        return view

    return decorate


def _authorize() -> None:
    request.max_content_length = _MAX_BODY
    token = current().settings.api_token
    if token is None:
        raise Unauthorized("The API is switched off: BRIDGE_API_TOKEN is not set")
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    # WSGI hands over the header's bytes as Latin-1.
    if scheme.lower() != "bearer" or not same(given.strip().encode("latin-1", "replace"), token.bytes):
        raise Unauthorized("The bearer token is missing or wrong: it is BRIDGE_API_TOKEN")
    # A filter that is not read as JSON would be no filter at all.
    if request.get_data() and not request.is_json:
        raise UnsupportedMediaType("Send the body as Content-Type: application/json")


def _private(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _redis_away(error: RedisError) -> ResponseReturnValue:
    return problem(ServiceUnavailable(f"Redis cannot be asked: {type(error).__name__}"))


blueprint.before_request(_authorize)
blueprint.after_request(_private)
blueprint.register_error_handler(HTTPException, problem)
# The app has a handler for this one, which would go first.
blueprint.register_error_handler(RequestEntityTooLarge, problem)
blueprint.register_error_handler(RedisError, _redis_away)
blueprint.register_error_handler(NoSuchEvent, lambda error: problem(NotFound(str(error))))
blueprint.register_error_handler(Forbidden, lambda error: problem(Conflict(str(error))))


@_endpoint("/events", query=schemas.EventsQuery, gives=schemas.EventList, refuses=(422,))
def list_events(asked: dict[str, Any]) -> dict[str, Any]:
    """List events, newest first."""
    ledger = current().ledger
    try:
        page = ledger.events(
            states=[State(status) for status in asked["status"]],
            channel=asked["channel"],
            query=asked["q"],
            limit=asked["limit"],
            cursor=asked["cursor"],
        )
    except ValueError as error:
        raise UnprocessableEntity(str(error)) from error
    # A page's events come without `due`, which only active ones have.
    events = [ledger.event(event.id) if event.state in ACTIVE else event for event in page.events]
    return {"events": [_shown(event) for event in events], "cursor": page.cursor}


@_endpoint("/events/<event>", gives=schemas.EventView, refuses=(404,))
def get_event(event: str) -> dict[str, Any]:
    """Give one event with its attempts."""
    return _shown(current().ledger.event(event))


@_endpoint(
    "/events/<event>/replay",
    method="POST",
    body=schemas.ReplayBody,
    gives=schemas.EventView,
    refuses=(404, 409, 415, 422),
)
def replay_event(asked: dict[str, Any], event: str) -> dict[str, Any]:
    """Send a dead letter, or a held, ignored or discarded event, again."""
    return _operated(event, "replay", confirmed=asked["confirm"])


@_endpoint("/events/<event>/discard", method="POST", gives=schemas.EventView, refuses=(404, 409, 415))
def discard_event(event: str) -> dict[str, Any]:
    """Give an event up: it makes no ticket."""
    return _operated(event, "discard", confirmed=False)


@_endpoint(
    "/dead-letters/replay",
    method="POST",
    body=schemas.BulkReplayBody,
    gives=schemas.Replayed,
    refuses=(415, 422),
)
def replay_dead_letters(asked: dict[str, Any]) -> dict[str, int]:
    """Replay every dead letter that fits the filters."""
    return {"replayed": _bulk("replay", asked, confirmed=asked.pop("confirm"))}


@_endpoint(
    "/dead-letters/discard", method="POST", body=schemas.BulkBody, gives=schemas.Discarded, refuses=(415, 422)
)
def discard_dead_letters(asked: dict[str, Any]) -> dict[str, int]:
    """Discard every dead letter that fits the filters."""
    return {"discarded": _bulk("discard", asked, confirmed=False)}


@_endpoint("/stats", gives=schemas.StatsView)
def get_stats() -> dict[str, Any]:
    """Give the bridge in figures."""
    web = current()
    return schemas.stats_data(overview(web.ledger, web.redis))


@_endpoint("/openapi.json", gives=schemas.Document)
def get_openapi() -> Response:
    """Give this document."""
    return jsonify(current_app.extensions[_SPEC].to_dict())


def _shown(event: Event) -> dict[str, Any]:
    return event_data(event, current().ledger.attempts(event.id))


def _operated(event: str, operation: Operation, *, confirmed: bool) -> dict[str, Any]:
    return _shown(current().ledger.operate(event, operation, _BY, confirmed=confirmed))


def _bulk(operation: Operation, asked: dict[str, Any], *, confirmed: bool) -> int:
    return operations.bulk(current().ledger, operation, by=_BY, confirmed=confirmed, **asked)
