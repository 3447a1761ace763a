"""What can go wrong between us and Spacebring, by what the worker may do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.core.outgoing.reading import readable

if TYPE_CHECKING:
    from workers.spacebring.answers import Failure


class SpacebringError(Exception):
    """A call to Spacebring that did not do what it was for.

    `str(error)` is Spacebring's own message made readable, or ours where it said nothing: one line, at most
    500 characters, without credentials. `status` is the HTTP status or None, `retry_after` the seconds
    that Spacebring asked us to wait or None, `failure` the row of the table of answers that applied.
    """

    def __init__(
        self, message: str, *, status: int | None, retry_after: float | None, failure: Failure | None = None
    ) -> None:
        super().__init__(readable(message))
        self.status = status
        self.retry_after = retry_after
        self.failure = failure


class TemporaryError(SpacebringError):
    """Nothing was filed; the same call may succeed later."""


class PermanentError(SpacebringError):
    """Refused for good: the same call will be refused again."""


class CredentialsError(SpacebringError):
    """Our credentials were refused (401) or do not suffice (403); no fault of the event."""


class UnknownOutcomeError(SpacebringError):
    """The ticket may have been filed, or not: look before sending it again."""
