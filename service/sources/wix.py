"""Wix: forms, through an automation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marshmallow import fields

from service.core.answers import UNASKED, answered, form_event, told, told_id
from service.core.events import Answer, File, Sender
from service.core.json_body import Lenient, Table, Text, load, read_object, scalar_text
from service.core.source import Part, Source, content_key, vendor_key

if TYPE_CHECKING:
    from service.core.events import InboundEvent
    from service.core.signing import Verified

# Where Wix keeps what visitors upload.
_UPLOADS = ("usrfiles.com/", "wixstatic.com/", "filesusr.com/")
# What Wix sends beside the answers, and what names the submission.
_KNOWN = frozenset(
    (
        *("contact", "contactId", "context", "submissions", "submissionsLink", "submissionPdf"),
        *("submissionTime", "submissionId", "submission_id", "formId", "formName", "formFieldMask"),
    )
)


class Wix(Source):
    """What a Wix automation sends after a form was submitted: all keys, or a structure of one's own.

    Authentication: none by Wix: the channel's `token` in the URL. Webhooks of a Wix app, which are
    signed JWTs, are not read.

    Identity: `submissionId`, or `submission_id` in a structure of one's own; else a hash of the body,
    for a day. Wix may send twice and out of order.

    Answers: 200 within 1.25 seconds, or it is sent again.

    Docs: https://support.wix.com/en/article/wix-automations-sending-data-via-webhook
    https://dev.wix.com/docs/rest/crm/forms/form-submissions/submission-created
    """

    name = "wix"
    label = "Wix"
    content_types = ("application/json",)

    def identify(self, verified: Verified) -> list[Part]:
        """Give the submission, known by its id."""
        known = told_id(_data(verified))
        return [Part((vendor_key("submission", known) if known else content_key(verified.request),))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event of the labelled submissions, else of what the automation was told to send."""
        del part
        body = _data(verified)
        loaded = load(_Data(), body)
        answers: list[Answer] = []
        files: list[File] = []
        for each in loaded.get("submissions", []):
            label = each["label"]
            answer, found = answered(label or UNASKED, each["value"], label, folders=_UPLOADS)
            answers.append(answer)
            files += found
        if not answers:
            answers, files = told(body, _KNOWN)
        return form_event(
            answers,
            self.options.fields,
            files=files,
            origin=loaded["form"],
            sender=_contact(loaded["contact"]),
        )


def _data(verified: Verified) -> dict[str, Any]:
    """Give the submission: Wix wraps all keys in `data`."""
    body = read_object(verified.request.body)
    inner = body.get("data")
    return inner if isinstance(inner, dict) else body


def _contact(contact: dict[str, Any]) -> Sender:
    """Give the contact that Wix made of the visitor."""
    name = contact.get("name")
    parts = (name.get("first"), name.get("last")) if isinstance(name, dict) else (name,)
    return Sender(" ".join(filter(None, map(scalar_text, parts))), scalar_text(contact.get("email")).strip())


class _Answer(Lenient):
    label = Text()
    value = fields.Raw(load_default=None, allow_none=True)


class _Data(Lenient):
    form = Text(data_key="formName")
    submissions = fields.List(fields.Nested(_Answer), allow_none=True)
    contact = Table()
