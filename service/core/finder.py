"""Finds the e-mail address, the name, the subject and the message among the answers of a form.

For each: the field that the channel names (`fields = { email = "q3" }`), then what the vendor's
types say, then what the field is called.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from service.core.events import Answer, Sender
from service.core.mail_headers import addresses
from service.core.text import first_line, is_address, line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_WORDS = re.compile(r"[^a-z0-9]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NAMELIKE = re.compile(r"[A-Za-z0-9]+(?:[_-][A-Za-z0-9]+)*")
_POSSESSIVE = {"your", "my", "contact", "sender", "customer", "requester", "user"}

_EMAIL = {"email", "e mail", "mail", "email address", "e mail address", "mail address", "replyto", "reply to"}
_NAME = {"name", "full name", "fullname", "first and last name"}
_FIRST = {"first name", "firstname", "given name", "fname"}
_LAST = {"last name", "lastname", "surname", "family name", "lname"}
_SUBJECT = {"subject", "title", "summary", "topic"}
_BODY = {
    *("message", "description", "body", "comment", "comments", "text", "details", "what happened"),
    *("question", "request", "inquiry", "enquiry", "issue", "problem"),
}

# Robots fill these in, people do not see them.
HONEYPOTS = frozenset({"_gotcha", "bot-field", "_honey", "website"})
_CONTROL = HONEYPOTS | {
    *("form-name", "form_name", "submit", "webhookurl"),
    *("token", "access_token", "secret", "password", "handshakekey", "api_key", "apikey", "api-key"),
    *("signature", "timestamp", "csrf_token", "csrfmiddlewaretoken", "authenticity_token"),
    *("g-recaptcha-response", "h-captcha-response", "cf-turnstile-response"),
}


def is_control(key: str) -> bool:
    """Say whether a field steers the form or proves something, and so is no answer of a person's."""
    name = key.strip().lower()
    return name.startswith("_") or name in _CONTROL


def steers(key: str) -> bool:
    """Say whether a field of a vendor's form is no answer: `_next`, a token, a CAPTCHA's proof.

    Unlike a page that posts straight to the bridge, a vendor has its own traps: `website` is a question.
    """
    return is_control(key) and key.strip().lower() != "website"


def label_of(key: str) -> str:
    """Give a label for a field that has none: `your-phone_number` becomes `Your phone number`."""
    if _NAMELIKE.fullmatch(key) is None:
        return key
    words = _CAMEL.sub(" ", key).replace("_", " ").replace("-", " ")
    return words[:1].upper() + words[1:]


class Finder:
    """Looks through the answers once; each `…_at` is the place of the answer found, or None."""

    def __init__(self, answers: Sequence[Answer], mapping: Mapping[str, str]) -> None:
        self.answers = answers
        self.mapping = mapping
        self._called = [_called(answer) for answer in answers]

    def email_at(self) -> int | None:
        """Give the place of the field meant for the sender's address, be it one or not."""
        return self._find("email", _EMAIL, "email")

    def email(self) -> str:
        """Give the sender's address: of the field meant for it, or else the first that is one."""
        place = self.email_at()
        meant = [] if place is None else [self.answers[place].value, self.mailbox().email]
        loose = [
            answer.value
            for answer, names in zip(self.answers, self._called, strict=True)
            if any("email" in name or "e mail" in name for name in names)
        ]
        candidates = (*meant, *loose, *(answer.value for answer in self.answers))
        return next(filter(is_address, (value.strip() for value in candidates)), "")

    def mailbox(self) -> Sender:
        """Give whom the field meant for the address names as `Ann Lee <ann@example.com>`; else nobody."""
        place = self.email_at()
        value = "" if place is None else self.answers[place].value
        return next(iter(addresses(value) if "<" in value else ()), Sender())

    def name_at(self) -> tuple[int, ...]:
        """Give the fields that make up the sender's name."""
        place = self._find("name", _NAME, "name")
        if place is not None:
            return (place,)
        parts = (self._find("", _FIRST, "first_name"), self._find("", _LAST, "last_name"))
        return tuple(part for part in parts if part is not None)

    def sender(self) -> Sender:
        """Give who wrote, as far as the answers tell."""
        name = " ".join(self.answers[place].value for place in self.name_at())
        return Sender(name or self.mailbox().name, self.email())

    def subject_at(self) -> int | None:
        """Give the place of the field meant for the subject."""
        return self._find("subject", _SUBJECT, "")

    def body_at(self) -> int | None:
        """Give the place of the field meant for the message."""
        return self._find("body", _BODY, "")

    def subject(self) -> str:
        """Give the subject: of its field, or the first line of the longest text."""
        place = self.subject_at()
        if place is not None and self.answers[place].value.strip():
            return first_line(self.answers[place].value)
        texts = (answer.value for answer in self.answers if not is_address(answer.value.strip()))
        return first_line(max(texts, key=len, default=""))

    def spent(self, place: int | None, told: str) -> int | None:
        """Give the place of an answer that needs no telling again, for `told` says all of it; else None."""
        return place if place is not None and line(self.answers[place].value) == told else None

    def _find(self, ours: str, called: set[str], kind: str) -> int | None:
        """Give the first answer that the channel names, else of that kind, else so called."""
        mapped = self.mapping.get(ours, "").strip().lower()
        places = range(len(self.answers))
        return next(
            (
                place
                for found in (
                    (at for at in places if mapped and mapped in _exactly(self.answers[at])),
                    (at for at in places if kind and self.answers[at].kind == kind),
                    (at for at in places if called & self._called[at]),
                )
                for place in found
            ),
            None,
        )


def parted(
    answers: Sequence[Answer], places: Iterable[int | None]
) -> tuple[tuple[Answer, ...], tuple[Answer, ...]]:
    """Give the answers to be told, and those at these places, which stand elsewhere in the event."""
    gone = set(places)
    filled = [(at in gone, answer) for at, answer in enumerate(answers) if answer.value]
    return (
        tuple(answer for used, answer in filled if not used),
        tuple(answer for used, answer in filled if used),
    )


def _exactly(answer: Answer) -> set[str]:
    return {answer.key.strip().lower(), answer.label.strip().lower()}


def _called(answer: Answer) -> set[str]:
    """Give the plain words of key and label, without brackets, case and `your`."""
    names = set()
    for text in (answer.key, answer.label):
        # `fields[email]` is the field `email`.
        inner = text.rpartition("[")[2].rstrip("]") or text
        words = _WORDS.sub(" ", _CAMEL.sub(" ", inner).lower()).split()
        while len(words) > 1 and words[0] in _POSSESSIVE:
            words = words[1:]
        names.add(" ".join(words))
    return names - {""}
