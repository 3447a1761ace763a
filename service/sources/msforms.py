"""Microsoft Forms: responses that a Power Automate flow sends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from service.core.answers import files_of, text_of
from service.core.json_body import unpacked
from service.core.shipped import ids_of, shipped_event
from service.core.source import Part, Source, content_key, vendor_key

if TYPE_CHECKING:
    from service.core.events import File, InboundEvent
    from service.core.signing import Verified


class MicrosoftForms(Source):
    """Responses to a Microsoft Form, sent by a flow with `deploy/power-automate-http-action.json`.

    Microsoft Forms has no webhooks. A flow waits for a response, gets its details and posts them in the
    shape of our template: `{"data": {submission_id, form_id, form_title, respondent_email, fields: [{key,
    label, value}]}}`. The questions are written into the flow, since Forms gives only their ids.

    Authentication: the channel's `token` in `X-Bridge-Token`, or `basic`.

    Identity: `form_id` and `submission_id`, which is a number that counts within the form.

    Answers: the action tries again on 408, 429 and 5xx, as its retry policy says.

    Fields: several choices and uploaded files come as JSON lists written in a text; they are read. A
    respondent who is not known is `anonymous`.

    Docs: https://learn.microsoft.com/connectors/microsoftforms/
    https://learn.microsoft.com/azure/connectors/connectors-native-http
    """

    name = "msforms"
    label = "Microsoft Forms"
    content_types = ("application/json",)

    def identify(self, verified: Verified) -> list[Part]:
        """Give the response, known by the form's id and its own."""
        form, told = ids_of(verified.request.body, "form_id", "submission_id")
        key = vendor_key("response", f"{form}:{told}") if told else content_key(verified.request)
        return [Part((key,))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event: each answer under the question that the flow gives it."""
        del part
        return shipped_event(verified.request.body, self.options.fields, _read)


def _read(field: dict[str, Any]) -> tuple[str, list[File]]:
    value = unpacked(field["value"])
    return text_of(value), files_of(value)
