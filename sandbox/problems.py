"""Errors as the API answers them.

An error is `{"message", "type"}`, both optional, by https://www.spacebring.com/docs/assets/openapi.json;
a validation error has been seen to carry zod-style `issues`.
"""

from collections.abc import Iterator, Mapping
from typing import Any


class ApiError(Exception):
    """An answer other than success: its status and body."""

    def __init__(self, status: int, kind: str, message: str, **more: object) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {"message": message, "type": kind} | more


def invalid(*issues: Mapping[str, object]) -> ApiError:
    """Make the 400 for a request that is not valid, from issues of `code`, `path` and `message`."""
    return ApiError(400, "validationError", "Invalid request parameters", issues=list(issues))


def issue(code: str, path: list[str | int], message: str) -> dict[str, object]:
    """Make one issue of a validation error."""
    return {"code": code, "path": path, "message": message}


def issues(errors: object, path: tuple[str | int, ...] = ()) -> Iterator[dict[str, object]]:
    """Turn marshmallow's messages, written `code|message` in this package's schemas, into issues."""
    if isinstance(errors, Mapping):
        for key, inner in errors.items():
            yield from issues(inner, path if key == "_schema" else (*path, key))
        return
    for text in errors if isinstance(errors, list) else [errors]:
        code, _, message = str(text).partition("|")
        yield issue(code, list(path), message)
