"""What the templates under `deploy/` send: one shape for the forms whose vendor leaves it to the author."""

from __future__ import annotations

from typing import Any

from marshmallow import EXCLUDE, Schema, fields, validate

from service.core.events import Answer, File
from service.core.json_body import load, read_object, scalar_text
from service.core.submission import MAX_ANSWERS


class _Lenient(Schema):
    class Meta:
        unknown = EXCLUDE


class _Field(_Lenient):
    key = fields.String(load_default="", allow_none=True)
    label = fields.String(load_default="", allow_none=True)
    type = fields.String(load_default="", allow_none=True)
    value = fields.Raw(load_default=None, allow_none=True)
    rows = fields.List(fields.String(allow_none=True), load_default=None, allow_none=True)


class _Data(_Lenient):
    form_title = fields.String(load_default="", allow_none=True)
    respondent_email = fields.String(load_default="", allow_none=True)
    questions = fields.List(
        fields.Nested(_Field),
        required=True,
        data_key="fields",
        attribute="fields",
        validate=validate.Length(max=MAX_ANSWERS),
    )


class _Body(_Lenient):
    data = fields.Nested(_Data, required=True)


def read_shipped(body: bytes) -> dict[str, Any]:
    """Give `form_title`, `respondent_email` and `fields` of a submission; raises UnreadableError."""
    data: dict[str, Any] = load(_Body(), read_object(body))["data"]
    return data


def ids_of(body: bytes, *names: str) -> list[str]:
    """Give these ids of a submission as texts, nothing for what is missing; raises UnreadableError."""
    data = read_object(body).get("data")
    return [scalar_text(data.get(name)) if isinstance(data, dict) else "" for name in names]


def answer_of(field: dict[str, Any], value: str) -> Answer:
    """Give the answer to a field's question, its value as text."""
    key = field["key"] or ""
    return Answer(field["label"] or key or "Question", value, key, (field["type"] or "").lower())


def file_of(told: dict[str, Any]) -> File:
    """Give a file by what an object says of it: `name`, `link` or `url`, `size`."""
    size = scalar_text(told.get("size"))
    return File(
        scalar_text(told.get("name")) or "file",
        size=int(size) if size.isascii() and size.isdigit() and len(size) <= 15 else None,  # noqa: PLR2004
        url=scalar_text(told.get("link")) or scalar_text(told.get("url")),
    )
