"""The base of every source: verify, identify, parse."""

from __future__ import annotations

import hashlib
import json
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

from service.core import signing
from service.core.fetch import fetch
from service.core.request import masked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from service.core.events import InboundEvent
    from service.core.fetch import Fetch
    from service.core.request import InboundRequest
    from service.core.signing import Locks, Scheme, Verified

_MAX_ID = 200
# What is shorter could be a word that people write; a token is never.
_MASKED = 16

Lane = Literal["person", "backlog"]


@dataclass(frozen=True)
class Key:
    """A dedupe key. One made of content lives for a day: two equal forms a week apart are two requests."""

    value: str
    content: bool = False


@dataclass(frozen=True)
class Part:
    """One event's share of a request: its dedupe keys, and `slice`, which the source understands."""

    keys: tuple[Key, ...]
    slice: str = ""


@dataclass(frozen=True)
class Reply:
    """An answer in the vendor's own words instead of our JSON.

    `thanks` is the reference that our own page thanks a visitor with, instead of `body`.
    """

    body: str
    content_type: str = "text/plain; charset=utf-8"
    status: int = 200
    location: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    thanks: str | None = None


@dataclass(frozen=True)
class Answers:
    """The vendor's own status codes where the usual ones would lose mail.

    `signature` is for the vendor's own signature, where a lock of ours is answered otherwise.
    """

    unauthorized: int = 401
    unavailable: int = 503
    signature: int | None = None

    def refusing(self, reason: str) -> int:
        """Give the code for a request whose lock, by that name, does not hold."""
        return self.signature if reason == "signature" and self.signature else self.unauthorized


@dataclass(frozen=True)
class Choices:
    """What a sender may choose for its ticket, by name.

    `type` and `location` are what the ticket has otherwise; empty where the channel's rules decide.
    """

    locations: tuple[str, ...] = ()
    type: str = ""
    location: str = ""


@dataclass(frozen=True)
class SourceOptions:
    """What a channel's configuration says to its source."""

    channel: str
    locks: Locks
    fields: Mapping[str, str]
    redirects: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    certificate: str = ""
    fetch: Fetch = fetch
    api_url: str = ""
    api_token: str = field(default="", repr=False)
    client_id: str = ""
    max_body: int = 60 * 1024 * 1024
    reaction: str = ""
    choices: Choices = field(default_factory=Choices)


class Memory(Protocol):
    """What a source may remember between calls of its vendor's API, for a while; it may forget sooner."""

    def get(self, key: str) -> str | None:
        """Give what was put under the key, or None."""
        ...

    def put(self, key: str, value: str, seconds: int) -> None:
        """Remember a value for so many seconds."""
        ...


@dataclass(frozen=True)
class Receipt:
    """What became of an event, for whoever sent it: `number` is its ticket's, None for a dead letter."""

    marker: str
    number: int | None


class Source(ABC):
    """One vendor. An instance serves one channel; it keeps no state between requests."""

    name: ClassVar[str]
    label: ClassVar[str]
    # Media types that the vendor sends; `*` stands for anything. JSON may also be `application/*+json`.
    content_types: ClassVar[tuple[str, ...]]
    answers: ClassVar[Answers] = Answers()
    # Keys of the channel, beside the locks, that the source cannot do without.
    needs: ClassVar[tuple[str, ...]] = ()
    # Keys of the channel that only some sources make use of, and this one does, beside what it needs.
    takes: ClassVar[tuple[str, ...]] = ("fields",)
    lane: ClassVar[Lane] = "backlog"
    # The sender reads our verdict: parse before the 200, answer 422 with the fields that are wrong.
    verdict: ClassVar[bool] = False
    # Methods beside POST that the vendor uses to probe the URL; answered 200 and nothing else.
    probes: ClassVar[tuple[str, ...]] = ("HEAD", "GET")
    # The key of the channel that holds the public half where the vendor signs with a private key of its own:
    # to sign, `bridge send` is given another pair.
    locked_by: ClassVar[str] = ""
    # The sender is told what became of it: see `tell`.
    receipts: ClassVar[bool] = False

    def __init__(self, options: SourceOptions, *, clock: Callable[[], float] = time.time) -> None:
        self.options = options
        self.clock = clock

    def scheme(self) -> Scheme | None:
        """Give the vendor's signature scheme, or None where it does not sign."""
        return None

    def verify(self, request: InboundRequest) -> Verified:
        """Open every lock of the channel; raises Unauthorized."""
        return signing.verify(request, self.options.locks, self.scheme(), clock=self.clock)

    def handshake(self, verified: Verified) -> Reply | None:
        """Answer a vendor's challenge; None where the request is no challenge."""
        del verified
        return None

    def accepts(self, request: InboundRequest) -> bool:
        """Say whether the request's media type is one that this source sends; if not, it is a 415."""
        return any(
            fnmatchcase(request.content_type, pattern) for pattern in _with_dialects(self.content_types)
        )

    @abstractmethod
    def identify(self, verified: Verified) -> Sequence[Part]:
        """Name the events in the request and their keys: light and bounded, nothing is mapped yet.

        An empty answer means that there is nothing to keep. Raises UnreadableError where the body
        is not this source's: it is then kept whole, under its content hash, as a part without a slice.
        A source with `verdict` raises Invalid instead.
        """

    @abstractmethod
    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the canonical event of one part.

        Raises UnreadableError (kept as a dead letter) or, for a source with `verdict`, Invalid.
        """

    def kept(self, request: InboundRequest) -> InboundRequest:
        """Give a verified request as it may be stored: nothing in its body opens a lock.

        Some vendors repeat the URL that they post to, token and all. A source whose body holds more
        secrets takes them out first; what it parses must be there still.
        """
        locks = self.options.locks
        long = [value for value in (*locks.tokens, *locks.basic) if len(value) >= _MASKED]
        return replace(request, body=masked(request.body, long))

    def complete(self, verified: Verified, part: Part, event: InboundEvent, memory: Memory) -> InboundEvent:
        """Add to a part's parsed event what only the vendor's API knows; in a worker, never in a request.

        Raises VendorAway where it has to wait, VendorRefused or UnreadableError where a person is needed.
        """
        del verified, part, memory
        return event

    def tell(self, verified: Verified, receipt: Receipt, memory: Memory) -> None:
        """Tell the sender what became of an event, after it was recorded, if `receipts` says so.

        Raises VendorAway or VendorRefused; a receipt that cannot be given is no harm to the event.
        """
        del verified, receipt, memory

    def reply(self, verified: Verified, marker: str, status: str) -> Reply | None:
        """Answer an accepted request in the vendor's own way; None for our JSON. `marker` is the ticket's."""
        del verified, marker, status
        return None

    def unavailable(self, verified: Verified) -> Reply | None:
        """Answer a verified request that could not be made safe in the vendor's own way; None for our 503.

        For a sender that would lose what somebody wrote: the reply must say that nothing was kept.
        """
        del verified
        return None

    def sign(self, request: InboundRequest, secret: bytes) -> InboundRequest:
        """Give the request as the vendor would sign it now, for `bridge send` and tests."""
        del secret
        return request


def _with_dialects(content_types: Iterable[str]) -> Iterator[str]:
    """Give the types; whoever sends JSON may call it by a name of its own (RFC 6839)."""
    for content_type in content_types:
        yield content_type
        if content_type == "application/json":
            yield "application/*+json"


def vendor_key(kind: str, value: str) -> Key:
    """Give the dedupe key of an id that the sender chose: short, whatever it sends."""
    plain = len(value) <= _MAX_ID and value.isprintable()
    return Key(f"{kind}:{value if plain else _digest(value.encode('utf-8', 'replace'))}")


def canonical_key(value: object) -> Key:
    """Give the dedupe key of plain data, the same however it was written down."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return Key(_digest(text.encode()), content=True)


def content_key(request: InboundRequest) -> Key:
    """Give the dedupe key of a body that names no id of its own."""
    return Key(_digest(request.body), content=True)


def _digest(value: bytes) -> str:
    return f"sha256:{hashlib.sha256(value).hexdigest()}"
