"""Reads what anybody may compose in JSON: the documented body, and looser ones that say the same.

Documented is `{"data": {"subject", "description", "requester": {"email", "name"}, "fields": [{"key",
"label", "type", "value"}], "files": [{"name", "url", "content_type", "size"}], "form_title", …}}`.
Looser: without `data`; as the only item of a list; as JSON in a JSON string; other names for the
texts and the list; any other keys, which are answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from marshmallow import ValidationError, fields, validates_schema

from service.core.answers import file_at, form_event, is_link, told
from service.core.errors import UnreadableError
from service.core.events import Answer, File
from service.core.finder import label_of, steers
from service.core.json_body import MAX_DEPTH, Lenient, flatten, read_json
from service.core.text import clean, is_address

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from service.core.events import InboundEvent

NOT_AN_ADDRESS = "Not a valid e-mail address."
_TEXTS = ("subject", "title", "description", "text", "message", "body")
_LABELLED = ("label", "question", "title", "name")
_LABELS = {"key", *_LABELLED}
# Other names for `fields`.
_LISTS = ("questions", "answers", "submission", "data")
_ADDRESSES = ("email", "respondent_email")
# What is read into a place of its own, or names the submission; the rest of the body is told as it is.
_KNOWN = frozenset(
    (
        *(*_TEXTS, "fields", "files", "requester", *_ADDRESSES, "name"),
        *("submission_id", "form_id", "form_title", "timestamp", "submitted_at"),
    )
)


@dataclass(frozen=True)
class Found:
    """The object in a body that holds the submission, the path to it, and the object round it."""

    inner: dict[str, Any]
    path: str
    outer: dict[str, Any]
    outer_path: str


@dataclass(frozen=True)
class Submission:
    """What a body says, each answer with its path: about the sender, and everything else."""

    sender: tuple[tuple[str, Answer], ...]
    said: tuple[tuple[str, Answer], ...]
    files: tuple[File, ...]
    title: str

    def says_something(self) -> bool:
        """Say whether there is any text beside the sender's address and name."""
        return any(clean(answer.value) for _, answer in self.said)

    def wrong_addresses(self, mapping: Mapping[str, str]) -> list[str]:
        """Give the paths of what is meant as the sender's address and is none.

        Where the channel names a field for it, and it is there, no other is meant.
        """
        wanted = mapping.get("email", "").strip().lower()
        everything = (*self.sender, *self.said)
        names = [{each.key.strip().lower(), each.label.strip().lower()} for _, each in everything]
        mapped = [pair for pair, called in zip(everything, names, strict=True) if wanted and wanted in called]
        meant = mapped[:1] or [pair for pair in self.sender if pair[1].kind == "email"]
        return [path for path, answer in meant if not is_address(answer.value.strip())]

    def event(self, mapping: Mapping[str, str], *, origin: str = "") -> InboundEvent:
        """Make the event; `origin` is for one without a title. Raises UnreadableError if nothing is."""
        answers = [answer for _, answer in (*self.sender, *self.said)]
        return form_event(answers, mapping, files=self.files, origin=self.title or origin)


def unwrapped(body: bytes, *, strict: bool = False, depth: int = MAX_DEPTH) -> Found:
    """Give the object with the submission; raises UnreadableError where the body holds none."""
    value = read_json(body, strict=strict, depth=depth)
    path = ""
    if isinstance(value, str):
        value = read_json(value.encode(), strict=strict, depth=depth)
    if isinstance(value, list) and len(value) == 1:
        value, path = value[0], "0."
    if not isinstance(value, dict):
        raise UnreadableError("the body is not a JSON object")
    inner = value.get("data")
    if isinstance(inner, dict):
        return Found(inner, f"{path}data.", value, path)
    return Found(value, path, value, path)


def read_submission(
    body: dict[str, Any],
    mapping: Mapping[str, str],
    *,
    strict: bool = False,
    known: Collection[str] = (),
) -> Submission:
    """Give what the object says; what the channel's `fields` name is said whatever it is called.

    `known` are further keys that are no answers. Raises marshmallow's ValidationError where `strict`
    and something is not as documented; otherwise that is told as it is.
    """
    body = _with_fields(body)
    wrong: Collection[Any] = ()
    try:
        loaded = _Body().load(body)
    except ValidationError as error:
        if strict:
            raise
        wrong = error.normalized_messages()  # type: ignore[no-untyped-call]
        valid: Any = error.valid_data
        loaded = {name: value for name, value in valid.items() if name not in wrong}
    given = {name: value for name, value in loaded.items() if value}
    aside = (_KNOWN | set(known)) - set(wrong) - set(mapping.values())
    texts = ((name, Answer(label_of(name), given[name], name)) for name in _TEXTS if name in given)
    others, linked = told(body, aside, mapping.values())
    return Submission(
        sender=tuple(_sender(given)),
        said=(
            *texts,
            *_answers(given.get("fields", []), mapping.values()),
            *((answer.key, answer) for answer in others),
        ),
        files=(*map(_file, given.get("files", [])), *linked),
        title=given.get("form_title", ""),
    )


class _Requester(Lenient):
    email = fields.String(allow_none=True)
    name = fields.String(allow_none=True)


class _Link(fields.String):
    """An address in the web, or nothing: whoever reads the ticket will click on it."""

    def _deserialize(
        self,
        value: Any,  # noqa: ANN401 - the base class's signature
        attr: str | None,
        data: Mapping[str, Any] | None,
        **kwargs: Any,  # noqa: ANN401
    ) -> str:
        text = super()._deserialize(value, attr, data, **kwargs).strip()
        scheme, colon, rest = text.partition(":")
        link = scheme.lower() + colon + rest
        if text and not is_link(link):
            raise ValidationError("Not an http or https link.")
        return link


class _File(Lenient):
    name = fields.String(load_default="", allow_none=True)
    url = _Link(load_default="", allow_none=True)
    content_type = fields.String(load_default="", allow_none=True)
    size = fields.Integer(load_default=None, allow_none=True, strict=True)

    @validates_schema
    def _be_something(self, data: Mapping[str, Any], **_: object) -> None:
        if not (data["url"] or (data["name"] or "").strip()):
            raise ValidationError("Give a link, or at least a name.", "url")


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

    _listed = fields.List(fields.Nested(_Field))

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
        listed: Any = self._listed.deserialize(value)
        return list(listed)


class _Body(Lenient):
    subject = fields.String(allow_none=True)
    title = fields.String(allow_none=True)
    description = fields.String(allow_none=True)
    text = fields.String(allow_none=True)
    message = fields.String(allow_none=True)
    body = fields.String(allow_none=True)
    requester = fields.Nested(_Requester, allow_none=True)
    email = fields.String(allow_none=True)
    respondent_email = fields.String(allow_none=True)
    name = fields.String(allow_none=True)
    form_title = fields.String(allow_none=True)
    questions = _Fields(data_key="fields", attribute="fields", allow_none=True)
    files = fields.List(fields.Nested(_File), allow_none=True)


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


def _sender(given: Mapping[str, Any]) -> Iterator[tuple[str, Answer]]:
    """Give each address and name told of the sender; the types put them before any other."""
    requester = given.get("requester", {})
    addresses = [
        ("requester.email", requester.get("email")),
        *((name, given.get(name)) for name in _ADDRESSES),
    ]
    names = [("requester.name", requester.get("name")), ("name", given.get("name"))]
    for label, kind, given_as in (("E-mail", "email", addresses), ("Name", "name", names)):
        seen: set[str] = set()
        for path, value in given_as:
            if value and value.strip() and value.strip() not in seen:
                seen.add(value.strip())
                yield path, Answer(label, value, path, kind)


def _answers(listed: list[dict[str, Any]], mapped: Collection[str]) -> Iterator[tuple[str, Answer]]:
    for place, each in enumerate(listed):
        key = each["key"] or ""
        labels = (each.get(name) for name in _LABELLED)
        label = next(filter(None, labels), "") or label_of(key)
        value = each["value"] if each.get("value") is not None else each.get("answer")
        if key in mapped or not steers(key):
            for path, text in flatten(label, value):
                yield f"fields.{place}.value", Answer(path, text, key, each["type"] or "")


def _file(each: Mapping[str, Any]) -> File:
    url, name = each["url"] or "", (each["name"] or "").strip()
    return File(file_at(url, name).name, each["content_type"] or "", each["size"], url)
