"""A stand-in for Slack's Web API and its response URLs, over HTTP: it notes calls, and fails as told."""

from __future__ import annotations

import contextlib
import queue
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flask import Flask, jsonify, request

from sandbox.server import running

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from flask import Response

ANN = {
    "id": "U1",
    "name": "ann",
    "real_name": "Ann Lee",
    "profile": {"real_name": "Ann Lee", "email": "ann@example.com"},
}


TOLD = {
    *("respond", "chat.postMessage", "chat.postEphemeral"),
    *("functions.completeSuccess", "functions.completeError"),
}


@dataclass
class SlackStandIn:
    """`calls` are (method, arguments, token); `faults` the answers of the next calls of a method.

    A call of a method in `held` is put into `arrived`, and answered once its event is set.
    """

    base: str = ""
    calls: list[tuple[str, dict[str, Any], str]] = field(default_factory=list)
    faults: dict[str, list[tuple[int, Any, dict[str, str]]]] = field(default_factory=dict)
    users: dict[str, Any] = field(default_factory=lambda: {"U1": ANN})
    messages: list[dict[str, Any]] = field(default_factory=list)
    replies: list[dict[str, Any]] = field(default_factory=list)
    held: dict[str, threading.Event] = field(default_factory=dict)
    arrived: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)

    def fail(self, method: str, status: int = 200, error: str = "", **headers: str) -> None:
        body = {"ok": False, "error": error} if error else "no JSON"
        self.faults.setdefault(method, []).append(
            (status, body, {key.replace("_", "-"): value for key, value in headers.items()})
        )

    def called(self, method: str) -> list[dict[str, Any]]:
        return [arguments for name, arguments, _ in self.calls if name == method]

    def told(self) -> list[dict[str, Any]]:
        """Give whatever a person, or a workflow, was told."""
        return [arguments for name, arguments, _ in self.calls if name in TOLD]

    def answer(self, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if method == "users.info":
            user = self.users.get(arguments["user"])
            return {"ok": True, "user": user} if user else {"ok": False, "error": "user_not_found"}
        if method in {"conversations.history", "conversations.replies"}:
            return {"ok": True, "messages": self.messages if method.endswith("history") else self.replies}
        return {"ok": True}


@contextlib.contextmanager
def slack_running() -> Iterator[SlackStandIn]:
    stand_in, app = SlackStandIn(), Flask("slack")

    @app.post("/<path:method>")
    def call(method: str) -> Response | tuple[Any, int, dict[str, str]]:
        arguments = request.get_json(silent=True) or request.form.to_dict()
        stand_in.calls.append((method, arguments, request.headers.get("Authorization", "")))
        if method in stand_in.held:
            stand_in.arrived.put(method)
            stand_in.held[method].wait(60)
        if stand_in.faults.get(method):
            status, body, headers = stand_in.faults[method].pop(0)
            return (jsonify(body) if isinstance(body, dict) else body), status, headers
        return jsonify(stand_in.answer(method, arguments))

    with running(app) as base:
        stand_in.base = base
        yield stand_in
