"""Every error of the web side and the kernel, in one tree.

    BridgeError
    ├── ConfigError            what is wrong with bridge.toml or the environment, all of it at once
    ├── RequestError           a request we refuse; knows its status and what to tell the caller
    │   ├── Unauthorized           401   a lock does not hold
    │   ├── NoSuchChannel          404
    │   ├── WrongMethod            405
    │   ├── TooLarge               413
    │   ├── UnsupportedContent     415
    │   ├── Invalid                422   only for senders that read the answer
    │   └── Unavailable            503   could not be made safe; the sender should try again
    │       └── StoreFull              no room in Redis for this one
    │           └── NearlyFull         nor for any other
    ├── UnreadableError        verified, but it does not parse as this source's payload
    ├── UnmappableError        parsed, but no ticket can be made of it
    ├── VendorAway             a vendor's API does not serve us now
    ├── VendorRefused          a vendor's API refuses a call for good
    ├── LoginRefused           a log-in to Spacebring came to nothing
    ├── TokensUnreadable       stored tokens, but BRIDGE_SECRET_KEY does not open them
    └── LedgerError
        ├── NoSuchEvent
        ├── Forbidden              the event's state does not allow the operation
        ├── StaleToken             somebody else holds the event now
        ├── NotDurable             written, but nobody confirms that it is safe
        └── StoreUnsuitable        Redis is a cluster, or otherwise not usable

The first two are made in `config.errors`, the lowest layer, and are the same classes here.
`UnreadableError` and `UnmappableError` end as dead letters: nothing verified is ever dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from config.errors import BridgeError as BridgeError  # noqa: PLC0414 - re-exported
from config.errors import ConfigError as ConfigError  # noqa: PLC0414 - re-exported

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.core.events import InboundEvent


class RequestError(BridgeError):
    """A request that is refused. `status` is the HTTP status, `title` its short name."""

    status: ClassVar[int] = 400
    title: ClassVar[str] = "Bad request"


class Unauthorized(RequestError):  # noqa: N818 - named as the HTTP status is
    """A signature, token or password is missing, wrong, or outside its time window.

    `reason` is a short word for logs and metrics (`signature`, `stale`, `token`, `basic`,
    `topic`, `address`); the message never says what would have been right.
    """

    status = 401
    title = "Unauthorized"

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


class NoSuchChannel(RequestError):  # noqa: N818
    """No channel of that name is configured."""

    status = 404
    title = "No such channel"


class WrongMethod(RequestError):  # noqa: N818
    """The method is not one that is served there; `allowed` are."""

    status = 405
    title = "Method not allowed"

    def __init__(self, message: str, allowed: Sequence[str]) -> None:
        self.allowed = tuple(allowed)
        super().__init__(message)


class TooLarge(RequestError):  # noqa: N818
    """The body is larger than we take."""

    status = 413
    title = "Too large"


class UnsupportedContent(RequestError):  # noqa: N818
    """The content type is not one that this source sends."""

    status = 415
    title = "Unsupported content type"


class Invalid(RequestError):  # noqa: N818
    """A body whose caller can read what is wrong: `fields` maps a path to its messages.

    `labels` is what a person who filled in a form knows some of the fields by.
    """

    status = 422
    title = "Unprocessable content"

    def __init__(
        self,
        message: str,
        fields: Mapping[str, Sequence[str]] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        self.fields = {name: tuple(messages) for name, messages in (fields or {}).items()}
        self._labels = labels or {}
        super().__init__(message)

    def called(self, field: str) -> str:
        """Give what a person knows a field by; its path, where nobody says."""
        return self._labels.get(field, field)


class Unavailable(RequestError):  # noqa: N818
    """The event could not be made safe now; `retry_after` is in seconds."""

    status = 503
    title = "Unavailable"

    def __init__(self, message: str, retry_after: int = 30) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class StoreFull(Unavailable):
    """Redis has no room for new events: what room there is belongs to those it has."""


class NearlyFull(StoreFull):
    """Redis keeps its last tenth for deliveries: it takes no new event, however small."""


class UnreadableError(BridgeError):
    """Verified, but not readable as this source's payload: becomes a dead letter.

    `event` is what could be read all the same, so that a list shows who wrote and about what.
    """

    def __init__(self, message: str, event: InboundEvent | None = None) -> None:
        self.event = event
        super().__init__(message)


class SeveralEventsError(UnreadableError):
    """Kept whole, since it could not be taken apart then; now several events come of it."""


class VendorAway(BridgeError):  # noqa: N818
    """A vendor's API does not serve us now; `retry_after` are the seconds that it asked for, if it did.

    `counts` is False where that says nothing of this event: it is no failed try of its own.
    """

    def __init__(self, message: str, retry_after: float | None = None, *, counts: bool = True) -> None:
        self.retry_after = retry_after
        self.counts = counts
        super().__init__(message)


class VendorRefused(BridgeError):  # noqa: N818
    """A vendor's API refuses a call for good; `code` is its own word for it."""

    def __init__(self, message: str, code: str = "") -> None:
        self.code = code
        super().__init__(message)


class UnmappableError(BridgeError):
    """Parsed, but no ticket can be made of it: becomes a dead letter. `event` is set by who knows it."""

    event: InboundEvent | None = None


class LoginRefused(BridgeError):  # noqa: N818
    """A log-in to Spacebring came to nothing: what was wrong, and how to begin again."""


class TokensUnreadable(BridgeError):  # noqa: N818
    """The stored tokens were encrypted with another key than BRIDGE_SECRET_KEY."""


class LedgerError(BridgeError):
    """The ledger refuses an operation."""


class NoSuchEvent(LedgerError):  # noqa: N818
    """No event has that id, or its summary has been aged out."""

    def __init__(self, event: str) -> None:
        super().__init__(
            f"No event {event}: it never was, retention has aged it out, or it still waits in a spool"
        )


class Forbidden(LedgerError):  # noqa: N818
    """The event's state does not allow the operation."""


class StaleToken(LedgerError):  # noqa: N818
    """The fencing token is not the event's latest: somebody else holds it now."""


class NotDurable(LedgerError):  # noqa: N818 - named as what it says
    """The write was not confirmed to be as safe as asked for: nobody may act on it."""


class StoreUnsuitable(LedgerError):  # noqa: N818
    """The Redis server cannot be used, and why."""
