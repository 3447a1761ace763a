"""Signatures by ECDSA over P-256, with the vendor's public key as the secret."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey as _PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    load_der_public_key,
    load_pem_public_key,
)

from service.core.errors import Unauthorized, UnreadableError
from service.core.signing.keys import private_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from service.core.request import InboundRequest
    from service.core.signing import Signed, Window


@dataclass(frozen=True)
class EcdsaScheme:
    """SHA-256 over what `read` takes from a request, the signature in base64 of DER.

    A secret is the public key, as PEM or as base64 of DER. A key that is none never holds.
    """

    read: Callable[[InboundRequest], Signed]
    window: Window

    def check(self, request: InboundRequest, secrets: Sequence[bytes], now: float) -> None:
        """Raise Unauthorized unless the message is signed by one of the keys, in time."""
        signed = self.read(request)
        given = [_decoded(value) for value in signed.signatures]
        keys = [key for key in map(_public, secrets) if key is not None]
        if not any(_holds(key, one, signed.message) for key in keys for one in given if one):
            raise Unauthorized("signature", "The signature is missing or wrong")
        self.window.check(signed.stamp, now)

    def sign(self, message: bytes, secret: bytes) -> str:
        """Give the signature by a private key of our own: the vendor keeps the real one."""
        key = private_key(secret)
        if not isinstance(key, _PrivateKey):
            raise UnreadableError("not a private key on the curve P-256, as PEM or as base64 of DER")
        return base64.b64encode(key.sign(message, ECDSA(SHA256()))).decode()


def _decoded(value: str) -> bytes:
    try:
        return base64.b64decode(value.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return b""


@lru_cache(maxsize=64)
def _public(secret: bytes) -> EllipticCurvePublicKey | None:
    try:
        if secret.lstrip().startswith(b"-----"):
            key = load_pem_public_key(secret.strip())
        else:
            key = load_der_public_key(base64.b64decode(secret, validate=True))
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1) else None


def _holds(key: EllipticCurvePublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message, ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True
