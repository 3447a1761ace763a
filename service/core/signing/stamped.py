"""The family `t=<seconds>,<version>=<hex>`: time and HMAC-SHA256 of `<seconds>.<body>` in one header."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from service.core.signing import HmacScheme, Signed, Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.core.request import InboundRequest

_MINUTES = 60
_MAX_PARTS = 10


@dataclass(frozen=True)
class StampedScheme:
    """The scheme with the vendor's header and its word for the signature, within five minutes of now."""

    header: str
    version: str

    def check(self, request: InboundRequest, secrets: Sequence[bytes], now: float) -> None:
        """Return if any signature in the header holds; raises Unauthorized for everything else."""
        self._hmac().check(request, secrets, now)

    def sign(self, request: InboundRequest, secret: bytes, now: float) -> InboundRequest:
        """Set the header, as the vendor would now."""
        stamp = str(int(now))
        signature = self._hmac().sign(stamp.encode() + b"." + request.body, secret)
        told = f"t={stamp},{self.version}={signature}"
        return replace(request, headers=request.headers.replaced(**{self.header: told}))

    def _hmac(self) -> HmacScheme:
        return HmacScheme(self._read, window=Window(back=5 * _MINUTES, ahead=5 * _MINUTES))

    def _read(self, request: InboundRequest) -> Signed:
        parts = request.headers.get(self.header).split(",")[:_MAX_PARTS]
        pairs = [part.strip().partition("=") for part in parts]
        stamp = next((value for name, _, value in pairs if name == "t"), "")
        signatures = [value for name, _, value in pairs if name == self.version]
        return Signed(signatures, stamp.encode("utf-8", "replace") + b"." + request.body, stamp)
