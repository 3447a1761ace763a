"""Webflow: submissions of a site's forms."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from marshmallow import fields

from service.core.answers import form_event, told
from service.core.json_body import Lenient, Text, load, read_object, scalar_text
from service.core.signing import HmacScheme, Signed, Window
from service.core.source import Part, Source, content_key, vendor_key

if TYPE_CHECKING:
    from service.core.events import InboundEvent
    from service.core.request import InboundRequest
    from service.core.signing import Scheme, Verified

_MINUTE = 60
_MILLI = 0.001
# What Webflow calls its fields' types, and what the finder calls them.
_KINDS = {"FormEmailInput": "email"}
_UPLOAD = "FormFileUpload"


class Webflow(Source):
    """Submissions that Webflow posts by its webhook `form_submission`.

    Authentication: `x-webflow-signature` is the hex HMAC-SHA256 of time + ":" + raw body, the time in
    milliseconds in `x-webflow-timestamp`, within five minutes of now. The secret is the one that the
    API gave when the webhook was made, or the OAuth app's. A webhook made in the dashboard is not
    signed: lock it with a `token`.

    Identity: the submission's id.

    Answers: anything but 200 is tried again, three times in all.

    Docs: https://developers.webflow.com/data/docs/working-with-webhooks
    https://developers.webflow.com/data/reference/webhooks/events/form-submission
    """

    name = "webflow"
    label = "Webflow"
    content_types = ("application/json",)

    def scheme(self) -> Scheme:
        """Give the HMAC over time and body, within five minutes."""
        return _SCHEME

    def identify(self, verified: Verified) -> list[Part]:
        """Give the submission, known by its id; other events of a site are not kept."""
        body = read_object(verified.request.body)
        if body.get("triggerType", "form_submission") != "form_submission":
            return []
        payload = _payload(body)
        known = scalar_text(payload.get("id")) or scalar_text(payload.get("_id"))
        return [Part((vendor_key("submission", known) if known else content_key(verified.request),))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event: each answer under its field's name."""
        del part
        payload = load(_Payload(), _payload(read_object(verified.request.body)))
        kinds = {each["name"]: each["kind"] for each in payload.get("listed", [])}
        uploaded = [name for name, kind in kinds.items() if kind == _UPLOAD]
        answers, files = told(payload["data"], mapped=self.options.fields.values(), uploaded=uploaded)
        kinded = [replace(each, kind=_KINDS.get(kinds.get(each.key, ""), each.kind)) for each in answers]
        return form_event(kinded, self.options.fields, files=files, origin=payload["name"])

    def sign(self, request: InboundRequest, secret: bytes) -> InboundRequest:
        """Set time and signature."""
        stamp = str(int(self.clock() / _MILLI))
        stamped = replace(request, headers=request.headers.replaced(x_webflow_timestamp=stamp))
        signature = _SCHEME.sign(_read(stamped).message, secret)
        return replace(stamped, headers=stamped.headers.replaced(x_webflow_signature=signature))


def _read(request: InboundRequest) -> Signed:
    stamp = request.headers.get("x-webflow-timestamp")
    signed = f"{stamp}:".encode("utf-8", "surrogatepass") + request.body
    return Signed([request.headers.get("x-webflow-signature")], signed, stamp)


_SCHEME = HmacScheme(_read, window=Window(back=5 * _MINUTE, ahead=5 * _MINUTE, unit=_MILLI))


def _payload(body: dict[str, Any]) -> dict[str, Any]:
    """Give the submission; the first version of the API had it without a wrapper."""
    inner = body.get("payload")
    return inner if isinstance(inner, dict) else body


class _Field(Lenient):
    name = Text(data_key="fieldName")
    kind = Text(data_key="fieldType")


class _Payload(Lenient):
    name = Text()
    data = fields.Dict(keys=fields.String(), required=True)
    listed = fields.List(fields.Nested(_Field), data_key="schema", allow_none=True)
