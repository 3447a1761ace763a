"""An answer, read whole and bounded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from urllib3.exceptions import HTTPError

if TYPE_CHECKING:
    import requests
    from requests.structures import CaseInsensitiveDict

BODY_LIMIT = 2 * 1024 * 1024
_CHUNK = 65_536


@dataclass(frozen=True)
class Answer:
    """An answer as far as it could be read; `broken` is why it ends where it ends, if it broke off."""

    status: int
    headers: CaseInsensitiveDict[str]
    body: bytes
    broken: Exception | None


class TooLargeError(ValueError):
    """The answer has more bytes than are taken."""


def whole(response: requests.Response, limit: int = BODY_LIMIT) -> Answer:
    """Read the body, up to the limit; what breaks off is kept as far as it came."""
    body = bytearray()
    broken: Exception | None = None
    try:
        # One read at a time: `iter_content` would lose what came before the break.
        while chunk := response.raw.read1(_CHUNK, decode_content=True):
            body += chunk
            if len(body) > limit:
                broken = TooLargeError("the answer is too large")
                break
    except HTTPError as error:
        broken = error
    finally:
        response.close()
    return Answer(response.status_code, response.headers, bytes(body[:limit]), broken)
