"""Google Forms: responses that the Apps Script in `deploy/` sends."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from service.core.answers import text_of
from service.core.events import File
from service.core.json_body import read_object, scalar_text
from service.core.shipped import ids_of, shipped_event
from service.core.signing.standard import STANDARD_WEBHOOKS, sign_standard
from service.core.source import Part, Source, content_key, vendor_key

if TYPE_CHECKING:
    from service.core.events import InboundEvent
    from service.core.request import InboundRequest
    from service.core.signing import Scheme, Verified

_DRIVE_ID = re.compile(r"[A-Za-z0-9_-]{10,100}")


class GoogleForms(Source):
    """Responses to a Google Form, sent by `deploy/google-apps-script.gs`, which runs in the form.

    Google has no webhooks for forms, so the shape is ours: `{"type": "form.submitted", "timestamp", "data":
    {submission_id, form_id, form_title, respondent_email, fields: [{key, label, type, value, rows}]}}`.

    Authentication: Standard Webhooks: `webhook-signature: v1,` + base64 HMAC-SHA256 of
    `<webhook-id>.<webhook-timestamp>.<body>`, within five minutes. The secret is `whsec_` + base64.

    Identity: the response's id with its time, since a response that is edited keeps its id; and
    `webhook-id`, which the script keeps while it tries again.

    Answers: the script stops at 2xx, 400, 401, 413, 415 and 422, and tries anything else 4 times within a
    minute. After that it fails, and Google writes to the script's owner.

    Fields: an uploaded file is a Drive id, told as a link that its owner can open. A grid is an answer
    for each row.

    Docs: https://developers.google.com/apps-script/guides/triggers/events
    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """

    name = "googleforms"
    label = "Google Forms"
    content_types = ("application/json",)

    def scheme(self) -> Scheme:
        """Give the signature over id, time and body."""
        return STANDARD_WEBHOOKS

    def identify(self, verified: Verified) -> list[Part]:
        """Give the response, known by its id and time, and by the message's id."""
        request = verified.request
        (told,) = ids_of(request.body, "submission_id")
        stamp = scalar_text(read_object(request.body).get("timestamp"))
        message = request.headers.get("webhook-id").strip()
        keys = [vendor_key("response", f"{told}@{stamp}")] if told else []
        keys += [vendor_key("webhook", message)] if message else []
        return [Part(tuple(keys) or (content_key(request),))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event: each answer under its question, in the form's order."""
        del part
        return shipped_event(verified.request.body, self.options.fields, _read)

    def sign(self, request: InboundRequest, secret: bytes) -> InboundRequest:
        """Set the three headers, as the script would now; an id that is there is kept."""
        return sign_standard(request, secret, self.clock())


def _read(field: dict[str, Any]) -> tuple[str, list[File]]:
    value, rows = field["value"], field["rows"]
    if rows and isinstance(value, list) and len(rows) == len(value):
        told = ((row, text_of(each)) for row, each in zip(rows, value, strict=True))
        return "\n".join(f"{row}: {text}" for row, text in told if text), []
    return text_of(value), _files(value) if field["type"] == "FILE_UPLOAD" else []


def _files(value: object) -> list[File]:
    listed = value if isinstance(value, list) else []
    ids = [each for each in listed if isinstance(each, str) and _DRIVE_ID.fullmatch(each)]
    return [File(each, url=f"https://drive.google.com/open?id={each}") for each in ids]
