"""Fillout: submissions of a form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marshmallow import fields

from service.core.answers import ANYWHERE, UNASKED, answered, form_event, told, told_id
from service.core.json_body import Lenient, Text, load, read_object, scalar_text
from service.core.source import Part, Source, content_key, vendor_key

if TYPE_CHECKING:
    from service.core.events import Answer, File, InboundEvent
    from service.core.signing import Verified

_FILES = frozenset(("FileUpload", "Signature", "ImagePicker"))


class Fillout(Source):
    """Submissions that Fillout posts, or what somebody composed in the webhook's advanced mode.

    Authentication: none by Fillout: the channel's `token` in the URL, or as a header in advanced mode.

    Identity: `submission.submissionId`; a submission that is edited later makes no second ticket.
    In a composed body `submission_id`, else a hash of the body, for a day.

    Answers: not documented; exactly 200 is safe.

    Docs: https://www.fillout.com/help/webhook
    https://www.fillout.com/help/fillout-rest-api
    """

    name = "fillout"
    label = "Fillout"
    content_types = ("application/json",)

    def identify(self, verified: Verified) -> list[Part]:
        """Give the submission, known by its id."""
        submission = _submission(read_object(verified.request.body))
        told = scalar_text(submission.get("submissionId")) or told_id(submission)
        return [Part((vendor_key("submission", told) if told else content_key(verified.request),))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event: each answer under its question; parameters of the URL are hidden fields."""
        del part
        body = read_object(verified.request.body)
        submission = _submission(body)
        origin = scalar_text(body.get("formName"))
        if "questions" not in submission:
            answers, files = told(submission, _KNOWN)
            return form_event(answers, self.options.fields, files=files, origin=origin)
        loaded = load(_Submission(), submission)
        answers, files = [], []
        for each in loaded.get("questions", []):
            answer, found = _answered(each)
            answers.append(answer)
            files += found
        hidden = [
            _answered(each)[0] for each in (*loaded.get("parameters", []), *loaded.get("calculations", []))
        ]
        return form_event(answers, self.options.fields, hidden=hidden, files=files, origin=origin)


_KNOWN = frozenset(("submission_id", "submissionId", "formId", "formName", "submissionTime", "lastUpdatedAt"))


def _submission(body: dict[str, Any]) -> dict[str, Any]:
    """Give the submission: webhooks made through the API send it bare."""
    inner = body.get("submission")
    return inner if isinstance(inner, dict) else body


def _answered(each: dict[str, Any]) -> tuple[Answer, list[File]]:
    kind = "email" if each["type"] == "EmailInput" else each["type"]
    folders = ANYWHERE if kind in _FILES else ()
    return answered(each["name"] or each["id"] or UNASKED, each["value"], each["id"], kind, folders)


class _Question(Lenient):
    id = Text()
    name = Text()
    type = Text()
    value = fields.Raw(load_default=None, allow_none=True)


class _Submission(Lenient):
    questions = fields.List(fields.Nested(_Question), allow_none=True)
    parameters = fields.List(fields.Nested(_Question), data_key="urlParameters", allow_none=True)
    calculations = fields.List(fields.Nested(_Question), allow_none=True)
