"""One log line per fact: JSON for machines, colours for a person at a terminal, no secrets in either."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Literal, TextIO

import structlog

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from structlog.typing import Processor

LogFormat = Literal["auto", "json", "console"]

REDACTED = "<redacted>"
# What these say at INFO is said better by our own line per request and attempt.
NOISY = ("rq", "rq.worker", "rq.job", "werkzeug", "urllib3")

_MAX_DEPTH = 8
_SECRET_KEY = re.compile(
    r"secret|token|passw|authori[sz]ation|signature|cookie|credential|api[_-]?key", re.IGNORECASE
)
_SCRUBBERS = (
    # What a sender wrote must not steer the terminal that shows it, nor be impossible to encode.
    (re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]"), "\N{REPLACEMENT CHARACTER}"),
    # The unguessable part of a hook's URL.
    (re.compile(r"(/hooks/[^/\s?#]+/)[^\s?#\"'<>]+"), r"\1…"),
    (
        re.compile(r"((?:token|secret|password|signature)(?:=|%3D))[^&\s#\"'<>]+", re.IGNORECASE),
        rf"\1{REDACTED}",
    ),
    (re.compile(r"\b(bearer\s+)[\w.~+/=-]{16,}", re.IGNORECASE), rf"\1{REDACTED}"),
    # User and password of a URL, such as REDIS_URL in an error's message.
    (re.compile(r"(://)[^/\s\"'<>]+@"), rf"\1{REDACTED}@"),
)


class _Handler(logging.StreamHandler[TextIO]):
    """Ours, so that configuring again replaces it and leaves those of others alone."""


def scrub(text: str) -> str:
    """Give the text without channel tokens, `token=` values, passwords in URLs and control characters."""
    for pattern, replacement in _SCRUBBERS:
        text = pattern.sub(replacement, text)
    return text


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take every secret out of a log entry, at any depth: by its key's name, or by its look in a text.

    Gives a new entry of plain values only: what is no text, number, list or table becomes its
    scrubbed `repr`.
    """
    return _table(event, 0)


def configure_logging(log_format: LogFormat, stream: TextIO | None = None) -> None:
    """Send structlog's and the standard library's entries to `stream` (standard output) in one form.

    `auto` is `console` on a terminal, else `json`. May be called again: the last call holds.
    """
    out = sys.stdout if stream is None else stream
    console = log_format == "console" or (log_format == "auto" and out.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        # As plain text before redaction: a pretty traceback would show local variables.
        structlog.processors.format_exc_info,
    ]
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback)
        if console
        else structlog.processors.JSONRenderer()
    )
    handler = _Handler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, redact, renderer],
        )
    )
    _install(handler)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _install(handler: _Handler) -> None:
    """Make this the only handler of ours, for every logger."""
    root = logging.getLogger()
    for old in [one for one in root.handlers if isinstance(one, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Give the logger of that name; it may be taken at import time, before logging is configured."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def _table(values: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    return {
        scrub(str(key)): REDACTED if _SECRET_KEY.search(str(key)) else _plain(value, depth + 1)
        for key, value in values.items()
    }


def _plain(value: object, depth: int) -> object:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (Mapping, list, tuple, set, frozenset)):
        return "<too deep>" if depth > _MAX_DEPTH else _nested(value, depth)
    # A Secret's repr is its mask.
    return scrub(value if isinstance(value, str) else repr(value))


def _nested(values: Mapping[Any, Any] | Collection[object], depth: int) -> object:
    if isinstance(values, Mapping):
        return _table(values, depth)
    return [_plain(one, depth + 1) for one in values]
