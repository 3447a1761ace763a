"""The Spacebring API as far as the bridge needs it.

https://www.spacebring.com/docs/assets/openapi.json; every failure becomes one of the errors of
`workers.spacebring.errors`, chosen by the table of `workers.spacebring.answers`.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import requests
from marshmallow import ValidationError
from urllib3.exceptions import HTTPError, LocationParseError
from urllib3.util import parse_url

from service.core.outgoing.body import BODY_LIMIT, whole
from service.core.outgoing.reading import error_message, readable, retry_after
from service.core.outgoing.transport import Call, Session, StoppedError
from workers.spacebring import answers
from workers.spacebring.answers import Action, Failure
from workers.spacebring.errors import (
    CredentialsError,
    PermanentError,
    SpacebringError,
    TemporaryError,
    UnknownOutcomeError,
)
from workers.spacebring.schemas import (
    CreatedSchema,
    CreatedTicket,
    Location,
    LocationsSchema,
    Member,
    MemberPage,
    MemberPageSchema,
    TicketPage,
    TicketPageSchema,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from marshmallow import Schema

    from service.core.outgoing.body import Answer
    from workers.spacebring.auth import SpacebringAuth
    from workers.spacebring.limiter import Slot

TICKETS = "/support/tickets/v1"
MEMBERSHIPS = "/community/memberships/v1"
LOCATIONS = "/locations/v1"

PAGE_LIMIT = 100
_MEMBER_PAGES = 5
_CREATED, _OK, _UNAUTHORIZED = 201, 200, 401

_ERRORS: dict[Action, type[SpacebringError]] = {
    Action.RETRY: TemporaryError,
    Action.DEAD: PermanentError,
    Action.PAUSE: CredentialsError,
    Action.LOOK: UnknownOutcomeError,
}


class SpacebringClient:
    """Files tickets and looks things up, one connection kept alive between calls.

    `base_url` is https, or http to this machine only, else ValueError. `timeout` bounds a whole call in
    seconds, from the name look-up to the last byte of the answer, and `connect_timeout` the part until the
    connection stands. `slots` is called before each request, outside its time, for the slot of the shared
    rate limiter that it is made in; what it raises reaches the caller. `ca_bundle` is a file of certificates
    to trust instead of the usual ones.

    Nothing is taken from the environment: no proxy, no netrc, no CA variables. Redirects are not followed.
    No request is repeated here but one: after a 401, which proves that nothing was done, where `auth` has
    other credentials by then. Not shared between threads.
    """

    def __init__(
        self,
        base_url: str,
        auth: SpacebringAuth,
        *,
        timeout: float = 10.0,
        connect_timeout: float = 3.05,
        slots: Callable[[], Slot] | None = None,
        ca_bundle: str | None = None,
    ) -> None:
        if timeout <= 0 or connect_timeout <= 0:
            raise ValueError("the time-outs of the Spacebring client must be more than 0 seconds")
        self.base_url = checked_base_url(base_url)
        self.timeout = timeout
        self.connect_timeout = connect_timeout
        self._auth = auth
        self._slots = slots
        self._session = Session(auth, ca_bundle=ca_bundle)

    def __repr__(self) -> str:
        return f"SpacebringClient({self.base_url!r}, {self._auth!r})"

    def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        self._session.close()

    def create_ticket(
        self, draft: Mapping[str, str], *, last_check: Callable[[], None] | None = None
    ) -> CreatedTicket:
        """File a ticket: `draft` holds `locationRef`, `text`, `type` and perhaps `userRefRequester`.

        `last_check` is called when the connection stands, immediately before the first byte leaves. If it
        raises, nothing is sent and its exception reaches the caller as it is.

        Raises TemporaryError (not filed), PermanentError (refused), CredentialsError, or
        UnknownOutcomeError (perhaps filed).
        """
        answer = self._send("POST", TICKETS, json={"ticket": dict(draft)}, last_check=last_check)
        if answer.status != _CREATED:
            raise self._refusal(answer, creates=True)
        created: CreatedTicket = self._read(CreatedSchema(), answer, creates=True)
        return created

    def find_members(self, location: str, email: str) -> Sequence[Member]:
        """Return the members of `location` whose address is `email`, by upper and lower case alike.

        Looks at no more than 5 pages. How Spacebring compares `userEmail` is not documented, so what it
        returns is compared again. Raises TemporaryError, PermanentError or CredentialsError.
        """
        wanted = _folded(email)
        found: list[Member] = []
        params = {"locationRef": location, "userEmail": wanted}
        for _ in range(_MEMBER_PAGES):
            page: MemberPage = self._get(MEMBERSHIPS, params, MemberPageSchema())
            found += [each for each in page.members if each.user_ref and _folded(each.email) == wanted]
            if page.next_page in {None, params.get("nextPageToken")}:
                break
            params["nextPageToken"] = str(page.next_page)
        return found

    def list_tickets(self, location: str, *, page: str | None = None, limit: int = PAGE_LIMIT) -> TicketPage:
        """Return a page of the location's tickets, newest first; `page` is the `next_page` of the one before.

        Raises ValueError if `limit` is not 1 to 100; TemporaryError, PermanentError or CredentialsError.
        """
        if not 1 <= limit <= PAGE_LIMIT:
            raise ValueError(f"Spacebring lists 1 to {PAGE_LIMIT} tickets a page, not {limit}")
        params = {"locationRef": location, "order": "createDate:desc", "limit": str(limit)}
        if page is not None:
            params["nextPageToken"] = page
        found: TicketPage = self._get(TICKETS, params, TicketPageSchema())
        return found

    def close_ticket(self, ticket: str) -> None:
        """Set a ticket's status to `closed`, which is for tickets that were a mistake: there is no delete.

        Raises TemporaryError, PermanentError or CredentialsError.
        """
        path = f"{TICKETS}/{quote(ticket, safe='')}/status"
        answer = self._send("PUT", path, json={"ticket": {"status": "closed"}})
        if answer.status != _OK:
            raise self._refusal(answer, creates=False)

    def locations(self) -> Sequence[Location]:
        """Return the network's locations. Raises TemporaryError, PermanentError or CredentialsError."""
        found: list[Location] = self._get(LOCATIONS, {}, LocationsSchema())
        return found

    def _get(self, path: str, params: Mapping[str, str], schema: Schema) -> Any:  # noqa: ANN401 - what a schema loads has no static type
        answer = self._send("GET", path, params=params)
        if answer.status != _OK:
            raise self._refusal(answer, creates=False)
        return self._read(schema, answer, creates=False)

    def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Mapping[str, object] | None = None,
        last_check: Callable[[], None] | None = None,
    ) -> Answer:
        """Make one request, in a slot if there are any; SpacebringError if no answer came."""
        request = requests.Request(method, self.base_url + path, params=params, json=json)
        if self._slots is None:
            return self._exchange(request, last_check)
        with self._slots() as slot:
            return self._exchange(request, slot.before(last_check))

    def _exchange(self, request: requests.Request, last_check: Callable[[], None] | None) -> Answer:
        """Send a request, and once more if it is answered 401 and there are other credentials by then."""
        prepared = self._session.prepare_request(request)
        answer = self._send_once(prepared, last_check)
        if answer.status != _UNAUTHORIZED or not self._auth.renew(prepared.headers["Authorization"]):
            return answer
        return self._send_once(self._session.prepare_request(request), last_check)

    def _send_once(self, prepared: requests.PreparedRequest, last_check: Callable[[], None] | None) -> Answer:
        """Send one request and read its answer; SpacebringError if none came."""
        with Call(self.timeout, self.connect_timeout, last_check).active():
            try:
                response = self._session.send(
                    prepared,
                    timeout=(self.connect_timeout, self.timeout),
                    allow_redirects=False,
                    stream=True,
                )
            except StoppedError as stopped:
                forbidden = stopped.forbidden
            except (requests.RequestException, HTTPError) as error:
                raise self._failure(error, creates=prepared.method == "POST") from error
            else:
                return whole(response)
        # Outside the handler, so that the exception is not given a context of ours.
        raise forbidden

    def _read(self, schema: Schema, answer: Answer, *, creates: bool) -> Any:  # noqa: ANN401 - as above
        """Load an answer that should be good; a SpacebringError if it is unreadable."""
        try:
            return schema.loads(answer.body.decode())
        except (ValidationError, ValueError, RecursionError) as error:
            row = answers.row(Failure.UNREADABLE)
            if answer.broken is not None:
                row = answers.classify_exception(answer.broken)
            message = f"Spacebring answered {answer.status}, but the answer is not readable"
            kind = _ERRORS[Action.LOOK if creates else Action.RETRY]
            raise kind(message, status=answer.status, retry_after=None, failure=row.failure) from (
                answer.broken or error
            )

    def _refusal(self, answer: Answer, *, creates: bool) -> SpacebringError:
        row = answers.classify_status(answer.status)
        # For a reading call 201 is no more what was asked for than any other success.
        action = row.action_for(creates=creates)
        kind = _ERRORS.get(action, TemporaryError)
        message = error_message(answer.status, answer.body, redact=self._auth.redact)
        if creates and kind is CredentialsError and self._auth.hint:
            message = f"{readable(message, 350)} ({self._auth.hint})"
        asked = retry_after(answer.headers.get("Retry-After"))
        return kind(message, status=answer.status, retry_after=asked, failure=row.failure)

    def _failure(self, error: Exception, *, creates: bool) -> SpacebringError:
        row = answers.classify_exception(error)
        # The innermost cause says what happened; the outer ones repeat the URL, which may hold an address.
        cause = list(answers.unwrapped(error))[-1]
        detail = self._auth.redact(readable(str(cause), BODY_LIMIT))
        kind = _ERRORS[row.action_for(creates=creates)]
        message = f"Spacebring could not be asked: {row.label}: {detail}"
        return kind(message, status=None, retry_after=None, failure=row.failure)


def checked_base_url(text: str) -> str:
    """Return the base URL without its last slash; ValueError, naming the mend, if we may not send there."""
    mend = (
        "set SPACEBRING_URL to an https URL such as https://api.spacebring.com; "
        "plain http is taken only to this machine (http://127.0.0.1:PORT)"
    )
    if not text.isascii() or not text.isprintable() or set(text) & set(' \\@?#"<>'):
        raise ValueError(f"the base URL holds characters that do not belong there: {mend}")
    try:
        url = parse_url(text)
        host = (url.host or "").strip("[]")
        host.encode("idna")
        requests.Request("GET", text).prepare()
    except (LocationParseError, requests.RequestException, UnicodeError):
        raise ValueError(f"the base URL is not a URL: {mend}") from None
    if not host or not (url.scheme == "https" or (url.scheme == "http" and _is_loopback(host))):
        raise ValueError(f"the base URL would send credentials in the clear or nowhere: {mend}")
    return text.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _folded(email: str) -> str:
    """Lower the ASCII letters only: other alphabets have letters that lower to a Latin one."""
    return email.strip().encode(errors="replace").lower().decode()
