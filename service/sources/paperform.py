"""Paperform: submissions of a form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marshmallow import fields

from service.core.answers import ANYWHERE, UNASKED, answered, form_event
from service.core.json_body import Lenient, Text, load, read_object, scalar_text
from service.core.source import Part, Source, content_key, vendor_key

if TYPE_CHECKING:
    from service.core.events import Answer, File, InboundEvent
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
            kind, key = each["type"], each["custom_key"] or each["key"]
            folders = ANYWHERE if kind in _FILES else ()
            answer, found = answered(each["title"] or key or UNASKED, each["value"], key, kind, folders)
            files += found
            (hidden if kind == "hidden" else answers).append(answer)
        return form_event(
            answers, self.options.fields, hidden=hidden, files=files, origin=body.get("form_title", "")
        )


class _Answer(Lenient):
    title = Text()
    type = Text()
    key = Text()
    custom_key = Text()
    value = fields.Raw(load_default=None, allow_none=True)


class _Submission(Lenient):
    data = fields.List(fields.Nested(_Answer), required=True)
    form_title = Text()
