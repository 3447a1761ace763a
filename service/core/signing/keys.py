"""Private keys of our own in the place of a vendor's, to try a channel whose vendor signs with a pair."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes


def private_key(text: bytes) -> PrivateKeyTypes | None:
    """Give the key in PEM or as base64 of DER, not encrypted; None where it is none."""
    try:
        if text.lstrip().startswith(b"-----"):
            return load_pem_private_key(text.strip(), None)
        return load_der_private_key(base64.b64decode(text, validate=True), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
