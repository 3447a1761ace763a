"""A secret that can be compared and handed on, but not shown by accident."""

from __future__ import annotations

import hashlib
import hmac

MASK = "<secret>"


class Secret:
    """Wraps a text. Whatever prints, formats or serialises it gets `<secret>`; `reveal` gives the text.

    Two secrets are compared in constant time, whatever their lengths.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Give the text itself."""
        return self._value

    @property
    def bytes(self) -> bytes:
        """The text as UTF-8; bytes of the environment that are not UTF-8 come back as they were."""
        return self._value.encode("utf-8", "surrogateescape")

    def __repr__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(_digest(self), _digest(other))

    def __hash__(self) -> int:
        return hash(_digest(self))


def _digest(secret: Secret) -> bytes:
    return hashlib.sha256(secret.reveal().encode("utf-8", "surrogatepass")).digest()
