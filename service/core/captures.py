"""Keeps the next requests of a channel as fixture files, scrubbed: what `bridge capture` waits for.

BRIDGE_DATA/captures/<channel>/ holds `0001.http` and so on, and `wanted`, the number up to which the command
asks for them. All of a machine's web processes write there, each number once.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from config.logging import get_logger
from service.core.capture import write_http
from service.core.errors import BridgeError
from service.core.scrub import Scrubber

if TYPE_CHECKING:
    from pathlib import Path

    from service.core.signing import Verified
    from service.core.source import Source

# What is larger shows nothing that a smaller one would not.
_MAX_BODY = 512 * 1024
_MAX_DIGITS = 6
CAPTURES = "captures"
_WANTED = "wanted"
_KEY = ".key"

_log = get_logger("captures")


class Captures:
    """The captures below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def want(self, channel: str, count: int) -> list[Path]:
        """Ask for so many more requests of a channel; gives the files that will hold them."""
        folder = self._folder / channel
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        first = len(self._taken(channel)) + 1
        (folder / _WANTED).write_text(str(first + count - 1), encoding="ascii")
        return [_slot(folder, number) for number in range(first, first + count)]

    def enough(self, channel: str) -> None:
        """Ask for no more."""
        (self._folder / channel / _WANTED).unlink(missing_ok=True)

    def offer(self, source: Source, verified: Verified, limit: int) -> None:
        """Keep a request whose locks held, if the channel's `limit` or the command wants one more.

        A request is never worse off for it: what goes wrong here is logged.
        """
        channel = source.options.channel
        limit = max(limit, self._wanted(channel))
        if not limit or _full(self._folder / channel, limit):
            return
        if len(verified.request.body) > _MAX_BODY:
            _log.info("capture_too_large", channel=channel, bytes=len(verified.request.body))
            return
        try:
            self._keep(source, verified, limit)
        except Exception as error:  # noqa: BLE001 - the sender's request goes before
            _log.warning("capture_failed", channel=channel, error=type(error).__name__)

    def _keep(self, source: Source, verified: Verified, limit: int) -> None:
        folder = self._folder / source.options.channel
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        locks = source.options.locks
        known = [
            secret.decode("utf-8", "replace") for secret in (*locks.secrets, *locks.basic, *locks.tokens)
        ]
        scrubber = Scrubber(self._key(), known, _senders(source, verified))
        draft = folder / f".{secrets.token_hex(8)}"
        draft.touch(mode=0o600)
        draft.write_bytes(write_http(scrubber.request(verified.request)))
        try:
            for number in range(len(self._taken(source.options.channel)) + 1, limit + 1):
                try:
                    _slot(folder, number).hardlink_to(draft)
                except FileExistsError:
                    continue
                _log.info("captured", channel=source.options.channel, file=_slot(folder, number).name)
                return
        finally:
            draft.unlink()

    def _wanted(self, channel: str) -> int:
        try:
            text = (self._folder / channel / _WANTED).read_text("ascii")
        except (OSError, UnicodeDecodeError):
            return 0
        return int(text) if text.isdigit() and len(text) <= _MAX_DIGITS else 0

    def _taken(self, channel: str) -> list[Path]:
        return list((self._folder / channel).glob("[0-9]*.http"))

    def _key(self) -> bytes:
        """Give the key of the made-up names; kept, so that a repeat looks like one."""
        path = self._folder / _KEY
        try:
            with path.open("xb") as file:
                path.chmod(0o600)
                file.write(secrets.token_bytes(32))
        except FileExistsError:
            pass
        return path.read_bytes()


def _full(folder: Path, limit: int) -> bool:
    return _slot(folder, limit).exists()


def _slot(folder: Path, number: int) -> Path:
    return folder / f"{number:04}.http"


def _senders(source: Source, verified: Verified) -> list[str]:
    """Give the names of those who wrote, as far as the source reads the request."""
    try:
        return [source.parse(verified, part).sender.name for part in source.identify(verified)]
    except BridgeError:
        return []
