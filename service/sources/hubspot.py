"""HubSpot: forms, through a workflow's webhook."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from marshmallow import fields

from service.core.answers import answered, form_event, told, told_id
from service.core.errors import Unauthorized
from service.core.events import Answer
from service.core.finder import label_of, steers
from service.core.json_body import Lenient, load, read_object, scalar_text
from service.core.signing import HmacScheme, Signed, Window, same
from service.core.source import Part, Source, content_key, vendor_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.core.events import InboundEvent
    from service.core.request import InboundRequest
    from service.core.signing import Scheme, Verified

_MILLISECOND = 0.001
_FIVE_MINUTES = 300.0
# HubSpot signs the address with these decoded, and no others.
_DECODED = re.compile("%(?:3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)
# Properties that HubSpot keeps for itself beside what the person filled in.
_OWN = re.compile(
    r"(?:hs_|hubspot|num_|first_conversion|recent_conversion|createdate|lastmodified|lifecycle)"
)


class HubSpot(Source):
    """What a contact workflow sends after a form was submitted: a custom body, or the contact's record.

    Authentication: `X-HubSpot-Signature-v3`, base64 HMAC-SHA256 of method, address, body and
    `X-HubSpot-Request-Timestamp` (milliseconds, 5 minutes), keyed with the app's client secret. Where
    there is no v3: `X-HubSpot-Signature`, hex SHA-256 of secret, method, address and body (v2), or of
    secret and body (`X-HubSpot-Signature-Version: v1`); these sign no time, and a replay is caught by
    its identity. The address is the public one, `BRIDGE_PUBLIC_URL`.

    Identity: the newest `conversion-id` of the contact's `form-submissions`, or `submission_id` in a
    custom body; else a hash of the body, for a day.

    Answers: any 4xx but 429 is not sent again, 5xx for 3 days.

    Docs: https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/request-validation
    https://knowledge.hubspot.com/workflows/how-do-i-use-webhooks-with-hubspot-workflows
    """

    name = "hubspot"
    label = "HubSpot"
    content_types = ("application/json",)

    def scheme(self) -> Scheme:
        """Give the signature of any of the three versions, the newest that is there."""
        return _Versions()

    def identify(self, verified: Verified) -> list[Part]:
        """Give the submission, known by its conversion."""
        body = read_object(verified.request.body)
        newest = _newest(body.get("form-submissions"))
        conversion = scalar_text(newest.get("conversion-id")) or told_id(body)
        key = vendor_key("conversion", conversion) if conversion else content_key(verified.request)
        return [Part((key,))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event of the contact's properties, or of what the workflow was told to send."""
        del part
        body = read_object(verified.request.body)
        if not isinstance(body.get("properties"), dict):
            answers, files = told(body, _KNOWN)
            return form_event(answers, self.options.fields, files=files)
        contact = load(_Contact(), body)
        newest = _newest(contact.get("submissions"))
        answers = [
            answered(label_of(name), held.get("value") if isinstance(held, dict) else held, name)[0]
            for name, held in contact["properties"].items()
            if not _OWN.match(name) and not steers(name)
        ]
        page = scalar_text(newest.get("page-url"))
        return form_event(
            answers,
            self.options.fields,
            hidden=[Answer("Page", page, "page-url")],
            origin=scalar_text(newest.get("title")),
        )

    def sign(self, request: InboundRequest, secret: bytes) -> InboundRequest:
        """Set the v3 signature and its time."""
        timed = request.headers.replaced(X_HubSpot_Request_Timestamp=str(round(self.clock() * 1000)))
        request = replace(request, headers=timed)
        signature = _V3.sign(_read_v3(request).message, secret)
        return replace(request, headers=timed.replaced(X_HubSpot_Signature_v3=signature))


_KNOWN = frozenset(("submission_id", "submissionId", "conversion_id", "conversion-id"))


class _Versions:
    """v3 where it is there, else what the request says it is; never an older one beside a v3."""

    def check(self, request: InboundRequest, secrets: Sequence[bytes], now: float) -> None:
        if request.headers.all("X-HubSpot-Signature-v3"):
            _V3.check(request, secrets, now)
            return
        given = request.headers.get("X-HubSpot-Signature").encode("utf-8", "surrogatepass")
        version = request.headers.get("X-HubSpot-Signature-Version").strip().lower()
        address = b"" if version == "v1" else request.method.encode() + _address(request)
        expected = [hashlib.sha256(secret + address + request.body).hexdigest() for secret in secrets]
        if not any([same(given, each.encode()) for each in expected]):  # noqa: C419 - no early end
            raise Unauthorized("signature", "The signature is missing or wrong")


def _address(request: InboundRequest) -> bytes:
    decoded = _DECODED.sub(lambda found: chr(int(found.group()[1:], 16)), request.url)
    return decoded.encode("utf-8", "surrogatepass")


def _read_v3(request: InboundRequest) -> Signed:
    stamp = request.headers.get("X-HubSpot-Request-Timestamp")
    signed = request.method.encode() + _address(request) + request.body
    return Signed(
        request.headers.all("X-HubSpot-Signature-v3"),
        signed + stamp.encode("utf-8", "surrogatepass"),
        stamp,
    )


_V3 = HmacScheme(
    _read_v3, encoding="base64", window=Window(back=_FIVE_MINUTES, ahead=_FIVE_MINUTES, unit=_MILLISECOND)
)


def _newest(submissions: object) -> dict[str, Any]:
    """Give the form that was submitted last, of all that this contact ever did."""
    listed = submissions if isinstance(submissions, list) else []
    return max((each for each in listed if isinstance(each, dict)), key=_when, default={})


def _when(submission: dict[str, Any]) -> float:
    when = submission.get("timestamp")
    return when if isinstance(when, int | float) else 0


class _Contact(Lenient):
    properties = fields.Dict(keys=fields.String(), required=True)
    submissions = fields.List(fields.Dict(), data_key="form-submissions", allow_none=True)
