"""What came in, as text that an operator can read: capped, nothing invisible, binary only named."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from service.dashboard.words import size

if TYPE_CHECKING:
    from service.core.request import InboundRequest

LIMIT = 32_768
_BOUNDARY = re.compile(r'boundary="?([^";]{1,100})')
_MAX_FIELDS = 500
# More than one odd character in ten: no text.
_ODD = 0.1
# Letters that order or hide other letters are shown as what they are.
_HIDING = re.compile("[\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
_PICTURES = {
    **{code: 0x2400 + code for code in range(0x20) if chr(code) not in "\n\t"},
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
}


@dataclass(frozen=True)
class Shown:
    """A body to look at: its text, and a note on what is left out."""

    text: str
    note: str


def shown(request: InboundRequest) -> Shown:
    """Give the body as text: JSON indented, form fields one a line, each part of a multipart."""
    body = request.body
    if not body:
        return Shown("", "The body is empty.")
    head = body[:LIMIT]
    note = f"The first {size(LIMIT)} of {size(len(body))}." if len(body) > LIMIT else size(len(body))
    boundary = _BOUNDARY.search(request.headers.get("Content-Type"))
    if request.content_type.startswith("multipart/") and boundary:
        return Shown(_multipart(head, boundary[1].encode("utf-8", "replace")), note)
    text = _text(head)
    if text is None:
        kind = request.content_type or "unknown type"
        return Shown("", f"Binary, {size(len(body))} of {kind}: not shown.")
    if len(body) <= LIMIT:
        text = _laid_out(request.content_type, text)
    return Shown(visible(text), note)


def visible(text: str) -> str:
    """Give the text with control characters and what reorders or hides text made visible."""
    plain = text.replace("\r\n", "\n").translate(_PICTURES)
    return _HIDING.sub(lambda found: f"\\u{ord(found[0]):04x}", plain)


def _text(data: bytes) -> str | None:
    """Give the bytes as text, or None where they are none."""
    text = data.decode("utf-8", "replace")
    # A cut may have split the last letter.
    odd = sum(1 for letter in text[:-1] if letter == "\ufffd" or (letter < " " and letter not in "\t\n\r"))
    return None if "\0" in text or odd > len(text) * _ODD else text


def _laid_out(content_type: str, text: str) -> str:
    try:
        if content_type.endswith("json"):
            return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
        if content_type == "application/x-www-form-urlencoded":
            fields = parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS)
            return "\n".join(f"{name} = {value}" for name, value in fields) or text
    except (ValueError, RecursionError):
        pass
    return text


def _multipart(head: bytes, boundary: bytes) -> str:
    marker = b"--" + boundary
    parts = []
    for part in head.split(marker):
        names, blank, content = part.partition(b"\r\n\r\n")
        if _text(content) is None:
            content = f"[binary, {size(len(content))}]".encode()
        parts.append(names + blank + content)
    return visible(marker.join(parts).decode("utf-8", "replace"))
