"""Paperform: submissions of a form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marshmallow import fields

from service.core.answers import UNASKED, files_of, form_event, names_of, text_of
from service.core.events import Answer, File
from service.core.json_body import Lenient, load, read_object, scalar_text
from service.core.source import Part, Source, content_key, vendor_key

if TYPE_CHECKING:
    from service.core.events import InboundEvent
    from service.core.signing import Verified

_FILES = frozenset(("file", "image", "signature"))


class Paperform(Source):
    """Submissions that Paperform posts.

    Authentication: none by Paperform, and no header of one's own either: the channel's `token` in the URL.

    Identity: `submission_id`. A partial submission has the id of the whole one that may follow, so
    only the trigger for new submissions may be used.

    Answers: not documented; exactly 200 is safe.

    Docs: https://paperform.co/help/articles/how-to-use-webhooks
    """

    name = "paperform"
    label = "Paperform"
    content_types = ("application/json",)

    def identify(self, verified: Verified) -> list[Part]:
        """Give the submission, known by its id."""
        told = scalar_text(read_object(verified.request.body).get("submission_id"))
        return [Part((vendor_key("submission", told) if told else content_key(verified.request),))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event: each answer under its question's title; hidden questions apart."""
        del part
        body = load(_Submission(), read_object(verified.request.body))
        answers: list[Answer] = []
        hidden: list[Answer] = []
        files: list[File] = []
        for each in body["data"]:
            kind = each["type"] or ""
            found = files_of(each["value"]) if kind in _FILES else []
            files += found
            key = each["custom_key"] or each["key"] or ""
            text = names_of(found) or text_of(each["value"])
            (hidden if kind == "hidden" else answers).append(
                Answer(each["title"] or key or UNASKED, text, key, kind)
            )
        return form_event(
            answers, self.options.fields, hidden=hidden, files=files, origin=body.get("form_title", "")
        )


class _Answer(Lenient):
    title = fields.String(load_default="", allow_none=True)
    type = fields.String(load_default="", allow_none=True)
    key = fields.String(load_default="", allow_none=True)
    custom_key = fields.String(load_default="", allow_none=True)
    value = fields.Raw(load_default=None, allow_none=True)


class _Submission(Lenient):
    data = fields.List(fields.Nested(_Answer), required=True)
    form_title = fields.String(allow_none=True)
