"""A JSON web signature (HS256) that carries the hash of the body as a claim."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from service.core.errors import Unauthorized, UnreadableError
from service.core.json_body import read_object
from service.core.signing import same

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.core.request import InboundRequest

_MAX_TOKEN = 4096
_PARTS = 3


@dataclass(frozen=True)
class JwsScheme:
    """A token in `header`, by `issuer`, whose claim `sha256` is the hex hash of the raw body.

    The algorithm is HS256, whatever the token says of itself.
    """

    header: str
    issuer: str

    def check(self, request: InboundRequest, secrets: Sequence[bytes], now: float) -> None:
        """Raise Unauthorized unless the token is signed with one of the secrets, for this body."""
        del now
        token = request.headers.get(self.header).strip()
        parts = token.split(".")
        if not token.isascii() or len(token) > _MAX_TOKEN or len(parts) != _PARTS:
            raise Unauthorized("signature", "The signature is missing or no token")
        head, claims, signature = parts
        message = f"{head}.{claims}".encode()
        given = signature.rstrip("=").encode()
        if not any([same(given, _mac(message, secret)) for secret in secrets]):  # noqa: C419 - no early end
            raise Unauthorized("signature", "The signature is wrong")
        self._check_claims(request, _object(head), _object(claims))

    def _check_claims(self, request: InboundRequest, head: dict[str, Any], claims: dict[str, Any]) -> None:
        told = str(claims.get("sha256", "")).lower().encode()
        if head.get("alg") != "HS256" or claims.get("iss", self.issuer) != self.issuer:
            raise Unauthorized("signature", "The token is not one of the vendor's")
        if not same(told, hashlib.sha256(request.body).hexdigest().encode()):
            raise Unauthorized("signature", "The signature is another body's")

    def sign(self, body: bytes, secret: bytes) -> str:
        """Give the token that `check` expects."""
        head = _encode(b'{"alg":"HS256","typ":"JWT"}')
        digest = hashlib.sha256(body).hexdigest()
        claims = _encode(f'{{"iss":"{self.issuer}","sha256":"{digest}"}}'.encode())
        message = head + b"." + claims
        return (message + b"." + _mac(message, secret)).decode()


def _mac(message: bytes, secret: bytes) -> bytes:
    return _encode(hmac.new(secret, message, "sha256").digest())


def _encode(value: bytes) -> bytes:
    return base64.urlsafe_b64encode(value).rstrip(b"=")


def _object(part: str) -> dict[str, Any]:
    try:
        return read_object(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, UnreadableError) as error:
        raise Unauthorized("signature", "The token cannot be read") from error
