"""The two kinds of credentials Spacebring takes, as `requests` authentication.

https://www.spacebring.com/docs/api-reference/authentication
"""

from __future__ import annotations

import base64
from abc import abstractmethod
from typing import TYPE_CHECKING
from urllib.parse import quote

from requests.auth import AuthBase

if TYPE_CHECKING:
    from collections.abc import Sequence

    from requests import PreparedRequest

REDACTED = "[secret]"


class SpacebringAuth(AuthBase):
    """Credentials that sign a request and can be taken out of a text.

    `hint` is what a person should know when they are refused for creating a ticket, or empty.
    """

    hint = ""

    def __init__(self, network_id: str | None) -> None:
        self.network_id = None if network_id is None else _checked("network id", network_id)

    @abstractmethod
    def authorization(self) -> str:
        """Return the value of the Authorization header."""

    def renew(self, refused: str) -> bool:  # noqa: ARG002 - for those that can
        """Get other credentials than the Authorization that was `refused`; say whether there are any.

        If so, it has also waited for the repeated request's turn.
        """
        return False

    @abstractmethod
    def secrets(self) -> Sequence[str]:
        """Return every text that must never be shown."""

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Return the request with our headers."""
        r.headers["Authorization"] = self.authorization()
        if self.network_id is not None:
            r.headers["spacebring-network-id"] = self.network_id
        return r

    def redact(self, text: str) -> str:
        """Return `text` without the credentials, also where they stand percent-encoded."""
        for secret in sorted(self.secrets(), key=len, reverse=True):
            text = text.replace(secret, REDACTED).replace(quote(secret, safe=""), REDACTED)
        return text

    def __repr__(self) -> str:
        return f"{type(self).__name__}(network_id={self.network_id!r})"


class BearerAuth(SpacebringAuth):
    """A bearer token; Spacebring requires the network's id with it. ValueError if either is unusable."""

    def __init__(self, token: str, network_id: str) -> None:
        super().__init__(network_id)
        self._token = _checked("token", token)

    def authorization(self) -> str:
        """Return the value of the Authorization header."""
        return f"Bearer {self._token}"

    def secrets(self) -> Sequence[str]:
        """Return every text that must never be shown."""
        return (self._token,)


class BasicAuth(SpacebringAuth):
    """The network owner's client id and secret. ValueError if either is unusable."""

    hint = (
        "Spacebring documents OAuth2 only, not Basic credentials, for creating tickets: "
        "run `bridge login`, or connect on the dashboard's Spacebring page"
    )

    def __init__(self, client_id: str, client_secret: str, network_id: str | None = None) -> None:
        super().__init__(network_id)
        if ":" in client_id:
            raise ValueError("the client id must not contain a colon: copy it again from Network Settings")
        self._client_id = _checked("client id", client_id)
        self._client_secret = _checked("client secret", client_secret)

    def authorization(self) -> str:
        """Return the value of the Authorization header."""
        return f"Basic {self._encoded()}"

    def secrets(self) -> Sequence[str]:
        """Return every text that must never be shown."""
        return (self._client_id, self._client_secret, self._encoded())

    def _encoded(self) -> str:
        return base64.b64encode(f"{self._client_id}:{self._client_secret}".encode()).decode()


def _checked(what: str, value: str) -> str:
    """Return `value`, or raise ValueError without showing it."""
    if not value or not value.isascii() or not value.isprintable() or value != value.strip():
        raise ValueError(f"the {what} is empty or has characters that no header may carry: copy it again")
    return value
