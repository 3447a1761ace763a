"""Checks of single values, for the environment and for `bridge.toml` alike.

Each gives the value in its normal form, or raises InvalidValueError with what is wrong and how to
mend it. No message repeats a value that may hold a password.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    from pathlib import Path

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_LABEL = 64
_PORTS = {"http": 80, "https": 443}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class InvalidValueError(ValueError):
    """The value cannot be used; the message says why, and what would do."""


def is_uuid(value: str) -> bool:
    """Whether the text is a uuid in the form that Spacebring uses, in either case."""
    return _UUID.fullmatch(value.lower()) is not None


def uuid(value: str) -> str:
    """Give the uuid in lower case."""
    if not is_uuid(value):
        raise InvalidValueError(
            f"{value!r} is not a uuid; it looks like 3c90c3cc-0d44-4b50-8888-8dd25736052a"
        )
    return value.lower()


def web_url(value: str) -> str:
    """Give an http or https URL without its trailing slash."""
    _split(value, ("http", "https"))
    return value.rstrip("/")


def api_url(value: str) -> str:
    """Give the URL that secrets may be sent to: https, or http to this machine; no trailing slash."""
    parts = _split(value, ("http", "https"))
    host = parts.hostname or ""
    if not value.isascii() or not all(0 < len(label) < _LABEL for label in host.removesuffix(".").split(".")):
        raise InvalidValueError("is not a URL; write it whole, such as https://api.spacebring.com")
    if parts.scheme == "http" and not _is_loopback(host):
        raise InvalidValueError(
            "would send secrets unencrypted; use https (http only to 127.0.0.1 or localhost)"
        )
    return value.rstrip("/")


def origin_of(url: str) -> str:
    """Give scheme, host and port of an address in the web as browsers compare them; nothing for others."""
    parts = _parts(url)
    if parts is None or parts.scheme not in _PORTS or not parts.hostname or "@" in parts.netloc:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = f":{parts.port}" if parts.port not in {None, _PORTS[parts.scheme]} else ""
    return f"{parts.scheme}://{host}{port}"


def origin(value: str) -> str:
    """Give scheme, host and port in lower case, without the port that goes without saying."""
    parts = _split(value, ("http", "https"))
    if parts.path not in {"", "/"}:
        raise InvalidValueError(
            "is more than an origin; give scheme and host only, such as https://example.com"
        )
    return origin_of(value)


def redis_url(value: str) -> str:
    """Give the URL of a Redis or Valkey server."""
    parts = _parts(value)
    # redis-py knows the scheme in lower case only.
    if parts is None or not value.startswith(("redis://", "rediss://", "unix://")):
        raise InvalidValueError(
            "is not the URL of a Redis server; it starts with redis://, rediss://, redis+sentinel:// or "
            "unix://, such as redis://127.0.0.1:6379/0"
        )
    if parts.scheme == "unix" and not parts.path:
        raise InvalidValueError("names no socket; write unix:///path/to/redis.sock")
    return value


def secret_text(value: str) -> str:
    """Give a text that can stand in a header: no line break or other control character."""
    if _CONTROL.search(value):
        raise InvalidValueError("holds a line break or another control character; give the bare value")
    return value


def credential(value: str) -> str:
    """Give a text that Spacebring's kind of credentials can be: printable ASCII, no space at its ends."""
    if not value.isascii() or not value.isprintable() or value != value.strip():
        raise InvalidValueError(
            "has a space at an end, a line break, or a character that no header may carry; copy it again"
        )
    return value


def read_secret_file(path: Path) -> str:
    """Give a file's text without the newline at its end; raises InvalidValueError if there is none."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InvalidValueError(f"cannot read {str(path)!r}: it is not UTF-8 text") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InvalidValueError(f"cannot read {str(path)!r}: {reason}") from error
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise InvalidValueError(f"{str(path)!r} is empty; write the value into it")
    return text


def _parts(value: str) -> SplitResult | None:
    # urlsplit drops line breaks and tabs without a word: a value with any is refused before.
    if any(character <= " " for character in value):
        return None
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _split(value: str, schemes: tuple[str, ...]) -> SplitResult:
    parts = _parts(value)
    if parts is None or parts.scheme not in schemes or not parts.hostname:
        raise InvalidValueError("is not a URL; write it whole, such as https://bridge.example.com")
    if parts.username is not None or parts.query or parts.fragment:
        raise InvalidValueError("is more than an address; leave out user name, password, ? and #")
    return parts


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
