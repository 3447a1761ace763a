"""OpnForm: submissions of a form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marshmallow import fields

from service.core.answers import ANYWHERE, answered, form_event, told
from service.core.json_body import Lenient, Text, load, read_object, scalar_text
from service.core.signing.plain import BodyScheme
from service.core.source import Part, Source, content_key, vendor_key

if TYPE_CHECKING:
    from service.core.events import InboundEvent
    from service.core.request import InboundRequest
    from service.core.signing import Scheme, Verified

# OpnForm's types of blocks that hold files.
_FILES = frozenset({"files", "signature"})
_SCHEME = BodyScheme("X-Webhook-Signature", "sha256=")


class OpnForm(Source):
    """Submissions that OpnForm posts.

    Authentication: `X-Webhook-Signature: sha256=` + hex HMAC-SHA256 of the raw body, keyed with the
    webhook's secret. No time is signed; a replay is caught by its identity.

    Identity: `submission_id` or `id` with the form; else the link to edit it; else a hash of the
    body, for a day.

    Answers: one try, 5 seconds; what fails is in the form's integration events.

    Docs: https://docs.opnform.com
    https://github.com/JhumanJ/OpnForm
    """

    name = "opnform"
    label = "OpnForm"
    content_types = ("application/json",)

    def scheme(self) -> Scheme:
        """Give the HMAC over the raw body."""
        return _SCHEME

    def identify(self, verified: Verified) -> list[Part]:
        """Give the submission, known by its id or by its own link."""
        body = read_object(verified.request.body)
        known = scalar_text(body.get("submission_id")) or scalar_text(body.get("id"))
        link = scalar_text(body.get("edit_link"))
        if known:
            return [Part((vendor_key("submission", f"{scalar_text(body.get('form_slug'))}/{known}"),))]
        return [Part((vendor_key("link", link) if link else content_key(verified.request),))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event: `data` has names and values by id; older servers have `submission` alone."""
        del part
        body = load(_Submission(), read_object(verified.request.body))
        origin = body.get("form_title", "")
        if not body.get("data"):
            answers, files = told(body.get("submission", {}))
            return form_event(answers, self.options.fields, files=files, origin=origin)
        answers, files = [], []
        for key, each in body["data"].items():
            folders = ANYWHERE if each["type"] in _FILES else ()
            answer, found = answered(each["name"] or key, each["value"], key, each["type"], folders)
            answers.append(answer)
            files += found
        return form_event(answers, self.options.fields, files=files, origin=origin)

    def sign(self, request: InboundRequest, secret: bytes) -> InboundRequest:
        """Set the signature header."""
        return _SCHEME.sign(request, secret)


class _Answer(Lenient):
    name = Text()
    type = Text()
    value = fields.Raw(load_default=None, allow_none=True)


class _Submission(Lenient):
    form_title = Text()
    data = fields.Dict(keys=fields.String(), values=fields.Nested(_Answer), allow_none=True)
    submission = fields.Dict(keys=fields.String(), allow_none=True)
