"""What every request to the API passes before and after its endpoint: limit, faults, credentials, count.

The order is the harshest for a client: the limit counts whatever comes, a fault hides even a wrong token.
"""

import hmac
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, g, jsonify, request

from sandbox.connection import drop, wait
from sandbox.faults import Call, Fault
from sandbox.parts import parts
from sandbox.problems import ApiError

_UNREADABLE = '{"ticket": {"id": "'


def guard(api: Blueprint, *, credentials: bool = True) -> None:
    """Put the gate before and after every endpoint of the API, with or without a look at the credentials."""
    api.before_request(_enter)
    if credentials:
        api.before_request(_authenticate)
    api.after_request(_leave)
    api.teardown_request(_forget)


def acts_for_nobody() -> bool:
    """Say whether the credentials are Basic ones, which stand for the network and not for a person."""
    return bool(g.basic)


def body() -> object:
    """Give the JSON body; raise the ApiError for a 400 when it is not JSON."""
    try:
        return request.get_json()
    except RecursionError as error:
        raise ApiError(HTTPStatus.BAD_REQUEST, "invalidRequest", "The body is nested too deeply") from error


def _enter() -> Response | None:
    parts().tally.enter()
    # A fault that waits watches the connection: the body must not still lie in it.
    request.get_data()
    held = parts()
    if not held.limiter.take():
        held.tally.add_limited()
        answer = jsonify(message="Too many requests", type="tooManyRequests")
        answer.status_code = HTTPStatus.TOO_MANY_REQUESTS
        return answer
    for fault in held.faults.strike(_call(), after_commit=False):
        if fault.kind == "latency":
            wait(fault.seconds)
        elif fault.kind == "status":
            return _error(fault)
        else:
            _hang_up(fault)
    return None


def _leave(response: Response) -> Response:
    held = parts()
    if response.status_code < HTTPStatus.MULTIPLE_CHOICES:
        for fault in held.faults.strike(_call(), after_commit=True):
            response = _spoil(fault, response)
    _count(response.status_code)
    return response


def _forget(_error: BaseException | None) -> None:
    parts().tally.leave()


def _spoil(fault: Fault, response: Response) -> Response:
    if fault.kind == "error_after_commit":
        return _error(fault)
    if fault.kind == "wrong_json":
        response.set_data(_UNREADABLE)
        return response
    return _hang_up(fault)


def _hang_up(fault: Fault) -> Response:
    reset = fault.kind.startswith("reset")
    if not reset:
        wait(fault.seconds)
    _count("reset" if reset else "dropped")
    drop(reset=reset)


def _error(fault: Fault) -> Response:
    answer = jsonify(message=f"Sandbox fault: {fault.kind} {fault.status}", type="sandboxFault")
    answer.status_code = fault.status
    if fault.retry_after is not None:
        answer.headers["Retry-After"] = str(fault.retry_after)
    return answer


def _count(outcome: int | str) -> None:
    parts().tally.add(request.method, str(request.url_rule), outcome)


def _call() -> Call:
    return Call(request.method, request.path, _location())


def _location() -> str | None:
    ticket_id = (request.view_args or {}).get("ref")
    if ticket_id is not None:
        ticket = parts().store.ticket(ticket_id.lower())
        return ticket.location if ticket else None
    found = request.args.get("locationRef")
    if found is None:
        try:
            document: Any = request.get_json(silent=True)
            found = document["ticket"]["locationRef"]
        except (TypeError, KeyError, RecursionError):
            return None
    return found.lower() if isinstance(found, str) else None


def _authenticate() -> None:
    options = parts().options
    given = request.authorization
    g.basic = given is not None and given.type == "basic"
    if given is None:
        raise _unauthorized("Credentials are missing")
    if g.basic:
        known = same(given.username, options.client_id) & same(given.password, options.client_secret)
    else:
        known = given.type == "bearer" and (
            same(given.token, options.token) or parts().grants.accepts(given.token)
        )
    if not known:
        raise _unauthorized("Credentials are not valid")
    named = request.headers.get("spacebring-network-id")
    if named is None:
        if request.endpoint != "api.networks" and not g.basic:
            raise _unauthorized("The header spacebring-network-id is missing")
    elif named.lower() != options.network_id.lower():
        raise ApiError(HTTPStatus.FORBIDDEN, "forbidden", "No access to this network")


def same(given: str | None, wanted: str) -> bool:
    """Compare what was given with what is wanted, in constant time."""
    return hmac.compare_digest((given or "").encode(errors="replace"), wanted.encode())


def _unauthorized(message: str) -> ApiError:
    return ApiError(HTTPStatus.UNAUTHORIZED, "unauthorized", message)
