"""The probes: whether the process is there, and whether it can take events in."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from flask import Blueprint
from redis.exceptions import RedisError

from service.core.errors import StoreUnsuitable
from service.core.store import inspect, writable
from service.web import current

if TYPE_CHECKING:
    from flask import Flask
    from redis import Redis

    from service.core.durability import Durability
    from service.core.spool import Spool

blueprint = Blueprint("health", __name__)


def register(app: Flask) -> None:
    """Add `/livez` and `/readyz` to the app."""
    app.register_blueprint(blueprint)


@blueprint.get("/livez")
def livez() -> tuple[dict[str, Any], int]:
    """Answer 200: this process runs."""
    return {"status": "ok"}, 200


@blueprint.get("/readyz")
def readyz() -> tuple[dict[str, Any], int]:
    """Answer 200 where events can be taken in, else 503. It does not depend on Spacebring.

    Where Redis takes no writes it is a 503, also while the spool takes requests in its place.
    A setting of Redis's that is a danger is reported as a warning: restarting would not mend it.
    """
    web = current()
    channels = len(web.config.channels)
    checks = {
        "config": {"status": "ok", "detail": f"{channels} channel{'' if channels == 1 else 's'}"},
        "redis": _redis(web.redis, web.ledger.durability),
        "spool": _spool(web.spool),
    }
    found = {check["status"] for check in checks.values()}
    status = next((status for status in ("failed", "warning") if status in found), "ok")
    return {"status": status, "checks": checks}, 503 if status == "failed" else 200


def _redis(redis: Redis, durability: Durability) -> dict[str, str]:
    try:
        report = inspect(redis)
        plan = durability.plan()
    except StoreUnsuitable as error:
        return {"status": "failed", "detail": str(error)}
    except RedisError as error:
        return {"status": "failed", "detail": f"Redis cannot be asked: {type(error).__name__}"}
    refusal = writable(redis)
    if refusal:
        return {"status": "failed", "detail": refusal}
    problems = [*report.problems, *([plan.lacking] if plan.lacking else [])]
    if problems:
        return {"status": "warning", "detail": " ".join(problems)}
    return {"status": "ok", "detail": f"version {report.version}, durability {plan.told}"}


def _spool(spool: Spool) -> dict[str, str]:
    takes = "takes requests while Redis does not" if spool.enabled else "off"
    try:
        depth = spool.depth()
    except (sqlite3.Error, OSError) as error:
        return {"status": "warning", "detail": f"cannot be read: {type(error).__name__}"}
    if depth.requests:
        waits = f"{takes}; {depth.requests} waiting for Redis ({depth.size} bytes)"
        return {"status": "warning", "detail": waits}
    return {"status": "ok", "detail": takes}
