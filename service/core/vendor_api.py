"""Calls a vendor back for what its webhook leaves out; in a worker, never in a request.

No redirect is followed, nothing is taken from the environment, the token goes to the configured host
alone, and all calls for one event share one deadline. What comes of a call is the answer, VendorAway
(tried again later), or VendorRefused with a message for the person who gets the dead letter.
"""

from __future__ import annotations

import math
import random
import time
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, urlencode, urlsplit

import requests
from urllib3.exceptions import HTTPError

from config.logging import get_logger
from service.core.errors import UnreadableError, VendorAway, VendorRefused
from service.core.json_body import read_object
from service.core.outgoing.body import TooLargeError, whole
from service.core.outgoing.reading import error_message, retry_after
from service.core.outgoing.transport import Call, Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType

    from service.core.outgoing.body import Answer
    from service.core.source import Memory

# With Spacebring's own calls well within the job's time limit.
_TOGETHER = 15.0
_CONNECTING = 3.05
_PAUSE = 15.0
_BUSY_PAUSE = 60.0
_REMEMBERED = 600
_STATE = "api away since"
# Those behind a closed gate come back spread over so many times as long as it is closed, up to so many
# seconds: the longer it is, the more of them wait, and each that comes costs a worker a moment.
_SPREAD = 6.0
_WIDEST = 300.0
_PASSING = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
_TOKEN_REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_GONE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})


_log = get_logger("vendor")


def or_nothing(call: Callable[[], bytes]) -> bytes:
    """Give what a call gives, or nothing where it is refused, for an event that has enough without it."""
    try:
        return call()
    except VendorRefused as error:
        _log.warning("done without", why=str(error))
        return b""


class _AwayError(VendorAway):
    """`pause` is for how many seconds there is no use in anybody's asking; 0 where it is about one thing."""

    def __init__(self, message: str, asked: float | None, *, counts: bool, pause: float) -> None:
        self.pause = pause
        super().__init__(message, asked, counts=counts)


class VendorApi:
    """One vendor's API, for one event.

    `base` is the channel's `api_url`, which the configuration has checked, or the vendor's own;
    `headers` hold the token and go nowhere else. `hint` says which token the vendor wants, for a
    person whose token it refuses. Close it after use, or use it with `with`.
    """

    def __init__(
        self,
        vendor: str,
        base: str,
        headers: Mapping[str, str],
        memory: Memory,
        *,
        hint: str,
        seconds: float = _TOGETHER,
        clock: Callable[[], float] = time.time,
        pick: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._vendor = vendor
        self._base = base
        self._headers = headers
        self._hint = hint
        self._gate = _Gate(memory, clock, pick)
        self._ends = time.monotonic() + seconds
        self._session = Session(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def read(
        self, *path: str, what: str, limit: int, query: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Give the JSON object below the base, at the path of these segments; `what` names it in messages.

        Raises VendorAway or VendorRefused.
        """
        url = self._url(path, what, query)
        with self._at_the_gate():
            try:
                return read_object(self._get(url, self._headers, what, limit))
            except UnreadableError as error:
                # Not the API's own answer: something on the way, or a page that says that it is down.
                raise self._away(
                    f"{self._vendor} answers for {what} with something else than JSON"
                ) from error

    def content(self, *path: str, what: str, limit: int) -> bytes:
        """Give the bytes below the base, at most `limit`; as `read`."""
        url = self._url(path, what)
        with self._at_the_gate():
            return self._get(url, {"Accept": "*/*", **self._headers}, what, limit)

    def download(self, url: str, *, what: str, limit: int) -> bytes:
        """Give the bytes at a URL that the API gave, without any credentials; as `content`.

        Another host may have it: what comes of it says nothing of the API. The URL must be https, or http
        to where the API itself is.
        """
        try:
            target, own = urlsplit(url), urlsplit(self._base)
            safe = bool(target.hostname) and (
                target.scheme == "https"
                or (own.scheme == "http" and (target.scheme, target.hostname) == (own.scheme, own.hostname))
            )
        except ValueError:
            safe = False
        if not safe:
            raise VendorRefused(f"{self._vendor} gives no https address for {what}")
        return self._get(url, {"Accept": "*/*"}, what, limit)

    def _url(self, path: Sequence[str], what: str, query: Mapping[str, str] | None = None) -> str:
        if any(set(segment) <= {"."} for segment in path):
            # The path would lead elsewhere.
            raise VendorRefused(f"{what} has no id that {self._vendor} could be asked for")
        url = "/".join((self._base, *(quote(segment, safe="") for segment in path)))
        return f"{url}?{urlencode(query)}" if query else url

    @contextmanager
    def _at_the_gate(self) -> Iterator[None]:
        """Ask only where there is use in it, and note for the channel's other events whether there is."""
        self._gate.enter()
        try:
            yield
        except _AwayError as error:
            if error.pause:
                self._gate.close(str(error), error.pause)
            raise
        except VendorRefused:
            self._gate.open()
            raise
        self._gate.open()

    def _get(self, url: str, headers: Mapping[str, str], what: str, limit: int) -> bytes:
        answer = self._exchange(url, headers, what, limit)
        if answer.broken is not None and not isinstance(answer.broken, TooLargeError):
            raise self._away(f"{self._vendor} breaks off while it sends {what}")
        if answer.status != HTTPStatus.OK:
            raise self._refusal(answer, headers, what)
        if answer.broken is not None:
            raise VendorRefused(f"{self._vendor} sends more than {limit} bytes for {what}", "too_large")
        return answer.body

    def _exchange(self, url: str, headers: Mapping[str, str], what: str, limit: int) -> Answer:
        left = self._ends - time.monotonic()
        if left <= 0:
            raise self._away(f"{self._vendor} is too slow: no time was left to ask for {what}")
        with Call(left, _CONNECTING).active():
            try:
                request = self._session.prepare_request(requests.Request("GET", url, headers=dict(headers)))
                response = self._session.send(
                    request, timeout=(_CONNECTING, left), allow_redirects=False, stream=True
                )
            except requests.exceptions.InvalidURL as error:
                raise VendorRefused(f"{self._vendor} gives an address for {what} that is none") from error
            except (requests.RequestException, HTTPError) as error:
                raise self._away(f"{self._vendor} does not answer: {type(error).__name__}") from error
            return whole(response, limit)

    def _refusal(self, answer: Answer, headers: Mapping[str, str], what: str) -> VendorAway | VendorRefused:
        status, vendor = answer.status, self._vendor
        words = error_message(status, answer.body, redact=self._redact, who=vendor)
        if (
            status < HTTPStatus.MULTIPLE_CHOICES
            or status >= HTTPStatus.INTERNAL_SERVER_ERROR
            or status in _PASSING
        ):
            asked = retry_after(answer.headers.get("Retry-After"))
            return self._away(f"{vendor} does not serve us now ({status}): {words}", status, asked)
        if status < HTTPStatus.BAD_REQUEST:
            said = f"{vendor} redirects ({status}), which is never followed: is api_url right?"
        elif status in _TOKEN_REFUSED and self._headers.keys() <= headers.keys():
            mend = f"{self._hint}; set it anew, and replay this"
            said = f"{vendor} refuses our api_token ({status}): {words.rstrip('. ')}. {mend}"
        elif status in _GONE:
            said = f"{what} is no longer at {vendor}, or our api_token cannot see it ({status}): {words}"
        else:
            said = f"{vendor} refuses {what} ({status}): {words}"
        return VendorRefused(said, str(status))

    def _away(self, why: str, status: int = 0, asked: float | None = None) -> _AwayError:
        busy = status == HTTPStatus.TOO_MANY_REQUESTS
        # An error of the server's may be about this one thing; all else is about everything.
        alone = status == HTTPStatus.INTERNAL_SERVER_ERROR
        pause = 0 if alone else asked or (_BUSY_PAUSE if busy else _PAUSE)
        return _AwayError(why, asked, counts=not busy, pause=pause)

    def _redact(self, text: str) -> str:
        for value in self._headers.values():
            text = text.replace(value.rpartition(" ")[2], "***")
        return text


class _Gate:
    """Keeps the events of a channel from all waiting for a vendor that is away: one tries for them."""

    def __init__(
        self, memory: Memory, clock: Callable[[], float], pick: Callable[[float, float], float]
    ) -> None:
        self._memory = memory
        self._clock = clock
        self._pick = pick

    def enter(self) -> None:
        """Raise VendorAway while there is no use in asking; after that the first one tries."""
        until, since, why = self._state()
        if not why:
            return
        left = until - self._clock()
        if left > 0:
            spread = min(_WIDEST, _SPREAD * (until - since))
            raise VendorAway(why, left + self._pick(0, spread), counts=False)
        self.close(why, _PAUSE)

    def close(self, why: str, seconds: float) -> None:
        """Let nobody ask for so many seconds."""
        now, (_, since, closed) = self._clock(), self._state()
        state = f"{now + seconds:.3f} {since if closed else now:.3f} {why}"
        self._memory.put(_STATE, state, math.ceil(seconds) + _REMEMBERED)

    def open(self) -> None:
        """Let everybody ask again."""
        if self._memory.get(_STATE):
            self._memory.put(_STATE, "", 1)

    def _state(self) -> tuple[float, float, str]:
        """Give until when it is closed, since when, and why; no reason where it is open."""
        until, _, rest = (self._memory.get(_STATE) or "").partition(" ")
        since, _, why = rest.partition(" ")
        return float(until or 0), float(since or 0), why
