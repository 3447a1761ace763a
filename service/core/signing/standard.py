"""Standard Webhooks 1.0.0, which Svix sends under names of its own.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from service.core.errors import Unauthorized
from service.core.signing import HmacScheme, Signed, Window

if TYPE_CHECKING:
    from service.core.request import InboundRequest

_PREFIXES = ("webhook", "svix")
_SECRET = b"whsec_"
_VERSION = "v1,"
_MAX_SIGNATURES = 32
_MINUTES = 60


def webhook_id(request: InboundRequest) -> str:
    """Give the id of the message, the same however often it is sent."""
    return request.headers.get(f"{_prefix(request)}-id").strip()


def _prefix(request: InboundRequest) -> str:
    return next((each for each in _PREFIXES if request.headers.get(f"{each}-id")), _PREFIXES[0])


def _key(secret: bytes) -> bytes:
    """Give the key: base64 after `whsec_`. What is not base64 is the key itself; never is it an empty one."""
    try:
        return base64.b64decode(secret.removeprefix(_SECRET), validate=True) or secret
    except binascii.Error:
        return secret


def _read(request: InboundRequest) -> Signed:
    prefix, told = _prefix(request), webhook_id(request)
    # With a dot in the id, where it ends and the time begins would be the sender's to choose.
    if not told or "." in told or not told.isascii():
        raise Unauthorized("signature", "The message's id is missing or none")
    stamp = request.headers.get(f"{prefix}-timestamp").strip()
    given = request.headers.get(f"{prefix}-signature").split(" ")[:_MAX_SIGNATURES]
    return Signed(
        signatures=[each.removeprefix(_VERSION) for each in given if each.startswith(_VERSION)],
        message=f"{told}.{stamp}.".encode("utf-8", "surrogatepass") + request.body,
        stamp=stamp,
    )


STANDARD_WEBHOOKS = HmacScheme(
    _read, encoding="base64", window=Window(back=5 * _MINUTES, ahead=5 * _MINUTES), key=_key
)


def sign_standard(request: InboundRequest, secret: bytes, now: float) -> InboundRequest:
    """Set the three headers, as the sender would now; an id that is there is kept."""
    fresh = {
        "webhook_id": webhook_id(request) or f"msg_{secrets.token_hex(12)}",
        "webhook_timestamp": str(int(now)),
    }
    stamped = replace(request, headers=request.headers.replaced(**fresh))
    signature = _VERSION + STANDARD_WEBHOOKS.sign(_read(stamped).message, secret)
    return replace(stamped, headers=stamped.headers.replaced(webhook_signature=signature))
