"""The plainest family: HMAC-SHA256 of the raw body in a header, and no time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from service.core.signing import HmacScheme, Signed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.core.request import InboundRequest


@dataclass(frozen=True)
class BodyScheme:
    """The scheme with the vendor's header, and what stands in it before the signature, such as `sha256=`."""

    header: str
    prefix: str = ""
    encoding: Literal["hex", "base64"] = "hex"

    def check(self, request: InboundRequest, secrets: Sequence[bytes], now: float) -> None:
        """Return if the header's signature holds; raises Unauthorized for everything else."""
        self._hmac().check(request, secrets, now)

    def sign(self, request: InboundRequest, secret: bytes) -> InboundRequest:
        """Set the header, as the vendor does."""
        told = self.prefix + self._hmac().sign(request.body, secret)
        return replace(request, headers=request.headers.replaced(**{self.header: told}))

    def _hmac(self) -> HmacScheme:
        return HmacScheme(self._read, encoding=self.encoding)

    def _read(self, request: InboundRequest) -> Signed:
        given = request.headers.all(self.header)
        signatures = [each.removeprefix(self.prefix) for each in given if each.startswith(self.prefix)]
        return Signed(signatures, request.body)
