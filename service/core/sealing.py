"""Keeps a secret of the sender's in the ledger without anybody reading it there, and only for a while.

The key is derived from the channel's own secrets (HKDF, https://www.rfc-editor.org/rfc/rfc5869), the cipher
is Fernet (https://cryptography.io/en/latest/fernet/), whose tokens hold their time.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

if TYPE_CHECKING:
    from collections.abc import Sequence


def seal(text: str, secrets: Sequence[bytes], now: float) -> str:
    """Give the text sealed with the first secret; nothing where there is no secret."""
    if not secrets:
        return ""
    return _cipher(secrets[0]).encrypt_at_time(text.encode("utf-8", "replace"), int(now)).decode()


def unseal(sealed: str, secrets: Sequence[bytes], now: float, *, seconds: int) -> str:
    """Give the text that one of the secrets sealed at most so long ago, or nothing."""
    for secret in secrets:
        try:
            opened = _cipher(secret).decrypt_at_time(sealed.encode("utf-8", "replace"), seconds, int(now))
        except InvalidToken:
            continue
        return opened.decode()
    return ""


def _cipher(secret: bytes) -> Fernet:
    derived = HKDF(SHA256(), 32, None, b"spacebring-bridge sealed 1").derive(secret)
    return Fernet(base64.urlsafe_b64encode(derived))
