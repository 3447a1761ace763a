"""The sandbox's own endpoints, beside Spacebring's: its faults, its tickets, its counts, its probe."""

from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import BadRequest

from sandbox.faults import BadFaultsError, parse_faults
from sandbox.parts import parts
from sandbox.store import Ticket

control = Blueprint("control", __name__)

_NOTHING = ("", HTTPStatus.NO_CONTENT)


@control.get("/livez")
def livez() -> Response:
    """Say that the process serves: 200."""
    return jsonify(status="ok")


@control.get("/sandbox/faults")
def get_faults() -> Response:
    """Give the faults that are on, with their counts, and the seed of their rates: 200."""
    return jsonify(parts().faults.document())


@control.put("/sandbox/faults")
def put_faults() -> tuple[Response, int]:
    """Switch on these faults in place of all others: 200 as from GET, or 422 naming what is wrong."""
    try:
        faults, seed = parse_faults(request.get_json(force=True))
    except (BadFaultsError, BadRequest, RecursionError) as error:
        errors = error.errors if isinstance(error, BadFaultsError) else ("The body is not JSON.",)
        answer = jsonify(message="; ".join(errors), errors=errors)
        return answer, HTTPStatus.UNPROCESSABLE_ENTITY
    parts().faults.replace(faults, seed)
    return get_faults(), HTTPStatus.OK


@control.delete("/sandbox/faults")
def delete_faults() -> tuple[str, int]:
    """Switch every fault off: 204."""
    parts().faults.replace([])
    return _NOTHING


@control.get("/sandbox/tickets")
def get_tickets() -> Response:
    """Give every ticket held, in the order of filing: 200."""
    return jsonify(tickets=[summary(ticket) for ticket in parts().store.tickets()])


@control.delete("/sandbox/tickets")
def delete_tickets() -> tuple[str, int]:
    """Forget every ticket; numbers start from 1 again: 204."""
    parts().store.clear()
    return _NOTHING


@control.get("/sandbox/requests")
def get_requests() -> Response:
    """Give how many requests the API had, by method, path outcome, and how many the limit refused: 200."""
    return jsonify(parts().tally.document())


@control.delete("/sandbox/requests")
def delete_requests() -> tuple[str, int]:
    """Count from zero: 204."""
    parts().tally.clear()
    return _NOTHING


@control.post("/sandbox/oauth/expire")
def expire() -> tuple[str, int]:
    """End all access tokens that were given by OAuth2, with `?refresh=1` all refresh tokens too: 204."""
    parts().grants.expire(refresh=request.args.get("refresh") == "1")
    return _NOTHING


def summary(ticket: Ticket) -> dict[str, Any]:
    """Give a ticket as a person wants to see it, with its location's title and its requester's name."""
    directory = parts().directory
    user = directory.user(ticket.requester) if ticket.requester else None
    return {
        "id": ticket.id,
        "number": ticket.number,
        "location": directory.locations.get(ticket.location, ticket.location),
        "locationRef": ticket.location,
        "type": ticket.type,
        "status": ticket.status,
        "text": ticket.text,
        "requester": user and {"id": user.id, "name": user.name, "email": user.email},
        "createDate": ticket.created,
    }
