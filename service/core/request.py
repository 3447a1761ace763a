"""An inbound HTTP request, free of any framework: what is verified, stored and parsed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote_from_bytes, urlencode, urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# They open locks, ours or the vendor's, and nothing after the door needs them.
_SECRET_HEADERS = frozenset(
    {"authorization", "cookie", "proxy-authorization", "x-bridge-token", "x-intake-token"}
)
SECRET_PARAMETERS = frozenset({"token"})


@dataclass(frozen=True)
class Headers:
    """Header fields in order; names compare without case, a name may repeat."""

    pairs: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> Headers:
        """Build from (name, value) pairs."""
        return cls(tuple((str(name), str(value)) for name, value in pairs))

    def get(self, name: str, default: str = "") -> str:
        """Give the first value of that name, or the default."""
        return next(iter(self.all(name)), default)

    def all(self, name: str) -> list[str]:
        """Give every value of that name, in order."""
        wanted = name.lower()
        return [value for key, value in self.pairs if key.lower() == wanted]

    def replaced(self, **values: str) -> Headers:
        """Give the headers with these set anew: `X_Signature="…"` sets `X-Signature`."""
        fresh = {name.replace("_", "-"): value for name, value in values.items()}
        gone = {name.lower() for name in fresh}
        kept = [pair for pair in self.pairs if pair[0].lower() not in gone]
        return Headers((*kept, *fresh.items()))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.pairs)


@dataclass(frozen=True)
class InboundRequest:
    """One request: raw body bytes, and the URL as the sender knows it (signatures may cover it).

    `path_token` is the part of the path after the channel, `/hooks/<channel>/<token>`.
    """

    method: str
    url: str
    headers: Headers
    body: bytes
    path_token: str = ""

    @property
    def content_type(self) -> str:
        """The media type in lower case, without parameters."""
        return self.headers.get("Content-Type").partition(";")[0].strip().lower()

    @property
    def query(self) -> list[tuple[str, str]]:
        """The parameters of the query string, in order."""
        return parse_qsl(urlsplit(self.url).query, keep_blank_values=True)

    def without_secrets(self) -> InboundRequest:
        """Give the request as it may be stored: no credentials in headers, path or query."""
        parts = urlsplit(self.url)
        query = [(key, value) for key, value in self.query if key not in SECRET_PARAMETERS]
        # However a token in the path is written, nothing after the channel is kept.
        before, hooks, rest = parts.path.partition("/hooks/")
        path = before + hooks + rest.partition("/")[0]
        host = parts.netloc.rpartition("@")[2]
        return InboundRequest(
            method=self.method,
            url=urlunsplit((parts.scheme, host, path, urlencode(query), "")),
            headers=Headers.of(pair for pair in self.headers if not _opens_a_lock(pair[0].lower())),
            body=self.body,
        )


def masked(body: bytes, values: Iterable[bytes]) -> bytes:
    """Give the body with each of these values replaced by stars, also where it stands as in a URL.

    As many stars: nothing that counts bytes is disturbed.
    """
    for value in values:
        for written in {value, quote_from_bytes(value, safe="").encode()}:
            body = body.replace(written, b"*" * len(written))
    return body


def _opens_a_lock(name: str) -> bool:
    # A signature that covers no time could be sent again with its body.
    return name in _SECRET_HEADERS or "signature" in name or name.endswith("-webhook-token")
