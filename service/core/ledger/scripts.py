"""Loads the ledger's server-side scripts; each is one atomic step by Redis's own clock."""

from __future__ import annotations

import json
from importlib import resources
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoScriptError

from service.core.ledger.states import ACTIVE, FINISHED, allowed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis

NAMES = (
    *("accept", "take", "claim", "renew", "begin", "know", "record", "operate", "resume", "purge"),
    *("watched", "stray", "doubled", "owed", "told"),
)
_FOLDER = resources.files("service.core.ledger") / "scripts"


def source(name: str) -> str:
    """Give the whole text of a script: its rows of the transition table, what all share, and its own."""
    return shared(name) + (_FOLDER / f"{name}.lua").read_text("utf-8")


def shared(name: str) -> str:
    """Give what stands before every script, with the transitions that this one may make."""
    return (
        f"local ALLOWED = {_lua({key: dict.fromkeys(value, True) for key, value in allowed(name).items()})}\n"
        f"local ACTIVE = {_lua({state.value: True for state in ACTIVE})}\n"
        f"local FINISHED = {_lua({state.value: True for state in FINISHED})}\n"
    ) + (_FOLDER / "common.lua").read_text("utf-8")


def _lua(value: Any) -> str:  # noqa: ANN401 - nested dicts and True
    if isinstance(value, dict):
        return "{" + ", ".join(f"['{key}'] = {_lua(value[key])}" for key in sorted(value)) + "}"
    return json.dumps(value)


class Scripts:
    """Runs the scripts on one Redis, under one key prefix."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        # redis-py types answers as bytes or str; `connect` makes clients that answer bytes.
        self._redis: Any = redis
        self._prefix = prefix
        self._scripts = {name: redis.register_script(source(name)) for name in NAMES}

    def run(self, name: str, *arguments: str | bytes | float) -> Any:  # noqa: ANN401 - what Redis answers
        """Run a script with the prefix and these arguments; raises redis.RedisError."""
        return self._scripts[name](args=[self._prefix, *arguments])

    def run_and_wait(
        self, name: str, wait: Sequence[str | int], *arguments: str | bytes | float
    ) -> tuple[Any, object]:
        """Run a script and, on its connection and in one round trip, the command that waits for its writes.

        Gives both answers; an error of the wait is its answer. Raises redis.RedisError for the script's.
        """
        answers = self._pipe(name, wait, arguments)
        if isinstance(answers[0], NoScriptError):
            # Nothing has run yet, so it may be sent again.
            self._redis.script_load(self._scripts[name].script)
            answers = self._pipe(name, wait, arguments)
        if isinstance(answers[0], Exception):
            raise answers[0]
        return answers[0], answers[1]

    def _pipe(self, name: str, wait: Sequence[str | int], arguments: Sequence[str | bytes | float]) -> Any:  # noqa: ANN401 - what Redis answers
        with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.evalsha(self._scripts[name].sha, 0, self._prefix, *arguments)
            pipeline.execute_command(*wait)
            return pipeline.execute(raise_on_error=False)
