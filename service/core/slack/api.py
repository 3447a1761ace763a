"""Slack's Web API as the bridge calls it: one try, a time within which it ends, our own errors.

No redirect is followed, since the token would go with it, and no proxy is taken from the environment.
https://docs.slack.dev/apis/web-api/rate-limits says with 429 and `Retry-After` when to come back.
"""

from __future__ import annotations

import re
import socket
import threading
from concurrent.futures import Future
from http import HTTPStatus
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, build_opener

from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web import WebClient
from slack_sdk.webhook import WebhookClient, WebhookResponse

from service.core.errors import VendorAway, VendorRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from urllib.request import Request

_T = TypeVar("_T")

API = "https://slack.com/api"
_RESPONSE_HOST = "hooks.slack.com"
_PASSING = frozenset(
    {"fatal_error", "internal_error", "ratelimited", "request_timeout", "service_unavailable"}
)
_CODE = re.compile(r"[a-z0-9_]{1,100}")
_LONGEST = 3600.0


class _BusyError(OSError):
    """As many calls are under way as may be."""


# Nothing left this machine, so it may be sent again; after so many seconds.
_UNSENT = (ConnectionRefusedError, socket.gaierror, _BusyError)
_SENT_LATER = 30.0
# Calls at a time. One less than the threads of a web process (config/gunicorn.py): while Slack hangs, what
# needs no call of it is answered as ever.
_ROOM = threading.BoundedSemaphore(3)


class _Staying(HTTPRedirectHandler):
    """Follows no redirect: it is an answer like any other."""

    def redirect_request(self, *_: Any) -> None:  # noqa: ANN401 - the library's own
        """Give None: there is no next request."""


# The clients' own goes wherever a redirect or the environment sends it, and they take no other.
_OPENER = build_opener(ProxyHandler({}), _Staying)


class _WebClient(WebClient):
    def _perform_urllib_http_request_internal(self, url: str, req: Request) -> dict[str, Any]:
        del url
        with _OPENER.open(req, timeout=self.timeout) as answer:
            return {"status": answer.status, "headers": answer.headers, "body": answer.read().decode()}


class _WebhookClient(WebhookClient):
    def _perform_http_request_internal(self, url: str, req: Request) -> WebhookResponse:
        with _OPENER.open(req, timeout=self.timeout) as answer:
            return WebhookResponse(
                url=url, status_code=answer.status, body=answer.read().decode(), headers=answer.headers
            )


class SlackApi:
    """The API with a bot's token; every call raises VendorAway or VendorRefused where it comes to nothing."""

    def __init__(self, token: str, base: str = API, *, timeout: int = 5) -> None:
        self._timeout = timeout
        self._client = _WebClient(token, base_url=f"{base}/", timeout=timeout, retry_handlers=[])

    def call(self, method: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Call a method, such as `users.info`, and give its answer."""
        try:
            answer: Any = _within(
                self._timeout, lambda: self._client.api_call(method, params=dict(arguments)).data
            )
        except SlackApiError as error:
            raise _said_no(method, error) from error
        except (OSError, HTTPException, ValueError, SlackClientError) as error:
            raise _silent(method, error) from error
        found: dict[str, Any] = answer
        return found


def respond(url: str, text: str, base: str = "", *, timeout: int = 5) -> None:
    """Post a text for one person to a `response_url`, which must be Slack's own; raises as `SlackApi`."""
    target = urlsplit(url)
    own = urlsplit(base)
    at_slack = target.scheme == "https" and target.netloc == _RESPONSE_HOST
    if not at_slack and (target.scheme, target.netloc) != (own.scheme, own.netloc):
        raise VendorRefused("The response_url is not Slack's", "response_url")
    body = {"response_type": "ephemeral", "replace_original": False, "text": text}
    client = _WebhookClient(url, timeout=timeout, retry_handlers=[])
    try:
        answer = _within(timeout, lambda: client.send_dict(body))
    except (OSError, HTTPException, ValueError, SlackClientError) as error:
        raise _silent("the response_url", error) from error
    if answer.status_code != HTTPStatus.OK:
        raise _refusal("the response_url", answer.status_code, "", answer.headers)


def _within(seconds: float, call: Callable[[], _T]) -> _T:
    """Give what the call gives; raises what it raises, or TimeoutError after so many seconds in all.

    The client's own time-out counts from byte to byte. A call that is given up ends in its thread.
    """
    if not _ROOM.acquire(blocking=False):
        raise _BusyError
    future: Future[_T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets it
            future.set_exception(error)
        finally:
            _ROOM.release()

    try:
        threading.Thread(target=run, name="slack", daemon=True).start()
    except RuntimeError as error:
        # No thread is to be had.
        _ROOM.release()
        raise _BusyError from error
    return future.result(seconds)


def _silent(what: str, error: Exception) -> VendorAway:
    unsent = isinstance(getattr(error, "reason", error), _UNSENT)
    said = f"Slack does not answer {what}: {type(error).__name__}"
    return VendorAway(said, _SENT_LATER if unsent else None)


def _said_no(method: str, error: SlackApiError) -> VendorAway | VendorRefused:
    response: Any = error.response
    # Where the answer is no JSON, the client puts its own words there.
    code = _CODE.fullmatch(str(response.data.get("error", "")))
    return _refusal(method, response.status_code, code.group() if code else "", response.headers)


def _refusal(what: str, status: int, code: str, headers: Mapping[str, Any]) -> VendorAway | VendorRefused:
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        said = f"Slack redirects {what} ({status}), which is never followed: is api_url right?"
        return VendorRefused(said, str(status))
    said = f"Slack answers {what} with {code or status}"
    busy = status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    # Not the API's own answer: something on the way, or a page that says that it is down.
    odd = status == HTTPStatus.OK and not code
    return (
        VendorAway(said, _seconds(headers)) if busy or odd or code in _PASSING else VendorRefused(said, code)
    )


def _seconds(headers: Mapping[str, Any]) -> float | None:
    # The web client gives each header's value as a text, the webhook's perhaps in a list.
    given = "".join(next((value for name, value in headers.items() if name.lower() == "retry-after"), ""))
    return min(float(given), _LONGEST) if given.isascii() and given.isdigit() else None
