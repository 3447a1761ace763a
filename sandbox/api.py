"""Spacebring's endpoints, as far as the bridge uses them.

After https://www.spacebring.com/docs/assets/openapi.json; where the specification is silent, the stricter
guess is taken, and an endpoint that the bridge does not use is not there.
"""

from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from sandbox.gate import acts_for_nobody, body, guard
from sandbox.options import ADMINISTRATOR, Membership, User
from sandbox.parts import parts
from sandbox.problems import ApiError, invalid, issue
from sandbox.schemas import MembershipQuery, NewStatus, NewTicket, TicketId, TicketQuery, load, page_token
from sandbox.store import Activity, Ticket

_MADE = "2026-01-01T09:00:00.000Z"

api = Blueprint("api", __name__)
guard(api)


@api.errorhandler(ApiError)
def _refuse(error: ApiError) -> tuple[Response, int]:
    return jsonify(error.body), error.status


@api.errorhandler(HTTPException)
def _refuse_request(error: HTTPException) -> tuple[Response, int]:
    return jsonify(message=error.description, type="invalidRequest"), error.code or HTTPStatus.BAD_REQUEST


@api.post("/support/tickets/v1")
def create_ticket() -> tuple[Response, int]:
    """File a ticket: 201 with the ticket and its first activity; 400, or 403 when Basic may not."""
    held = parts()
    if acts_for_nobody() and not held.options.basic_may_create:
        raise ApiError(HTTPStatus.FORBIDDEN, "forbidden", "Creating a ticket needs an OAuth2 bearer token")
    wanted = load(NewTicket, body())["ticket"]
    location = _known_location(wanted["location"], ["ticket", "locationRef"])
    requester = wanted.get("requester")
    if requester is not None and held.directory.user(requester) is None:
        raise invalid(issue("custom", ["ticket", "userRefRequester"], "User not found"))
    if requester is None and not acts_for_nobody():
        requester = ADMINISTRATOR.id
    ticket = held.store.file(location=location, kind=wanted["kind"], text=wanted["text"], requester=requester)
    return _with_activities(ticket), HTTPStatus.CREATED


@api.get("/support/tickets/v1")
def list_tickets() -> Response:
    """List a location's tickets a page at a time: 200, or 400."""
    held = parts()
    query = load(TicketQuery, request.args.to_dict())
    location = _known_location(query["location"], ["locationRef"])
    found, end = held.store.page(
        location,
        order=query["order"],
        limit=query["limit"],
        after=query["after"],
        requesters=_requesters(location, query["memberships"]),
    )
    answer: dict[str, Any] = {"tickets": [_ticket(ticket) for ticket in found]}
    if end is not None:
        answer["nextPageToken"] = page_token(end)
    return jsonify(answer)


@api.get("/support/tickets/v1/<ref>")
def get_ticket(ref: str) -> Response:
    """Give one ticket with its activities: 200, 400 for what is no uuid, or 404."""
    return _with_activities(_known_ticket(ref))


@api.put("/support/tickets/v1/<ref>/status")
def set_status(ref: str) -> Response:
    """Set a ticket's status: 200 with the ticket and the activity, 400, or 404."""
    status = load(NewStatus, body())["ticket"]["status"]
    activity = parts().store.set_status(_ticket_id(ref), status)
    if activity is None:
        raise _no_ticket()
    return jsonify(ticket=_ticket(_known_ticket(ref)), activity=_activity(activity))


@api.get("/community/memberships/v1")
def list_memberships() -> Response:
    """List a location's memberships, or those of one e-mail address in any letter case: 200, or 400."""
    query = load(MembershipQuery, request.args.to_dict())
    location = _known_location(query["location"], ["locationRef"])
    found = parts().directory.members(location, query["email"])
    return jsonify(memberships=[_membership(membership) for membership in found])


@api.get("/locations/v1")
def list_locations() -> Response:
    """List the network's locations: 200."""
    held = parts()
    return jsonify(
        locations=[
            {
                "id": ref,
                "title": title,
                "address": None,
                "email": None,
                "timezoneId": "Etc/UTC",
                "locale": "en",
                "currencyCode": "EUR",
                "networkRef": held.options.network_id,
                "description": None,
                "createDate": _MADE,
            }
            for ref, title in held.directory.locations.items()
        ]
    )


@api.get("/networks/v1", endpoint="networks")
def list_networks() -> Response:
    """List the networks of the credentials, which need not name one: 200."""
    return jsonify(networks=[{"id": parts().options.network_id, "title": "Sandbox network"}])


def _known_location(ref: str, path: list[str | int]) -> str:
    if ref not in parts().directory.locations:
        raise invalid(issue("custom", path, "Location not found"))
    return ref


def _ticket_id(ref: str) -> str:
    return str(load(TicketId, {"id": ref})["id"])


def _known_ticket(ref: str) -> Ticket:
    ticket = parts().store.ticket(_ticket_id(ref))
    if ticket is None:
        raise _no_ticket()
    return ticket


def _no_ticket() -> ApiError:
    return ApiError(HTTPStatus.NOT_FOUND, "notFound", "Ticket not found")


def _requesters(location: str, memberships: str | None) -> list[str] | None:
    """Give the users of a comma-separated list of memberships, each of which the location must have."""
    if memberships is None:
        return None
    users = {membership.id: membership.user for membership in parts().directory.members(location)}
    wanted = [ref.strip().lower() for ref in memberships.split(",")]
    unknown = [ref for ref in wanted if ref not in users]
    if unknown:
        raise invalid(issue("custom", ["membershipRefRequester"], f"Membership not found: {unknown[0]}"))
    return [users[ref] for ref in wanted]


def _with_activities(ticket: Ticket) -> Response:
    activities = parts().store.activities(ticket.id)
    return jsonify(ticket=_ticket(ticket), activities=[_activity(activity) for activity in activities])


def _ticket(ticket: Ticket) -> dict[str, Any]:
    directory = parts().directory
    document: dict[str, Any] = {
        "id": ticket.id,
        "number": ticket.number,
        "status": ticket.status,
        "type": ticket.type,
        "description": ticket.text,
        "locationRef": ticket.location,
        "createDate": ticket.created,
        "updateDate": ticket.updated,
        "userRefAssignee": None,
        "userAssignee": None,
        "userRequester": None,
    }
    if ticket.status_updated is not None:
        document["statusUpdateDate"] = ticket.status_updated
    user = directory.user(ticket.requester) if ticket.requester else None
    if user is not None:
        document["userRequester"] = _user(user)
        membership = directory.membership_of(user.id, ticket.location)
        if membership is not None:
            document["membershipRefRequester"] = membership.id
            document["membershipRequester"] = {
                "id": membership.id,
                "roleType": "member",
                "type": "member",
                "user": _user(user),
            }
    return document


def _activity(activity: Activity) -> dict[str, Any]:
    document: dict[str, Any] = {
        "id": activity.id,
        "ticketRef": activity.ticket,
        "type": activity.type,
        "createDate": activity.created,
    }
    if activity.status is not None:
        document["data"] = {"status": activity.status}
    return document


def _user(user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "name": user.name,
        "surname": None,
        "email": user.email,
        "phoneNumber": None,
        "photoUrl": None,
        "blocked": False,
    }


def _membership(membership: Membership) -> dict[str, Any]:
    return {
        "id": membership.id,
        "userRef": membership.user,
        "type": "member",
        "role": "member",
        "status": "approved",
        "locationRef": membership.location,
        "companyRef": None,
        "companyRole": None,
        "subscriptionRef": None,
        "notes": None,
        "metadata": {},
        "createDate": _MADE,
        "invitationDate": None,
        "deleteDate": None,
        "user": {**_user(User(membership.user, membership.email, membership.name)), "about": None},
    }
