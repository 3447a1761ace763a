"""What the templates under `deploy/` send: one shape for the forms whose vendor leaves it to the author."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marshmallow import fields, validate

from service.core.answers import MAX_ANSWERS, UNASKED, form_event, names_of
from service.core.events import Answer
from service.core.json_body import Lenient, Text, load, read_object, scalar_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from service.core.events import File, InboundEvent


class _Field(Lenient):
    key = Text()
    label = Text()
    type = Text()
    value = fields.Raw(load_default=None, allow_none=True)
    rows = fields.List(Text(), load_default=None, allow_none=True)


class _Data(Lenient):
    form_title = Text()
    respondent_email = Text()
    questions = fields.List(
        fields.Nested(_Field),
        required=True,
        data_key="fields",
        validate=validate.Length(max=MAX_ANSWERS),
    )


class _Body(Lenient):
    data = fields.Nested(_Data, required=True)


def shipped_event(
    body: bytes, mapping: Mapping[str, str], read: Callable[[dict[str, Any]], tuple[str, list[File]]]
) -> InboundEvent:
    """Make the event of a submission; raises UnreadableError.

    `read` gives the text and the files in a field, which has `key`, `label`, `type`, `value` and `rows`.
    """
    data = load(_Body(), read_object(body))["data"]
    answers: list[Answer] = []
    files: list[File] = []
    for field in data["questions"]:
        text, found = read(field)
        files += found
        label = field["label"] or field["key"] or UNASKED
        kind = field["type"].lower() or ("file" if found else "")
        answers.append(Answer(label, names_of(found) or text, field["key"], kind))
    return form_event(
        answers,
        mapping,
        files=files,
        origin=data["form_title"],
        vouched=data["respondent_email"],
    )


def ids_of(body: bytes, *names: str) -> list[str]:
    """Give these ids of a submission as texts, nothing for what is missing; raises UnreadableError."""
    data = read_object(body).get("data")
    return [scalar_text(data.get(name)) if isinstance(data, dict) else "" for name in names]
