"""The base of all errors, and the one that the configuration raises."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class BridgeError(Exception):
    """Base of all errors that this project raises on purpose."""


class ConfigError(BridgeError):
    """What is wrong with the configuration: `problems` holds one readable line each."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))
