"""A captured request, an HTTP/1.1 message byte by byte.

`bridge capture` writes it, `bridge preview` and `bridge send` read it, and the tests' fixtures are such.
"""

from __future__ import annotations

from service.core.errors import UnreadableError
from service.core.request import Headers, InboundRequest

ORIGIN = "https://bridge.example"


def parse_http(raw: bytes) -> InboundRequest:
    """Read a request as it would come over the wire, without chunking.

    Raises UnreadableError where there is no request line, no blank line, or a header without a colon.
    """
    head, gap, body = raw.partition(b"\r\n\r\n")
    if not gap:
        head, gap, body = raw.partition(b"\n\n")
    first, *lines = head.decode("latin-1").splitlines() or [""]
    words = first.split(" ")
    if not gap or len(words) != 3 or not words[1].startswith("/"):  # noqa: PLR2004 - method, target, version
        raise UnreadableError(
            "not a captured request: it begins with a line such as `POST /hooks/support-mail HTTP/1.1`, "
            "then headers, a blank line and the body"
        )
    pairs = [line.partition(":") for line in lines]
    if any(not colon for _, colon, _ in pairs):
        raise UnreadableError("not a captured request: a header line has no colon")
    # /hooks/<channel>/<token>
    token = "/".join(words[1].partition("?")[0].split("/")[3:])
    headers = Headers.of((name, value.strip()) for name, _, value in pairs)
    return InboundRequest(words[0], ORIGIN + words[1], headers, body, token)


def write_http(request: InboundRequest) -> bytes:
    """Write a request as `parse_http` reads it; what a header cannot hold becomes a question mark."""
    lines = [
        f"{request.method} {request.url.removeprefix(ORIGIN)} HTTP/1.1",
        *(f"{name}: {value}" for name, value in request.headers),
    ]
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + request.body
