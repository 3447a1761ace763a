"""A stand-in for the APIs of the vendors that are called back, over HTTP.

What a source's API answers is data: `tests/fixtures/<source>/api/<path>`, or that with `.json`, is what
`GET <base>/<source>/<path>` gives, with `{base}` in it replaced. All else is a 404.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, request

from sandbox.server import running
from tests.fixtures_http import FIXTURES

if TYPE_CHECKING:
    from collections.abc import Iterator

Answer = tuple[int, bytes, dict[str, str]]
NOTHING: Answer = (404, b'{"name": "not_found", "message": "Not found"}', {})


@dataclass
class VendorStandIn:
    """`calls` are (path as it was sent, headers).

    `faults` are the next answers, `answers` are all of them, `instead` is what some paths have; else it
    is the files.
    """

    base: str = ""
    calls: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    faults: list[Answer] = field(default_factory=list)
    answers: Answer | None = None
    instead: dict[str, bytes] = field(default_factory=dict)

    def url(self, source: str) -> str:
        return f"{self.base}/{source}"

    def fail(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.faults.append((status, body, {name.replace("_", "-"): value for name, value in headers.items()}))

    def answer(self, source: str, path: str) -> Answer:
        if self.faults:
            return self.faults.pop(0)
        if self.answers:
            return self.answers
        if path in self.instead:
            return 200, self.instead[path], {}
        folder = FIXTURES / source / "api"
        for file in (folder / path, folder / f"{path}.json"):
            if file.is_file():
                return 200, file.read_bytes().replace(b"{base}", self.url(source).encode()), {}
        return NOTHING


@contextlib.contextmanager
def vendors_running() -> Iterator[VendorStandIn]:
    stand_in, app = VendorStandIn(), Flask("vendors")

    @app.get("/<source>/<path:path>")
    def get(source: str, path: str) -> Response:
        raw: Any = request.environ["RAW_URI"]
        stand_in.calls.append((raw, dict(request.headers)))
        status, body, headers = stand_in.answer(source, path)
        return Response(body, status, headers)

    with running(app) as base:
        stand_in.base = base
        yield stand_in
