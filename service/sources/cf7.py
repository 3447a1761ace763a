"""Contact Form 7: submissions that the plugin CF7 to Webhook sends."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from service.core.answers import form_event, names_of, told
from service.core.events import File
from service.core.finder import steers
from service.core.forms import URLENCODED
from service.core.json_body import first_text, scalar_text
from service.core.php_fields import read_fields
from service.core.source import Part, Source, canonical_key, vendor_key

if TYPE_CHECKING:
    from service.core.events import InboundEvent
    from service.core.signing import Verified

_SERIAL = ("_serial_number", "serial_number")
_TITLE = ("_contact_form_title", "_post_title", "_site_title")
# Of the plugin's special tags, what tells where somebody wrote.
_HIDDEN = ("_url", "_post_title", "_user_email")


class ContactForm7(Source):
    """Submissions of Contact Form 7, posted by the plugin CF7 to Webhook.

    Authentication: the plugin does not sign. The channel's `token`, in the URL's path or in a header
    `X-Bridge-Token`, which the plugin can set.

    Identity: a hash of what was filled in, for a day: who sees an error and sends again makes one
    ticket. With `_serial_number` (of the plugin Flamingo), if the author adds it, for good; alone it says
    nothing, for each form counts anew, and goes back when messages are deleted.

    Answers: 200 to 205 are successes. The visitor waits, 30 s at most, and is told of a failure.

    Fields: `{"your-name": …}`, called as in the form, without labels. Special mail tags begin with `_`. A
    file is a link, or `{filename, content}` with its content as base64, of which only name and size are
    kept. A body template that is no valid JSON is sent as text/plain.

    Docs: https://wordpress.org/plugins/cf7-to-zapier/
    https://contactform7.com/special-mail-tags/
    """

    name = "cf7"
    label = "Contact Form 7"
    content_types = ("application/json", "text/plain", URLENCODED)

    def identify(self, verified: Verified) -> list[Part]:
        """Give the submission, known by what was filled in, and by its serial number if it has one."""
        body = read_fields(verified.request)
        serial = first_text(body, _SERIAL)
        filled = {key: value for key, value in body.items() if not steers(key)}
        key = canonical_key(filled)
        return [Part((vendor_key("serial", f"{serial} {key.value}") if serial else key,))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event: each field under its name."""
        del part
        body = read_fields(verified.request)
        sent: list[File] = []
        plain: dict[str, Any] = {}
        for key, value in body.items():
            found = _sent(value)
            sent += found
            plain[key] = names_of(found) or value
        answers, files = told(plain, _SERIAL, self.options.fields.values())
        answers = [replace(each, kind="file") if _sent(body.get(each.key)) else each for each in answers]
        hidden, _ = told({name.removeprefix("_"): body.get(name) for name in _HIDDEN})
        return form_event(
            answers,
            self.options.fields,
            hidden=hidden,
            files=[*sent, *files],
            origin=first_text(body, _TITLE),
        )


def _sent(value: object) -> list[File]:
    """Give the files that came along as base64, one or a list."""
    given = value if isinstance(value, list) else [value]
    found = [each for each in given if isinstance(each, dict) and {"filename", "content"} <= each.keys()]
    return [
        File(scalar_text(each["filename"]) or "file", size=_size(scalar_text(each["content"])))
        for each in found
    ]


def _size(encoded: str) -> int:
    return max(0, len(encoded) // 4 * 3 - encoded[-2:].count("="))
