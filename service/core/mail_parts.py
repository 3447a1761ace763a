"""What a mail is made of, however the vendor handed it over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.core.request import Headers


@dataclass(frozen=True)
class Attachment:
    """A file in a mail; its content serves to tell two mails apart and is not kept.

    `size` and `url` are what the vendor says where it keeps the content to itself.
    """

    name: str
    content_type: str = ""
    content: bytes = b""
    size: int | None = None
    url: str = ""


@dataclass(frozen=True)
class Mail:
    """The parts of a mail that the vendor gave: headers may hold RFC 2047 words.

    `recipient` is the envelope's; `envelope_from` is None where it is not known. `automatic` is why its
    parts say that no person wrote it, if they do.
    """

    headers: Headers
    text: str = ""
    html: str = ""
    attachments: tuple[Attachment, ...] = ()
    recipient: str = ""
    envelope_from: str | None = None
    automatic: str = ""
