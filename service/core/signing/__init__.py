"""The only place where secrets are compared: as bytes, in constant time, with an injected clock.

`verify` opens every lock that a channel configures and is the only maker of `Verified` for a
request at the door; `from_ledger` makes it for a request that was verified before it was stored.
`Source.identify` and `Source.parse` take `Verified`, so parsing before verifying does not type-check.

The HMAC families are here by their parameters; beside it those that several vendors share: of the body
alone (`plain`), with the time in one header (`stamped`), Standard Webhooks (`standard`); then a token with
the body's hash (`jws`), and signatures by public key (`ecdsa`, `sns`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Literal, Protocol

from service.core.errors import Unauthorized

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from service.core.request import InboundRequest

_SEAL = object()


class Verified:
    """A request whose locks all held. Only this module can make one."""

    __slots__ = ("request",)

    def __init__(self, request: InboundRequest, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("Verified is made by service.core.signing only")
        self.request = request


@dataclass(frozen=True)
class Locks:
    """What opens a channel, as bytes. Lists hold every value that is valid while rotating.

    `secrets` belong to the vendor's own signature scheme, `basic` are `user:password` pairs,
    `tokens` go in the URL path, `?token=`, `X-Bridge-Token`, `X-Intake-Token`, as a bearer or as the password
    of HTTP Basic.
    """

    secrets: tuple[bytes, ...] = ()
    basic: tuple[bytes, ...] = ()
    tokens: tuple[bytes, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.secrets or self.basic or self.tokens)

    def __repr__(self) -> str:
        return f"Locks(secrets=<{len(self.secrets)}>, basic=<{len(self.basic)}>, tokens=<{len(self.tokens)}>)"


class Scheme(Protocol):
    """A vendor's signature scheme."""

    def check(self, request: InboundRequest, secrets: Sequence[bytes], now: float) -> None:
        """Return if the request is signed with one of the secrets.

        Raises Unauthorized for everything else; a malformed header is a refusal, never another error.
        """
        ...


def same(given: bytes, expected: bytes) -> bool:
    """Compare two secrets in constant time, whatever their lengths."""
    return hmac.compare_digest(hashlib.sha256(given).digest(), hashlib.sha256(expected).digest())


def _bytes(text: str) -> bytes:
    # A header may hold anything; what no encoding can hold must still compare, and not match.
    return text.encode("utf-8", "surrogatepass")


def verify(
    request: InboundRequest,
    locks: Locks,
    scheme: Scheme | None = None,
    *,
    clock: Callable[[], float] = time.time,
    keyless: bool = False,
) -> Verified:
    """Open every configured lock; a `keyless` scheme holds its own keys and is checked in any case.

    Gives the verified request, or raises Unauthorized at the first lock that does not hold. A
    channel without locks (`public = true`) passes; that it may have none is decided at start.
    """
    if locks.tokens:
        _check_token(request, locks.tokens)
    if locks.basic:
        _check_basic(request, locks.basic)
    if locks.secrets or keyless:
        if scheme is None:
            raise Unauthorized("signature", "This source does not sign: the channel's secret cannot hold")
        scheme.check(request, locks.secrets, clock())
    return Verified(request, _SEAL)


def from_ledger(request: InboundRequest) -> Verified:
    """Give back as verified what was verified at the door before it was stored."""
    return Verified(request, _SEAL)


def _check_token(request: InboundRequest, tokens: Sequence[bytes]) -> None:
    scheme, _, bearer = request.headers.get("Authorization").partition(" ")
    given = [
        request.path_token,
        # Some vendors end every URL with a slash.
        request.path_token.removesuffix("/"),
        *(value for key, value in request.query if key == "token"),
        bearer.strip() if scheme.lower() == "bearer" else "",
        request.headers.get("X-Bridge-Token"),
        request.headers.get("X-Intake-Token"),
    ]
    # Tools that only know Basic send the token as the password, whoever the user is.
    _, _, password = (basic_of(request) or b"").partition(b":")
    candidates = [_bytes(value) for value in given if value] + ([password] if password else [])
    if not any([same(candidate, token) for candidate in candidates for token in tokens]):  # noqa: C419 - no early end
        raise Unauthorized("token", "The channel's token is missing or wrong")


def basic_of(request: InboundRequest) -> bytes | None:
    """Give the `user:password` that the request brings; None without any."""
    scheme, _, encoded = request.headers.get("Authorization").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(encoded.strip().encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return b""


def _check_basic(request: InboundRequest, pairs: Sequence[bytes]) -> None:
    given = basic_of(request)
    if given is None or not any([same(given, pair) for pair in pairs]):  # noqa: C419 - no early end
        raise Unauthorized("basic", "User name or password is missing or wrong")


@dataclass(frozen=True)
class Window:
    """How far a signed time may lie from now, in seconds on either side.

    `unit` is the length of the vendor's tick in seconds.
    """

    back: float
    ahead: float
    unit: float = 1.0

    def check(self, stamp: str, now: float) -> None:
        """Raise Unauthorized unless the stamp is a whole number within the window."""
        if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 16):  # noqa: PLR2004 - longer is no time
            raise Unauthorized("stale", "The signature's time is missing or not a number")
        age = now - int(stamp) * self.unit
        if not -self.ahead <= age <= self.back:
            raise Unauthorized("stale", "The signature's time is too far from now")


@dataclass(frozen=True)
class Signed:
    """What a request says about its signature: the candidates, the signed bytes, the signed time.

    `otherwise` is what else may have been signed, where the request cannot tell.
    """

    signatures: Sequence[str]
    message: bytes
    stamp: str = ""
    otherwise: Iterable[bytes] = ()


@dataclass(frozen=True)
class HmacScheme:
    """The HMAC families, by parameters.

    `read` takes from a request what is signed; it may raise Unauthorized. Any of the signatures may
    match any of the secrets. `window` is set where the vendor signs a time. `key` makes the key of
    a secret that is written in some other way; nothing where the secret is none.
    """

    read: Callable[[InboundRequest], Signed]
    digest: str = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    window: Window | None = None
    key: Callable[[bytes], bytes] = bytes

    def check(self, request: InboundRequest, secrets: Sequence[bytes], now: float) -> None:
        """Raise Unauthorized unless the message is signed with one of the secrets, in time."""
        signed = self.read(request)
        given = [_bytes(value) for value in signed.signatures if value]
        if not given:
            raise Unauthorized("signature", "The signature is missing")
        # One at a time: each may be as large as the body.
        messages = chain((signed.message,), signed.otherwise)
        usable = [secret for secret in secrets if self.key(secret)]
        expected = [self.sign(message, secret).encode() for message in messages for secret in usable]
        if not any([same(one, other) for one in given for other in expected]):  # noqa: C419 - no early end
            raise Unauthorized("signature", "The signature is wrong")
        if self.window is not None:
            self.window.check(signed.stamp, now)

    def sign(self, message: bytes, secret: bytes) -> str:
        """Give the signature that `check` expects, for `bridge send` and tests."""
        mac = hmac.new(self.key(secret), message, self.digest)
        return mac.hexdigest() if self.encoding == "hex" else base64.b64encode(mac.digest()).decode()


@dataclass(frozen=True)
class HeaderSecret:
    """The secret itself in a header of the vendor's."""

    header: str

    def check(self, request: InboundRequest, secrets: Sequence[bytes], now: float) -> None:
        """Raise Unauthorized unless the header holds one of the secrets."""
        del now
        given = [_bytes(value) for value in request.headers.all(self.header)]
        if not any([same(one, secret) for one in given for secret in secrets]):  # noqa: C419 - no early end
            raise Unauthorized("signature", f"{self.header} is missing or wrong")
