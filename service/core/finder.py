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
from service.core.wording import (
    BODY,
    EMAIL,
    FIRST,
    LAST,
    NAME,
    SUBJECT,
    asks_for,
    called,
    is_linked,
    is_message,
    is_of_another,
    is_plain,
    is_textual,
    is_written,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NAMELIKE = re.compile(r"[A-Za-z0-9]+(?:[_-][A-Za-z0-9]+)*")
_MAILS = frozenset({"email", "e mail", "mail"})
_NAMES = frozenset({"name"})

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
        self._called = [called(answer) for answer in answers]

    def email_at(self) -> int | None:
        """Give the place of the field meant for the sender's address, be it one or not."""
        return self._find("email", EMAIL, "email", _MAILS)

    def email(self) -> str:
        """Give the sender's address: of the field meant for it, or else the first that is one."""
        place = self.email_at()
        loose = [
            at
            for at, names in enumerate(self._called)
            if any("email" in name or "e mail" in name for name in names)
        ]
        meant = loose if place is None else [place, *loose]
        if not self._named("email"):
            meant.sort(key=lambda at: is_of_another(self.answers[at].label, EMAIL, _MAILS))
        candidates = [self.answers[at].value.strip() for at in (*meant, *range(len(self.answers)))]
        if place is not None and meant[0] == place:
            candidates.insert(1, self.mailbox().email)
        return next(filter(is_address, candidates), "")

    def mailbox(self) -> Sender:
        """Give whom the field meant for the address names as `Ann Lee <ann@example.com>`; else nobody."""
        place = self.email_at()
        value = "" if place is None else self.answers[place].value
        return next(iter(addresses(value) if "<" in value else ()), Sender())

    def name_at(self) -> tuple[int, ...]:
        """Give the fields that make up the sender's name."""
        place = self._find("name", NAME, "name", _NAMES)
        if place is not None:
            return (place,)
        parts = (self._find("", FIRST, "first_name"), self._find("", LAST, "last_name"))
        return tuple(part for part in parts if part is not None)

    def sender(self) -> Sender:
        """Give who wrote, as far as the answers tell."""
        name = " ".join(self.answers[place].value for place in self.name_at())
        return Sender(name or self.mailbox().name, self.email())

    def subject_at(self) -> int | None:
        """Give the place of the field meant for the subject, be it a choice; a link is none."""
        return self._find("subject", SUBJECT, "", fits=lambda answer: not is_linked(answer))

    def body_at(self) -> int | None:
        """Give the place of the field meant for the message: where one could be written, or else a list."""
        return self._find("body", BODY, "", fits=lambda answer: is_textual(answer) or answer.kind == "list")

    def asked(self) -> str:
        """Give the question that the message answers, where it says more than `Message`."""
        place = self.body_at()
        return "" if place is None or self.unasked(place) is not None else self.answers[place].label

    def subject(self) -> str:
        """Give the subject: of its field, or the first line of the message or else of the longest text."""
        place = self.subject_at()
        if place is not None and self.answers[place].value.strip():
            return first_line(self.answers[place].value)
        place = self.body_at()
        if place is not None and is_written(self.answers[place]):
            return first_line(self.answers[place].value)
        gone = {*self.name_at(), self.email_at()}
        texts = [each for at, each in enumerate(self.answers) if at not in gone and is_written(each)]
        messages = [answer for answer in texts if is_message(answer)]
        return first_line(max((answer.value for answer in messages or texts), key=len, default=""))

    def spent(self, place: int | None, told: str) -> int | None:
        """Give the place of an answer that needs no telling again; else None.

        `told` must say all of it, and its label no more than what it is told as.
        """
        whole = place is not None and line(self.answers[place].value) == told
        return self.unasked(place if whole else None)

    def unasked(self, place: int | None) -> int | None:
        """Give the place of an answer whose label says no more than `Name` or the like; else None.

        Where the channel says what a field is, the field's mere name says no more either.
        """
        if place is None:
            return None
        answer = self.answers[place]
        named = any(name.strip().lower() in _exactly(answer) for name in self.mapping.values())
        key = answer.key or answer.label
        mere = named and answer.label in {key, label_of(key)} and _NAMELIKE.fullmatch(key)
        return place if mere or is_plain(answer.label) else None

    def _named(self, ours: str) -> list[int]:
        """Give the places of what the channel names."""
        mapped = self.mapping.get(ours, "").strip().lower()
        return [at for at, answer in enumerate(self.answers) if mapped and mapped in _exactly(answer)]

    def _find(
        self,
        ours: str,
        so: AbstractSet[str],
        kind: str,
        words: AbstractSet[str] = frozenset(),
        fits: Callable[[Answer], bool] = bool,
    ) -> int | None:
        """Give the first answer that the channel names, else of that kind, else called `so`.

        Where there are several, the label of one tells that it is whoever's fills the form in; `words`
        are what the label of somebody else's has. `fits` is not asked of what the channel names.
        """
        named = self._named(ours)
        found = [
            at
            for at, answer in enumerate(self.answers)
            if ((kind and answer.kind == kind) or so & self._called[at]) and fits(answer)
        ]

        def rank(at: int) -> tuple[bool, bool, bool, bool]:
            answer = self.answers[at]
            return (
                is_of_another(answer.label, so, words),
                bool(kind) and answer.kind != kind,
                bool(words) and not asks_for(answer.label, so),
                not is_textual(answer),
            )

        return named[0] if named else min(found, key=rank, default=None)


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
