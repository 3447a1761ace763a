"""SurveyMonkey: completed responses."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from marshmallow import fields

from service.core.answers import file_at, form_event, is_link, names_of
from service.core.errors import UnreadableError
from service.core.events import Answer, File, InboundEvent, Sender
from service.core.finder import label_of
from service.core.html_text import html_to_text
from service.core.json_body import Lenient, load, read_object, scalar_text
from service.core.signing import HmacScheme, Signed
from service.core.source import Part, Source, content_key, vendor_key
from service.core.text import is_address, line
from service.core.vendor_api import VendorApi

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from service.core.request import InboundRequest
    from service.core.signing import Verified
    from service.core.source import Memory

_COMPLETED = "response_completed"
_API = "https://api.surveymonkey.com"
_HINT = (
    "It takes an access token with the scopes responses_read_detail and surveys_read, and api_url must be "
    "of the account's data centre"
)
_LARGEST = 8 * 1024 * 1024
_HOUR = 3600
# Redis is for events first: what a larger survey asks is read each time.
_LARGEST_KEPT = 200_000
# With a number that changes with the shape of what is remembered.
_REMEMBERED = "survey/1 "


class SurveyMonkey(Source):
    """Responses to a survey: the webhook names the response, the API has the answers.

    Authentication: `Sm-Signature`: base64 HMAC-SHA1 of the raw body, keyed with the app's client id, `&`
    and its secret. No time is signed; a replay is caught by its identity.

    Identity: `object_id`, the response's, and `event_id`. Other events than `response_completed` are not
    kept: `response_updated` comes once a page.

    Answers: how often SurveyMonkey sends again is not documented. It asks with HEAD whether the URL is there.

    Content: a worker reads `GET /v3/surveys/{id}/responses/{id}/details`, which has ids, and
    `GET /v3/surveys/{id}/details`, which says what they mean and is remembered for an hour.

    Docs: https://api.surveymonkey.com/v3/docs#webhook-callbacks
    https://api.surveymonkey.com/v3/docs#survey-responses
    https://api.surveymonkey.com/v3/docs#formatting-question-types
    """

    name = "surveymonkey"
    label = "SurveyMonkey"
    content_types = ("application/json", "application/vnd.surveymonkey.*+json")
    needs = ("client_id", "api_token")

    def scheme(self) -> HmacScheme:
        """Give the HMAC over the raw body, keyed with the client id as well."""
        client = self.options.client_id.encode()
        return HmacScheme(
            _read, "sha1", "base64", key=lambda secret: client + b"&" + secret if secret else b""
        )

    def identify(self, verified: Verified) -> list[Part]:
        """Give the response, known by its id and by the event's."""
        body = read_object(verified.request.body)
        if body.get("event_type", _COMPLETED) != _COMPLETED:
            return []
        told = (
            ("response", scalar_text(body.get("object_id"))),
            ("event", scalar_text(body.get("event_id"))),
        )
        keys = tuple(vendor_key(kind, value) for kind, value in told if value)
        return [Part(keys or (content_key(verified.request),))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event of what the webhook tells, which is nothing of the answers."""
        del part
        return InboundEvent(kind="form", hidden=(Answer("Response", _named(verified)[1], "response_id"),))

    def complete(self, verified: Verified, part: Part, event: InboundEvent, memory: Memory) -> InboundEvent:
        """Read the answers, and the questions that they answer."""
        del part, event
        survey, response = _named(verified)
        headers = {"Authorization": f"Bearer {self.options.api_token}"}
        with VendorApi(self.label, self.options.api_url or _API, headers, memory, hint=_HINT) as api:
            answer = api.read(
                *("v3", "surveys", survey, "responses", response, "details"),
                what="the response",
                limit=_LARGEST,
            )
            found = load(_Response(), answer)
            asked = _Survey.remembered(memory, survey)
            if asked is None or not asked.knows(found):
                read = api.read("v3", "surveys", survey, "details", what="the survey", limit=_LARGEST)
                asked = _Survey.of(load(_Details(), read))
                asked.remember(memory, survey)
        return _event(found, response, asked, self.options.fields)

    def sign(self, request: InboundRequest, secret: bytes) -> InboundRequest:
        """Set the signature header."""
        signature = self.scheme().sign(request.body, secret)
        return replace(request, headers=request.headers.replaced(Sm_Signature=signature))


def _read(request: InboundRequest) -> Signed:
    return Signed([request.headers.get("Sm-Signature")], request.body)


class _Page(Lenient):
    # Each is read for what it holds: answers and questions are of many kinds.
    questions = fields.List(fields.Dict(), load_default=list)


class _Response(Lenient):
    pages = fields.List(fields.Nested(_Page), required=True)
    # What is beside the answers must not keep them from being read.
    custom_variables = fields.Raw(allow_none=True)
    custom_value = fields.Raw(allow_none=True)
    analyze_url = fields.Raw(allow_none=True)
    metadata = fields.Raw(allow_none=True)


class _Details(Lenient):
    title = fields.Raw(allow_none=True)
    pages = fields.List(fields.Nested(_Page), required=True)


def _named(verified: Verified) -> tuple[str, str]:
    """Give the ids of survey and response. Raises UnreadableError where the webhook lacks one."""
    body = read_object(verified.request.body)
    survey = _text(_table(body, "resources"), "survey_id")
    if not survey and body.get("filter_type") == "survey":
        survey = _text(body, "filter_id")
    response = _text(body, "object_id")
    if not (survey and response):
        raise UnreadableError(
            "no `object_id` of a response, or no `survey_id`: is the webhook one for responses?"
        )
    return survey, response


@dataclass(frozen=True)
class _Question:
    """What a question asks, by the ids that answers refer to.

    `variants` are its headings where SurveyMonkey tries several; `rows` are what is asked one by one,
    `texts` what can be chosen; `kinds` say of a row, or of all (""), that it is an address or a name.
    """

    heading: str
    variants: Mapping[str, str] = field(default_factory=dict)
    rows: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    contact: bool = False

    @classmethod
    def of(cls, asked: Mapping[str, Any]) -> _Question:
        """Read it from the survey's details."""
        options = _table(asked, "answers")
        contact = asked.get("family") == "demographic"
        rows, cols = _objects(options, "rows"), _objects(options, "cols")
        choices = [*_objects(options, "choices"), *cols, *_objects(options, "other")]
        choices += [choice for col in cols for choice in _objects(col, "choices")]
        kinds = {_text(row, "id"): _text(row, "type") for row in rows if contact}
        if _table(asked, "validation").get("type") == "email":
            kinds[""] = "email"
        headings = [
            (_text(_table(each, "random_assignment"), "id"), _plain(each, "heading"))
            for each in _objects(asked, "headings")
        ]
        return cls(
            next((text for _, text in headings if text), ""),
            {variant: text for variant, text in headings if variant},
            # What has no label of its own is called by its type: a row of an address.
            {_text(row, "id"): _plain(row, "text") or label_of(_text(row, "type")) for row in rows},
            # A star has a weight and no text.
            {_text(each, "id"): _plain(each, "text") or _text(each, "weight") for each in choices},
            kinds,
            contact,
        )

    def label(self, variant: str, row: str) -> str:
        """Give what the person was asked, in a row or in all."""
        heading, asked = self.variants.get(variant, self.heading), self.rows.get(row, "")
        if not asked or (len(self.rows) == 1 and heading and not self.contact):
            return heading
        return asked if self.contact or not heading else f"{heading} ({asked})"

    def value(self, given: Mapping[str, Any]) -> str:
        """Give an answer as the person saw it."""
        col, choice, other = (self._said(_text(given, name)) for name in ("col_id", "choice_id", "other_id"))
        return ": ".join(filter(None, (col, choice or other, _text(given, "text"))))

    def knows(self, given: Mapping[str, Any]) -> bool:
        """Say whether it has all that an answer refers to."""
        told = {_text(given, name) for name in ("row_id", "col_id", "choice_id", "other_id")} - {""}
        return told <= self.rows.keys() | self.texts.keys()

    def _said(self, option: str) -> str:
        return self.texts.get(option, option)


@dataclass(frozen=True)
class _Survey:
    title: str
    questions: Mapping[str, _Question]

    @classmethod
    def of(cls, details: Mapping[str, Any]) -> _Survey:
        """Read it from the survey's details."""
        asked = {_text(each, "id"): _Question.of(each) for each in _questions(details)}
        return cls(_plain(details, "title"), asked)

    @classmethod
    def remembered(cls, memory: Memory, survey: str) -> _Survey | None:
        """Give it as it was remembered, if it was."""
        kept = memory.get(_REMEMBERED + survey)
        if not kept:
            return None
        told = json.loads(kept)
        return cls(told["title"], {name: _Question(**each) for name, each in told["questions"].items()})

    def remember(self, memory: Memory, survey: str) -> None:
        """Keep it for the next responses."""
        text = json.dumps(asdict(self))
        if len(text) <= _LARGEST_KEPT:
            memory.put(_REMEMBERED + survey, text, _HOUR)

    def knows(self, response: Mapping[str, Any]) -> bool:
        """Say whether it has all that a response refers to; if not, it was changed."""
        return all(
            question is not None and all(map(question.knows, _objects(answered, "answers")))
            for answered in _questions(response)
            for question in [self.questions.get(_text(answered, "id"))]
        )


def _event(
    response: Mapping[str, Any], told: str, survey: _Survey, mapping: Mapping[str, str]
) -> InboundEvent:
    answers: list[Answer] = []
    files: list[File] = []
    for answered in _questions(response):
        name = _text(answered, "id")
        question = survey.questions.get(name, _Question(f"Question {name}"))
        rows: dict[str, list[str]] = {}
        own: dict[str, str] = {}
        for given in _objects(answered, "answers"):
            file = _file(given)
            files += file
            own.setdefault(_text(given, "row_id"), _kind(given, file))
            rows.setdefault(_text(given, "row_id"), []).append(names_of(file) or question.value(given))
        answers += [
            Answer(
                question.label(_text(answered, "variable_id"), row),
                ", ".join(filter(None, texts)),
                f"{name}.{row}" if row else name,
                question.kinds.get(row, question.kinds.get("", own[row])),
            )
            for row, texts in rows.items()
        ]
    hidden = tuple(_hidden(response, told))
    if not (files or any(answer.value.strip() for answer in answers)):
        return InboundEvent(kind="form", hidden=hidden, origin=survey.title, ignore="nothing was filled in")
    sender = _sender(response)
    return form_event(answers, mapping, hidden=hidden, files=files, origin=survey.title, sender=sender)


def _hidden(response: Mapping[str, Any], told: str) -> Iterator[Answer]:
    for key, value in _table(response, "custom_variables").items():
        yield Answer(label_of(key), scalar_text(value), key)
    if _text(response, "custom_value"):
        yield Answer("Custom value", _text(response, "custom_value"), "custom_value")
    yield Answer("Response", _text(response, "analyze_url") or told, "response_id")


def _sender(response: Mapping[str, Any]) -> Sender:
    """Give whom an e-mail collector had invited."""
    contact = _table(_table(response, "metadata"), "contact")
    first, last, email = (
        _text(_table(contact, name), "value") for name in ("first_name", "last_name", "email")
    )
    return Sender(f"{first} {last}", email if is_address(email) else "")


def _file(given: Mapping[str, Any]) -> list[File]:
    url = _text(given, "download_url")
    return (
        [replace(file_at(url, _text(given, "text")), content_type=_text(given, "content_type"))]
        if is_link(url)
        else []
    )


def _kind(given: Mapping[str, Any], file: list[File]) -> str:
    """Give what kind of answer it is where it is none in somebody's own words."""
    chosen = any(_text(given, name) for name in ("choice_id", "col_id"))
    return "file" if file else "choice" if chosen else ""


def _questions(pages: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [question for page in pages["pages"] for question in page["questions"]]


def _objects(table: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Give the objects of a list, or the one that stands there alone, as `other` may."""
    value = table.get(name)
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, dict)]


def _table(table: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = table.get(name)
    return value if isinstance(value, dict) else {}


def _text(table: Mapping[str, Any], name: str) -> str:
    return scalar_text(table.get(name))


def _plain(table: Mapping[str, Any], name: str) -> str:
    """Give a text of the survey's designer, who may have written HTML."""
    return line(html_to_text(_text(table, name)))
