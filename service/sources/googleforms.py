"""Google Forms: responses that the Apps Script in `deploy/` sends."""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from service.core.errors import Unauthorized
from service.core.events import File, InboundEvent
from service.core.json_body import read_object, scalar_text
from service.core.shipped import answer_of, ids_of, read_shipped
from service.core.signing import HmacScheme, Signed, Window
from service.core.source import Part, Source, content_key, vendor_key
from service.core.submission import named, submission, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.core.request import InboundRequest
    from service.core.signing import Scheme, Verified

_VERSION = "v1,"
_MARK = b"whsec_"
_MAX_SIGNATURES = 10
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
        return _StandardWebhooks()

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
        data = read_shipped(verified.request.body)
        answers, files = [], []
        for field in data["fields"]:
            found = _files(field)
            files += found
            answers.append(answer_of(field, named(found) or _text(field)))
        return submission(
            answers,
            self.options.fields,
            files=files,
            title=data["form_title"] or "",
            email=data["respondent_email"] or "",
        )

    def sign(self, request: InboundRequest, secret: bytes) -> InboundRequest:
        """Set the three headers, as the script would now; an id that is there is kept."""
        told = request.headers.get("webhook-id") or f"gf_{secrets.token_hex(12)}"
        headers = request.headers.replaced(webhook_id=told, webhook_timestamp=str(int(self.clock())))
        stamped = replace(request, headers=headers)
        signature = _VERSION + _SCHEME.sign(_read(stamped).message, _key(secret))
        return replace(stamped, headers=headers.replaced(webhook_signature=signature))


@dataclass(frozen=True)
class _StandardWebhooks:
    """The HMAC of Standard Webhooks, whose secret is written as base64."""

    def check(self, request: InboundRequest, secrets: Sequence[bytes], now: float) -> None:
        """Raise Unauthorized unless the message is signed with one of the secrets, in time."""
        _SCHEME.check(request, [_key(secret) for secret in secrets], now)


def _read(request: InboundRequest) -> Signed:
    told, stamp = request.headers.get("webhook-id"), request.headers.get("webhook-timestamp")
    # With a dot in the id, where it ends and the time begins would be the sender's to choose.
    if not told or "." in told:
        raise Unauthorized("signature", "The message's id is missing or none")
    given = request.headers.get("webhook-signature").split(" ")[:_MAX_SIGNATURES]
    return Signed(
        [each.removeprefix(_VERSION) for each in given if each.startswith(_VERSION)],
        f"{told}.{stamp}.".encode("utf-8", "surrogatepass") + request.body,
        stamp,
    )


_SCHEME = HmacScheme(_read, encoding="base64", window=Window(back=300, ahead=300))


def _key(secret: bytes) -> bytes:
    """Give the key: base64, after `whsec_` as a rule. What is not base64 is the key as it is."""
    try:
        # Never an empty key, which anybody has.
        return base64.b64decode(secret.removeprefix(_MARK), validate=True) or secret
    except binascii.Error:
        return secret


def _text(field: dict[str, Any]) -> str:
    value, rows = field["value"], field["rows"]
    if rows and isinstance(value, list) and len(rows) == len(value):
        told = ((row or "", text_of(each)) for row, each in zip(rows, value, strict=True))
        return "\n".join(f"{row}: {text}" for row, text in told if text)
    return text_of(value)


def _files(field: dict[str, Any]) -> list[File]:
    value = field["value"]
    if field["type"] != "FILE_UPLOAD" or not isinstance(value, list):
        return []
    ids = [each for each in value if isinstance(each, str) and _DRIVE_ID.fullmatch(each)]
    return [File(each, url=f"https://drive.google.com/open?id={each}") for each in ids]
