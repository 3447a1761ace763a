"""Plain HTML forms that post straight to the bridge."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from service.core.browser import leads_to, preferred
from service.core.errors import Invalid, UnreadableError
from service.core.events import Answer, File, InboundEvent, Sender
from service.core.finder import HONEYPOTS, Finder, is_control, label_of, parted
from service.core.forms import MULTIPART, URLENCODED, Form, read_form
from service.core.source import Part, Reply, Source, canonical_key
from service.core.text import clean, decode, is_address

if TYPE_CHECKING:
    from service.core.signing import Verified

# Seconds in which no person fills in a form.
_TOO_FAST = 2.0
_ELAPSED = re.compile(r"[0-9]{1,9}(?:\.[0-9]{0,20})?")


class HtmlForm(Source):
    """A form with `action="…/hooks/<channel>" method="post"`, urlencoded or multipart.

    Authentication: none as a rule (`public = true`): a page cannot keep a secret. A `token` in the
    action's path tells forms apart and can be changed, no more.

    Identity: a hash of the answers, for a day: a double click makes one ticket, the same request a
    week later a second.

    Answers: where `Accept` prefers `application/json` to a page, the usual JSON, else 303 to the field
    `_next` if its origin is among the channel's `redirects`, else a page that says thank you. 422 where
    nothing was filled in or the e-mail address is none. A filled-in honeypot (`_gotcha`, `bot-field`,
    `_honey`, `website`) is answered like any other, and ignored; so is a form filled in within two
    seconds, where the page measures that (`_elapsed`). A page's clock is not ours, so it sends how long,
    not when.

    Fields: `_subject` and `_replyto` stand in for a subject and an address that nobody typed; what
    else begins with `_`, proofs of CAPTCHAs and tokens are dropped. E-mail, name, subject and message
    are found by what their fields are called, or named in the channel's `fields`.

    Docs: https://html.spec.whatwg.org/multipage/form-control-infrastructure.html
    """

    name = "form"
    label = "HTML form"
    content_types = (URLENCODED, MULTIPART)
    takes = ("fields", "redirects")
    verdict = True

    def identify(self, verified: Verified) -> list[Part]:
        """Give one submission, known by what was filled in; raises Invalid where the body is no form."""
        form = _read(verified)
        files = [[each.name, each.filename, hashlib.sha256(each.content).hexdigest()] for each in form.files]
        told = [[answer.key, answer.value] for answer in self._answers(form)]
        return [Part((canonical_key([told, files]),))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event; raises Invalid where nothing was filled in, or no address as the e-mail."""
        del part
        form = _read(verified)
        answers = self._answers(form)
        files = tuple(
            File(each.filename, each.content_type, len(each.content)) for each in form.files if each.filename
        )
        spam = self._spam(form)
        finder = Finder(answers, self.options.fields)
        if not spam:
            self._check(form, finder, anything=bool(files) or any(answer.value for answer in answers))
        sender = finder.sender()
        body_at, subject_at = finder.body_at(), finder.subject_at()
        shown = _text(form, "_subject") if subject_at is None and "_subject" in form else finder.subject()
        spent = (finder.spent(subject_at, shown), finder.spent(finder.email_at(), sender.email))
        rest, placed = parted(answers, [*finder.name_at(), *spent, body_at])
        return InboundEvent(
            kind="form",
            sender=Sender(sender.name, sender.email or _text(form, "_replyto").strip()),
            subject=shown,
            body="" if body_at is None else answers[body_at].value,
            answers=rest,
            placed=placed,
            files=files,
            ignore=spam,
        )

    def reply(self, verified: Verified, marker: str, status: str) -> Reply | None:
        """Send the visitor on, or say thank you; None for a caller that prefers JSON."""
        del status
        if preferred(",".join(verified.request.headers.all("Accept"))) == "json":
            return None
        form = _read(verified)
        target = _text(form, "_next") or _text(form, "_redirect")
        if leads_to(target, self.options.redirects):
            return Reply("", status=303, location=target)
        return Reply("", thanks=marker)

    def _answers(self, form: Form) -> list[Answer]:
        """Give each field once, in order; a repeated one with all its values."""
        names = list(dict.fromkeys(name for name, _ in form.fields))
        charset = form.text("_charset_")
        return [
            Answer(
                label_of(name),
                ", ".join(filter(None, (decode(value, charset) for value in form.all(name)))),
                name,
            )
            for name in names
            if self._mapped(name) or not is_control(name)
        ]

    def _spam(self, form: Form) -> str:
        """Say why no person sent this; nothing where one may have."""
        if any(form.raw(name).strip() for name in HONEYPOTS if not self._mapped(name)):
            return "spam: honeypot"
        elapsed = _text(form, "_elapsed")
        # A page without scripts measures nothing.
        if _ELAPSED.fullmatch(elapsed) and float(elapsed) < _TOO_FAST:
            return "spam: filled in too fast"
        return ""

    def _mapped(self, name: str) -> bool:
        return name in self.options.fields.values()

    def _check(self, form: Form, finder: Finder, *, anything: bool) -> None:
        if not anything:
            raise Invalid("Nothing was filled in")
        place = finder.email_at()
        told, labels = {"_replyto": _text(form, "_replyto").strip()}, {"_replyto": "E-mail"}
        if place is not None:
            answer = finder.answers[place]
            told[answer.key] = answer.value.strip()
            labels[answer.key] = label_of(_inner(answer.key))
        wrong = {
            name: ["Not a valid e-mail address."]
            for name, text in told.items()
            if text and not is_address(text)
        }
        if wrong:
            raise Invalid("The e-mail address is not one", wrong, labels)


def _inner(name: str) -> str:
    """Give the name of a field without what it stands in: `email` of `fields[email]`."""
    return name.rpartition("[")[2].rstrip("]") or name


def _read(verified: Verified) -> Form:
    try:
        return read_form(verified.request)
    except UnreadableError as error:
        raise Invalid(str(error)) from error


def _text(form: Form, name: str) -> str:
    return clean(decode(form.raw(name), form.text("_charset_")))
