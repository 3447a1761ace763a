"""What a refusing answer says, made readable: its message and its Retry-After.

Spacebring documents `{"message", "type"}` for errors (https://www.spacebring.com/docs/assets/openapi.json,
`responseError`); validation errors seem to add `issues`, some carry `code`, and a gateway answers in plain
text, in HTML or not at all. Other vendors' errors read the same way. Everything here takes bytes or text from
a peer that may be hostile and never raises.
"""

from __future__ import annotations

import html
import json
import re
import unicodedata
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MESSAGE_LIMIT = 500
RETRY_AFTER_LIMIT = 3600.0

# Enough for every honest message; keeps the patterns below cheap on a hostile page.
_LOOKED_AT = 16_384
_ISSUES_SHOWN = 10
_UNSEEN = frozenset({"Cc", "Cf", "Cs"})  # control, format (text direction!), lone surrogates
_SCRIPT = re.compile(r"<(script|style)\b.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^<>]*>")
_SECONDS = re.compile(r"\d{1,300}(?:\.\d{1,300})?", re.ASCII)


def readable(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """Put `text` on one line without control characters, cut to at most `limit` characters."""
    shown = (char for char in text if char.isspace() or unicodedata.category(char) not in _UNSEEN)
    line = " ".join("".join(shown).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def error_message(
    status: int, body: bytes, *, redact: Callable[[str], str] = str, who: str = "Spacebring"
) -> str:
    """Return the words of `who` for a refusal; never empty, at most `MESSAGE_LIMIT` characters.

    `redact` takes our credentials out of the text, should the peer have echoed them.
    """
    # Before the cut, so that no half of a secret stays at its edge; and after, when escapes are resolved.
    text = redact(body.decode("utf-8-sig", errors="replace"))[:_LOOKED_AT]
    message = readable(redact(readable(_in_words(text), _LOOKED_AT)))
    return message or f"{who} answered {status}{_phrase(status)} without an explanation"


def retry_after(value: str | None, *, now: datetime | None = None) -> float | None:
    """Return the seconds that a Retry-After header asks for, at most an hour.

    Takes seconds or an HTTP date (https://www.rfc-editor.org/rfc/rfc9110#field.retry-after), measured from
    `now` (an aware datetime). None for a missing, unreadable or past value.
    """
    text = (value or "").strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), RETRY_AFTER_LIMIT)
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - (now or datetime.now(UTC))).total_seconds()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return min(seconds, RETRY_AFTER_LIMIT) if seconds >= 0 else None


def _phrase(status: int) -> str:
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""


def _in_words(text: str) -> str:
    """Return what the body says, whatever its shape."""
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return _without_markup(text)
    if isinstance(parsed, dict):
        return _of_object(parsed) or text
    if parsed is None:
        return ""
    return _scalar(parsed) or text


def _without_markup(text: str) -> str:
    if not text.lstrip().startswith("<"):
        return text
    return html.unescape(_TAG.sub(" ", _SCRIPT.sub(" ", text)))


def _of_object(answer: dict[str, object]) -> str:
    inner = answer.get("error")
    if isinstance(inner, dict):
        return _of_object(inner)
    head = _first(answer, "message", "detail", "error_description", "title", "error")
    kind = _first(answer, "type", "code")
    if head and kind:
        head = f"{head} ({kind})"
    issues = "; ".join(_issues(answer.get("issues") or answer.get("errors")))
    return ": ".join(part for part in (head or kind, issues) if part)


def _issues(found: object) -> Iterator[str]:
    for issue in found[:_ISSUES_SHOWN] if isinstance(found, list) else ():
        if isinstance(issue, dict):
            parts = (_path(issue.get("path")), _first(issue, "message", "code"))
            words = ": ".join(part for part in parts if part)
        else:
            words = _scalar(issue)
        if words:
            yield words


def _path(path: object) -> str:
    return ".".join(_scalar(part) for part in path) if isinstance(path, list) else _scalar(path)


def _first(answer: dict[str, object], *keys: str) -> str:
    return next((text for key in keys if (text := _scalar(answer.get(key)))), "")


def _scalar(value: object) -> str:
    return str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
