"""`env:NAME` and `file:PATH`: secrets that stand elsewhere than in `bridge.toml`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from config.values import InvalidValueError, read_secret_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# The keys of a channel that may refer to a value; everywhere else such a text is taken as it is.
KEYS = ("secret", "basic", "token", "api_token", "client_id", "certificate")

# Passes the checks of every key, so that a variable that is missing makes one problem and not two.
_STAND_IN = "unresolved:unresolved"


@dataclass(frozen=True)
class Resolver:
    """Looks references up: variables in `environ`, files from `folder` on."""

    folder: Path
    environ: Mapping[str, str]

    def channels(self, raw: Mapping[str, Any]) -> tuple[dict[str, Any], dict[int, dict[str, Any]]]:
        """Give the configuration with its references replaced, and the errors by channel and key."""
        channels = raw.get("channels")
        if not isinstance(channels, list):
            return dict(raw), {}
        errors: dict[int, dict[str, Any]] = {}
        resolved = []
        for index, channel in enumerate(channels):
            wrong: dict[str, Any] = {}
            resolved.append(self._channel(channel, wrong) if isinstance(channel, dict) else channel)
            if wrong:
                errors[index] = wrong
        return {**raw, "channels": resolved}, errors

    def _channel(self, channel: Mapping[str, Any], wrong: dict[str, Any]) -> dict[str, Any]:
        found = dict(channel)
        for key in KEYS:
            value = channel.get(key)
            if isinstance(value, list):
                problems: dict[int, list[str]] = {}
                found[key] = [self._value(one, problems, place) for place, one in enumerate(value)]
                if problems:
                    wrong[key] = problems
            elif value is not None:
                found[key] = self._value(value, wrong, key)
        return found

    def _value(self, value: object, wrong: dict[Any, list[str]], place: object) -> object:
        try:
            return self._look_up(value) if isinstance(value, str) else value
        except InvalidValueError as error:
            wrong[place] = [str(error)]
            return _STAND_IN

    def _look_up(self, value: str) -> str:
        kind, colon, rest = value.partition(":")
        if not colon or kind not in {"env", "file"}:
            return value
        if not rest.strip():
            raise InvalidValueError(f"{value!r} names nothing; write env:NAME or file:PATH")
        if kind == "file":
            return read_secret_file(self.folder / rest)
        found = self.environ.get(rest, "")
        if not found.strip():
            raise InvalidValueError(f"the environment has no {rest!r}; set it, or take {value!r} out")
        return found
