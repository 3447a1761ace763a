"""Notices that the server may have forgotten something: it restarted, failed over, or was restored.

Each new connection asks for the server's `run_id` before anything else, so no command reaches a server with
another history before the ledger knows. Then the number in `bridge:epoch` goes up, and events from before
are looked for in Spacebring before they are sent (`claim.lua`).
"""

from __future__ import annotations

import re
from typing import Any

from redis.exceptions import ResponseError

from config.logging import get_logger

_log = get_logger("store")
_RUN_ID = re.compile(rb"run_id:(\w+)")
# The first write takes no memory, so that the step goes through on a full server too: see `common.lua`.
_SCRIPT = """
redis.call('DEL', ARGV[1] .. 'nothing')
local key = ARGV[1] .. 'epoch'
if redis.call('HGET', key, 'run_id') == ARGV[2] then return 0 end
local t = redis.call('TIME')
redis.call('HSET', key, 'run_id', ARGV[2], 'at', t[1] * 1000 + math.floor(t[2] / 1000))
return redis.call('HINCRBY', key, 'number', 1)
"""


def on_connect(connection: Any, prefix: str) -> None:  # noqa: ANN401 - redis-py's are not typed
    """Make a connection ready, as redis-py would, and compare the server's history with the one known.

    A server that will not tell, or takes no writes (a replica), may still be read. Raises redis.RedisError
    where the connection cannot be used.
    """
    connection.on_connect()
    try:
        run_id = _RUN_ID.search(_ask(connection, "INFO", "server"))
        if run_id is not None:
            _ask(connection, "EVAL", _SCRIPT, 0, prefix, run_id[1])
    except ResponseError as error:
        _log.warning("the server's history cannot be compared", error=type(error).__name__)


def _ask(connection: Any, *words: str | bytes | int) -> Any:  # noqa: ANN401 - as above
    connection.send_command(*words)
    return connection.read_response()
