"""Jotform: submissions of a form."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from service.core.answers import ANYWHERE, answered, form_event, text_of, uploads
from service.core.errors import UnreadableError
from service.core.events import Answer, File, InboundEvent
from service.core.finder import label_of
from service.core.forms import MULTIPART, URLENCODED, read_form, without_fields
from service.core.json_body import read_object
from service.core.source import Part, Source, content_key, vendor_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.core.request import InboundRequest
    from service.core.signing import Verified

_QUESTION = re.compile(r"q[0-9]{1,6}_(.+)")
_NOISE = frozenset(
    (
        *("slug", "jsExecutionTracker", "submitSource", "submitDate", "buildDate", "uploadServerUrl"),
        *("eventObserver", "event_id", "timeToSubmit", "temp_upload", "file_server", "preview"),
        *("validatedNewRequiredFieldIDs", "path", "formID", "submissionID", "website"),
    )
)
_DATE = ("year", "month", "day")
_MAX_PRETTY = 100_000
_MAX_LABEL = 500
# Files at Jotform itself; what stands beside the questions is a file wherever it is.
_UPLOADS = ("jotform.com/uploads/",)


class Jotform(Source):
    """Submissions that Jotform's webhook integration posts, as multipart with everything in text parts.

    Authentication: Jotform does not sign. The channel's `token` goes into the URL's path.

    Identity: `submissionID`, a number of 19 digits sent as text.

    Answers: any 2xx. Nothing is documented of what Jotform does on a failure.

    Fields: the answers stand in the part `rawRequest`, a JSON object whose keys are `q3_name`, without the
    questions; those stand only in `pretty`, as `Question:answer, Question:answer`. An answer that is
    found there gets its question, the others the name in their key. Uploaded files are links under the
    key without `q3_`. `webhookURL` repeats the URL with its token, and is not even stored.

    Docs: https://www.jotform.com/help/245-how-to-setup-a-webhook-with-jotform/
    """

    name = "jotform"
    label = "Jotform"
    content_types = (MULTIPART, URLENCODED)

    def identify(self, verified: Verified) -> list[Part]:
        """Give the submission, known by its id."""
        told = read_form(verified.request).text("submissionID").strip()
        return [Part((vendor_key("submission", told) if told else content_key(verified.request),))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event: the answers in the form's order, then uploaded files."""
        del part
        form = read_form(verified.request)
        if "rawRequest" not in form:
            raise UnreadableError("not a Jotform submission: there is no rawRequest")
        raw = read_object(form.raw("rawRequest"))
        answers: list[Answer] = []
        hidden: list[Answer] = []
        files: list[File] = []
        for key, value in raw.items():
            question = _QUESTION.fullmatch(key)
            if key in _NOISE:
                continue
            name = question.group(1) if question else key
            folders = _UPLOADS if question else ANYWHERE
            answer, found = answered(label_of(name), value, key, folders=folders)
            files += found
            if question or found:
                answers.append(answer if found else replace(answer, value=_text(value)))
            else:
                hidden.append(Answer(label_of(key), text_of(value), key))
        labels = _labels(form.text("pretty"), [_pretty(answer, raw) for answer in answers])
        told = [
            replace(answer, label=label or answer.label)
            for answer, label in zip(answers, labels, strict=True)
        ]
        return form_event(
            told, self.options.fields, hidden=hidden, files=files, origin=form.text("formTitle").strip()
        )

    def kept(self, request: InboundRequest) -> InboundRequest:
        """Leave the URL with its token out."""
        return super().kept(without_fields(request, {"webhookURL"}))


def _text(value: object) -> str:
    """Give an answer as text: dates and telephone numbers come in pieces."""
    if not isinstance(value, dict):
        return text_of(value)
    if set(_DATE) <= value.keys():
        date = "-".join(_pieces(value, _DATE))
        return " ".join(
            filter(None, (date, ":".join(_pieces(value, ("hour", "min"))), *_pieces(value, ("ampm",))))
        )
    if value.keys() <= {"area", "phone", "full", "country"}:
        return " ".join(_pieces(value, ("full",)) or _pieces(value, ("country", "area", "phone")))
    if "addr_line1" in value:
        return ", ".join(_pieces(value, tuple(value)))
    return text_of(value)


def _pieces(value: dict[str, Any], names: Sequence[str]) -> list[str]:
    return [text for text in (text_of(value.get(name)).strip() for name in names) if text]


def _pretty(answer: Answer, raw: dict[str, Any]) -> str:
    """Give an answer as `pretty` writes it: the items of a list with a space between them."""
    value = raw[answer.key]
    if isinstance(value, list):
        told = [each.name for each in uploads(value, ANYWHERE)] or [text_of(each) for each in value]
        return " ".join(told)
    return answer.value


def _labels(pretty: str, values: list[str]) -> list[str]:
    """Give the question of each answer, or nothing where it is not found.

    Questions and answers may hold commas and colons, so `pretty` is not split: each answer is looked
    up in it, in order, and what stands between it and the one before is its question.
    """
    pretty = f"{' '.join(pretty[:_MAX_PRETTY].split())}, "
    found: list[tuple[int, int, int]] = []
    after = 0
    for at, value in enumerate(values):
        wanted = f":{' '.join(value.split())}, "
        # Files come last in rawRequest, wherever they are in the form.
        start = pretty.find(wanted, after)
        start = pretty.find(wanted) if start < 0 else start
        if value and start >= 0:
            after = start + len(wanted)
            found.append((start, after, at))
    labels = [""] * len(values)
    before = 0
    for start, end, at in sorted(found):
        label = pretty[before:start]
        if len(found) < sum(map(bool, values)) and ":" in label:
            # An answer that was not found stands in between, as far as the first comma after its colon.
            label = label.rpartition(":")[2].partition(", ")[2]
        labels[at] = label if len(label) <= _MAX_LABEL else ""
        before = max(before, end)
    return labels
