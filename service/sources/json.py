"""Plain JSON from anything that can post it: scripts, Zapier, Make, n8n, your own product."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marshmallow import ValidationError, fields, validate

from service.core.errors import Invalid, UnreadableError
from service.core.events import Answer, File, InboundEvent, Sender
from service.core.finder import is_control, label_of
from service.core.json_body import Lenient, flatten, problems_of, read_json, scalar_text
from service.core.source import Part, Source, canonical_key, vendor_key
from service.core.text import first_line, is_address

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from service.core.signing import Verified

_DEPTH = 8
_MAX_FIELDS = 500
_MAX_FILES = 100
_SUBJECTS = ("subject", "title")
_BODIES = ("description", "text", "message", "body")
_LABELLED = ("label", "question", "title", "name")
_LABELS = {"key", *_LABELLED}
# Other names for `fields`.
_LISTS = ("questions", "answers", "submission", "data")
# What is read into a place of its own, or names the submission; the rest of the body is told as it is.
_KNOWN = frozenset(
    (
        *(*_SUBJECTS, *_BODIES, "fields", "files"),
        *("requester", "email", "respondent_email", "name"),
        *("id", "submission_id", "form_id", "form_title", "timestamp", "submitted_at"),
    )
)


class Json(Source):
    """A JSON object: `{"subject": "…", "description": "…", "requester": {"email": "…", "name": "…"}}`.

    Everything is optional, but there must be some text: `description` (or `text`, `message`,
    `body`), `subject` (or `title`), `fields` (a list of `{key, label, type, value}` or an object; so may be
    called `questions`, `answers`, `submission` or `data`, with `question` and `answer` inside), or
    any other text, which is told under its key. `email` and `name` may stand for `requester`. `files`
    is a list of `{name, url, content_type, size}`. All of it may stand under `data`, or as the only
    item of a list, or as JSON in a JSON string.

    Authentication: the channel's `token` (path, `?token=`, `X-Bridge-Token`, bearer) or `basic`.

    Identity: `Idempotency-Key`, else `webhook-id`, else `submission_id` or `id` in the body, else a
    hash of the content, for a day.

    Answers: 422 with the fields that are wrong, as application/problem+json; 200 once it is safe.

    Docs: https://datatracker.ietf.org/doc/html/rfc9457
    https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-idempotency-key-header
    """

    name = "json"
    label = "JSON"
    content_types = ("application/json", "application/*+json", "text/json", "text/plain")
    verdict = True

    def identify(self, verified: Verified) -> list[Part]:
        """Give one submission; raises Invalid where the body is no JSON object."""
        headers = verified.request.headers
        body, _ = _read(verified)
        told = {
            "idempotency": headers.get("Idempotency-Key").strip(),
            "webhook": headers.get("webhook-id").strip(),
            "submission": scalar_text(body.get("submission_id")) or scalar_text(body.get("id")),
        }
        key = next((vendor_key(kind, value) for kind, value in told.items() if value), None)
        return [Part((key or canonical_key(body),))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event; raises Invalid naming each field that is wrong."""
        del part
        told, prefix = _read(verified)
        raw = _with_fields(told)
        try:
            loaded = _Body().load(raw)
        except ValidationError as error:
            raise Invalid("The body is not as documented", problems_of(error, prefix)) from error
        body = {name: value for name, value in loaded.items() if value}
        subjects = [body[name] for name in _SUBJECTS if name in body]
        bodies = [name for name in _BODIES if name in body]
        answers = (*_answers(body.get("fields", [])), *_others(raw), *_told(body, bodies[1:]))
        if not (subjects or bodies or answers):
            wanted = "Give at least one of description, subject, fields or some other text."
            raise Invalid(wanted, {f"{prefix}description": [wanted]})
        requester = body.get("requester", {})
        text = body[bodies[0]] if bodies else ""
        return InboundEvent(
            kind="form",
            sender=Sender(
                requester.get("name") or body.get("name", ""),
                requester.get("email") or body.get("email", body.get("respondent_email", "")),
            ),
            subject=next(iter(subjects), "") or first_line(text or max(answers, key=_length).value),
            body=text,
            answers=answers,
            files=tuple(File(**each) for each in body.get("files", [])),
            origin=body.get("form_title", ""),
        )


def _read(verified: Verified) -> tuple[dict[str, Any], str]:
    """Give the object with the submission, and the path to it; raises Invalid."""
    value = _read_inner(verified.request.body)
    prefix = ""
    if isinstance(value, str):
        value = _read_inner(value)
    if isinstance(value, list) and len(value) == 1:
        value, prefix = value[0], "0."
    if not isinstance(value, dict):
        raise Invalid("The body is not a JSON object")
    inner = value.get("data")
    return (inner, f"{prefix}data.") if isinstance(inner, dict) else (value, prefix)


def _read_inner(text: bytes | str) -> object:
    try:
        return read_json(text if isinstance(text, bytes) else text.encode(), strict=True, depth=_DEPTH)
    except UnreadableError as error:
        raise Invalid(str(error)) from error


class _Email(fields.String):
    """An address, or nothing; spaces round it are a form's and not the person's."""

    def _deserialize(
        self,
        value: Any,  # noqa: ANN401 - the base class's signature
        attr: str | None,
        data: Mapping[str, Any] | None,
        **kwargs: Any,  # noqa: ANN401
    ) -> str:
        text = super()._deserialize(value, attr, data, **kwargs).strip()
        if text and not is_address(text):
            raise ValidationError("Not a valid e-mail address.")
        return text


class _Requester(Lenient):
    email = _Email(allow_none=True)
    name = fields.String(allow_none=True)


class _File(Lenient):
    name = fields.String(required=True, validate=validate.Length(min=1))
    url = fields.String(load_default="")
    content_type = fields.String(load_default="")
    size = fields.Integer(load_default=None, allow_none=True, strict=True)


class _Field(Lenient):
    key = fields.String(load_default="", allow_none=True)
    label = fields.String(allow_none=True)
    question = fields.String(allow_none=True)
    title = fields.String(allow_none=True)
    name = fields.String(allow_none=True)
    type = fields.String(load_default="", allow_none=True)
    value = fields.Raw(allow_none=True)
    answer = fields.Raw(allow_none=True)


class _Fields(fields.Field[Any]):
    """Questions with their answers, as a list of objects or as one object."""

    _listed = fields.List(fields.Nested(_Field), validate=validate.Length(max=_MAX_FIELDS))

    def _deserialize(
        self,
        value: Any,  # noqa: ANN401 - the base class's signature
        attr: str | None,
        data: Mapping[str, Any] | None,
        **kwargs: Any,  # noqa: ANN401
    ) -> list[dict[str, Any]]:
        del attr, data, kwargs
        if isinstance(value, dict):
            value = [{"key": key, "value": inner} for key, inner in value.items()]
        if not isinstance(value, list):
            raise ValidationError("Not a list of fields, nor an object.")
        return [each for each in self._listed.deserialize(value) if each]


class _Body(Lenient):
    subject = fields.String(allow_none=True)
    title = fields.String(allow_none=True)
    description = fields.String(allow_none=True)
    text = fields.String(allow_none=True)
    message = fields.String(allow_none=True)
    body = fields.String(allow_none=True)
    requester = fields.Nested(_Requester, allow_none=True)
    email = _Email(allow_none=True)
    respondent_email = _Email(allow_none=True)
    name = fields.String(allow_none=True)
    form_title = fields.String(allow_none=True)
    questions = _Fields(data_key="fields", attribute="fields", allow_none=True)
    files = fields.List(fields.Nested(_File), allow_none=True, validate=validate.Length(max=_MAX_FILES))


def _with_fields(body: dict[str, Any]) -> dict[str, Any]:
    """Give the body with its questions as `fields`, where they stand under another name."""
    if "fields" in body:
        return body
    name = next((name for name in _LISTS if _is_questions(body.get(name))), None)
    if name is None:
        return body
    return {**{key: value for key, value in body.items() if key != name}, "fields": body[name]}


def _is_questions(value: object) -> bool:
    """Say whether this is a list of questions, each with its answer, and nothing else."""
    if not (isinstance(value, list) and value and all(isinstance(each, dict) for each in value)):
        return False
    if not all(each.keys() & {"answer", "value"} and each.keys() & _LABELS for each in value):
        return False
    return not _Body().validate({"fields": value})


def _answers(listed: list[dict[str, Any]]) -> Iterator[Answer]:
    for each in listed:
        key = each["key"] or ""
        told = (each.get(name) for name in _LABELLED)
        label = next(filter(None, told), "") or label_of(key)
        value = each["value"] if each.get("value") is not None else each.get("answer")
        for path, text in flatten(label, value):
            if text.strip() and not is_control(key):
                yield Answer(path, text, key, each["type"] or "")


def _others(raw: dict[str, Any]) -> Iterator[Answer]:
    """Give what else the body says, under its keys."""
    for key, value in raw.items():
        if key not in _KNOWN and not is_control(key):
            for path, text in flatten(key, value):
                if text.strip():
                    yield Answer(label_of(path), text, path)


def _told(body: dict[str, Any], names: list[str]) -> Iterator[Answer]:
    """Give the texts that came beside the one that is the message."""
    return (Answer(label_of(name), body[name], name) for name in names)


def _length(answer: Answer) -> int:
    return len(answer.value)
