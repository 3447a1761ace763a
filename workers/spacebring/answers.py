"""The table of answers: what each failure proves about a ticket, and what follows from it.

One row per failure. The rows are data: the client chooses its errors by them, the documentation shows them
(`as_markdown`), and each has its test. The rule behind them: Spacebring has no idempotency key, so a create
is sent again only when it is certain that nothing was filed.
"""

from __future__ import annotations

import http.client
import ssl
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from urllib3.exceptions import (
    ConnectTimeoutError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

from service.core.outgoing.transport import HandshakeError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Proves(StrEnum):
    """What is known about the ticket after an answer or a failure."""

    NOTHING_SENT = "nothing_sent"
    FILED = "filed"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Action(StrEnum):
    """What the worker does next."""

    DELIVER = "deliver"
    RETRY = "retry"
    DEAD = "dead"
    PAUSE = "pause"
    LOOK = "look"


class Failure(StrEnum):
    """The key of a row."""

    CREATED = "created"
    CONNECTION_REFUSED = "connection_refused"
    DNS = "dns"
    TLS = "tls"
    CONNECT_TIMEOUT = "connect_timeout"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    BAD_REQUEST = "bad_request"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    TOO_LARGE = "too_large"
    UNPROCESSABLE = "unprocessable"
    REDIRECT = "redirect"
    CLIENT_ERROR = "client_error"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    READ_TIMEOUT = "read_timeout"
    RESET = "reset"
    TLS_BROKEN = "tls_broken"
    GARBLED = "garbled"
    REQUEST_TIMEOUT = "request_timeout"
    SERVER_ERROR = "server_error"
    UNREADABLE = "unreadable"
    OTHER_SUCCESS = "other_success"
    OTHER_STATUS = "other_status"
    OTHER = "other"


@dataclass(frozen=True)
class Row:
    """One row of the table; `statuses` is empty where there was no answer."""

    failure: Failure
    label: str
    proves: Proves
    action: Action
    why: str
    statuses: range = range(0)

    def action_for(self, *, creates: bool) -> Action:
        """Return what follows; a call that creates nothing may simply be made again."""
        return Action.RETRY if self.action is Action.LOOK and not creates else self.action


def _unsent(failure: Failure, label: str, why: str) -> Row:
    return Row(failure, label, Proves.NOTHING_SENT, Action.RETRY, why)


def _refused(failure: Failure, action: Action, status: int, why: str) -> Row:
    return Row(failure, str(status), Proves.REFUSED, action, why, range(status, status + 1))


def _unknown(failure: Failure, label: str, why: str, statuses: range = range(0)) -> Row:
    return Row(failure, label, Proves.UNKNOWN, Action.LOOK, why, statuses)


_F, _A = Failure, Action

# Exact statuses stand before the ranges that hold them: the first row that matches counts.
TABLE: tuple[Row, ...] = (
    Row(
        _F.CREATED,
        "201",
        Proves.FILED,
        _A.DELIVER,
        "The ticket stands, with its id and number.",
        range(201, 202),
    ),
    _unsent(
        _F.CONNECTION_REFUSED,
        "connection refused, or host unreachable",
        "There was nothing a byte could leave on.",
    ),
    _unsent(_F.DNS, "name not resolved", "Without an address there was no connection."),
    _unsent(
        _F.TLS,
        "TLS handshake failed",
        "The request leaves only after the handshake, and certificates get mended.",
    ),
    _unsent(
        _F.CONNECT_TIMEOUT, "time-out while connecting", "The connection did not stand in time to send on it."
    ),
    _refused(_F.RATE_LIMITED, _A.RETRY, 429, "Refused by the rate limit, unread; Retry-After is obeyed."),
    _refused(_F.BAD_REQUEST, _A.DEAD, 400, "Spacebring does not accept this ticket, and will not later."),
    _refused(
        _F.UNAUTHORIZED,
        _A.PAUSE,
        401,
        "Our credentials are wrong, not the event: OAuth2 is renewed and tried once more, then it waits.",
    ),
    _refused(_F.FORBIDDEN, _A.PAUSE, 403, "Our credentials lack a permission: the event waits for it."),
    _refused(_F.NOT_FOUND, _A.DEAD, 404, "What the ticket names, or the URL itself, does not exist."),
    _refused(_F.CONFLICT, _A.DEAD, 409, "It contradicts what Spacebring holds; repeating changes nothing."),
    _refused(_F.TOO_LARGE, _A.DEAD, 413, "The ticket is too large and stays so."),
    _refused(_F.UNPROCESSABLE, _A.DEAD, 422, "The ticket does not pass validation and will not later."),
    _unknown(
        _F.REQUEST_TIMEOUT, "408", "A gateway gave up; the API behind it may have filed.", range(408, 409)
    ),
    Row(
        _F.REDIRECT,
        "3xx",
        Proves.REFUSED,
        _A.DEAD,
        "Never followed: it would carry credentials.",
        range(300, 400),
    ),
    Row(
        _F.CLIENT_ERROR,
        "other 4xx",
        Proves.REFUSED,
        _A.DEAD,
        "The request is at fault, and stays so.",
        range(400, 500),
    ),
    _unknown(_F.READ_TIMEOUT, "time-out after sending", "Bytes have left and no answer came in time."),
    _unknown(_F.RESET, "closed or reset after sending", "Bytes have left, also on a connection kept alive."),
    _unknown(
        _F.TLS_BROKEN, "TLS broken after the handshake", "Bytes may have left; the answer cannot be read."
    ),
    _unknown(_F.GARBLED, "an answer that is not HTTP", "Bytes have left, and nobody can say what they did."),
    _unknown(
        _F.UNAVAILABLE,
        "503",
        "Perhaps a gateway's word, and the API behind it filed; Retry-After is obeyed.",
        range(503, 504),
    ),
    _unknown(_F.SERVER_ERROR, "other 5xx", "The server failed, perhaps after it had filed.", range(500, 600)),
    _unknown(
        _F.UNREADABLE, "201 without a readable ticket", "A ticket was probably filed; which, is not known."
    ),
    _unknown(_F.OTHER_SUCCESS, "other 2xx", "Only 201 is documented for a filed ticket.", range(200, 300)),
    _unknown(_F.OTHER_STATUS, "any other status", "Not an answer that HTTP gives to a request."),
    _unknown(_F.OTHER, "any other failure", "What is not understood proves nothing."),
)

_BY_FAILURE = {row.failure: row for row in TABLE}

# Looked for in this order in everything that `requests` and urllib3 wrapped into one another. Only what can
# happen before the handshake has ended stands above the rows that prove nothing.
_BY_EXCEPTION: tuple[tuple[type[BaseException], Failure], ...] = (
    (NameResolutionError, _F.DNS),
    (NewConnectionError, _F.CONNECTION_REFUSED),
    (ConnectTimeoutError, _F.CONNECT_TIMEOUT),
    (HandshakeError, _F.TLS),
    (ssl.SSLCertVerificationError, _F.TLS),
    (ReadTimeoutError, _F.READ_TIMEOUT),
    (TimeoutError, _F.READ_TIMEOUT),
    (SSLError, _F.TLS_BROKEN),
    (ssl.SSLError, _F.TLS_BROKEN),
    (ConnectionError, _F.RESET),
    (http.client.IncompleteRead, _F.RESET),
    (http.client.HTTPException, _F.GARBLED),
)


def row(failure: Failure) -> Row:
    """Return the row of a failure."""
    return _BY_FAILURE[failure]


def classify_status(status: int) -> Row:
    """Return the row of an HTTP status; any number has one."""
    found = (candidate for candidate in TABLE if status in candidate.statuses)
    return next(found, row(Failure.OTHER_STATUS))


def classify_exception(exc: BaseException) -> Row:
    """Return the row of what `requests` or urllib3 raised instead of an answer; any exception has one."""
    causes = list(unwrapped(exc))
    found = (failure for kind, failure in _BY_EXCEPTION if any(isinstance(cause, kind) for cause in causes))
    return row(next(found, Failure.OTHER))


def unwrapped(exc: BaseException) -> Iterator[BaseException]:
    """Yield `exc` and what is wrapped in it: in its arguments, as `reason`, as its cause; outermost first.

    Not its context: that may be an exception which the caller was handling when it called us.
    """
    waiting: list[object] = [exc]
    seen: set[int] = set()
    for candidate in waiting:
        if isinstance(candidate, BaseException) and id(candidate) not in seen:
            seen.add(id(candidate))
            yield candidate
            waiting += [*candidate.args, getattr(candidate, "reason", None), candidate.__cause__]


def as_markdown() -> str:
    """Render the table for the documentation."""
    lines = [
        "| failure | what happened | proves | creating a ticket | reading | why |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| `{each.failure}` | {each.label} | {each.proves.replace('_', ' ')} | {each.action} "
        f"| {each.action_for(creates=False)} | {each.why} |"
        for each in TABLE
    ]
    return "\n".join(lines) + "\n"
