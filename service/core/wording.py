"""How forms ask: the words for an e-mail address, a name, a subject and a message, and what is a text.

Keys and labels are compared as plain words: `fields[your-email]`, "Your e-mail (required)" and "What
is your e-mail?" all come down to an e-mail address.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from service.core.text import is_address

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from service.core.events import Answer

EMAIL = frozenset(
    (
        *("email", "e mail", "mail", "email address", "e mail address", "mail address"),
        *("replyto", "reply to"),
    )
)
NAME = frozenset({"name", "full name", "fullname", "first and last name"})
FIRST = frozenset({"first name", "firstname", "given name", "fname", "first"})
LAST = frozenset({"last name", "lastname", "surname", "family name", "lname", "last"})
SUBJECT = frozenset({"subject", "title", "summary", "topic"})
BODY = frozenset(
    (
        *("message", "description", "body", "comment", "comments", "text", "details", "what happened"),
        *("question", "request", "inquiry", "enquiry", "issue", "problem"),
    )
)
_WORDS = re.compile(r"[^a-z0-9]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_POSSESSIVE = frozenset({"your", "my", "contact", "sender", "customer", "requester", "user"})
_ASKING = _POSSESSIVE | {
    *("what", "whats", "is", "s", "are", "and", "the", "a", "an", "our", "us", "may", "can", "we", "have"),
    *("please", "enter", "provide", "give", "tell", "type", "ask", "leave", "valid"),
}
# They leave it the person's own, and say more than that all the same.
_WHICH = frozenset({"work", "business", "personal", "private", "preferred", "primary", "main"})
# Labels that ask for one of these and say nothing more. `Answer` stands where there is no question.
_PLAIN = EMAIL | NAME | FIRST | LAST | SUBJECT | BODY | _POSSESSIVE
_PLAIN |= {"", "answer", "field", "from", "from email", "from address", "from name"}
_AFTER = frozenset({"required", "optional", "mandatory", "please", "here"})
# The number of a field: `q3_email`, "Field 3".
_NUMBER = re.compile(r"[qf]?[0-9]+")
# What says that an address is of whoever fills the form in, and what says that it is not.
_OWN = frozenset({"you", "your", "me", "my", "we", "us", "our"})
_POSSESSOR = re.compile(r"\b(?!what|who|where|it|let)[a-z]+['\u2019]s\b", re.IGNORECASE)

_TEXT_KINDS = frozenset({"", "shortanswer", "longanswer", "paragraph", "string", "multiline", "message"})
_MESSAGE = BODY | {
    *("describe", "explain", "happened", "happening", "wrong", "tell", "help", "detail", "feedback"),
    *("note", "notes", "questions", "problems", "concern", "complaint"),
}
_STAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9:.]*(?:Z|[+-][0-9:]+)?)?")
_MAILBOX = re.compile(r"[^<>]*<[^<>@\s]+@[^<>@\s]+>")
_LINKS = ("http://", "https://", "www.")


def called(answer: Answer) -> set[str]:
    """Give the plain words of key and label, without brackets, case, `your` and what else only asks."""
    return (_names(answer.key) | _names(answer.label)) - {""}


def is_plain(label: str) -> bool:
    """Say whether a label says nothing but that it asks for an address, a name, a subject or a message."""
    return not _PLAIN.isdisjoint(_names(label, plain=True))


def asks_for(label: str, called_so: AbstractSet[str]) -> bool:
    """Say whether a label is one of these names, whatever stands round it."""
    return not called_so.isdisjoint(_names(label) | _names(label, plain=True))


def is_of_another(label: str, called_so: AbstractSet[str], words: AbstractSet[str]) -> bool:
    """Say whether a label asks for what somebody else is `called_so`: "Landlord's e-mail".

    `words` are those that name the thing at all: a label without them says nothing of whose it is.
    """
    if asks_for(label, called_so):
        return False
    found = f" {' '.join(_split(label))} "
    named = any(f" {word} " in found for word in words)
    return named and (_POSSESSOR.search(label) is not None or _OWN.isdisjoint(found.split()))


def is_textual(answer: Answer) -> bool:
    """Say whether the vendor's type is one for words of one's own; where none is told, it may be."""
    kind = "".join(filter(str.isalpha, answer.kind.lower()))
    return kind in _TEXT_KINDS or "text" in kind


def is_linked(answer: Answer) -> bool:
    """Say whether the answer is addresses in the web and nothing else."""
    parts = answer.value.replace(",", " ").split()
    return bool(parts) and all(part.lower().startswith(_LINKS) for part in parts)


def is_written(answer: Answer) -> bool:
    """Say whether somebody wrote this: no link, number, date or address."""
    text = answer.value.strip()
    return (
        is_textual(answer)
        and any(map(str.isalpha, text))
        and not (is_linked(answer) or is_address(text) or _STAMP.fullmatch(text) or _MAILBOX.fullmatch(text))
    )


def is_message(answer: Answer) -> bool:
    """Say whether the question is one for a message: "Describe your problem"."""
    return not _MESSAGE.isdisjoint(word for name in called(answer) for word in name.split())


def _names(text: str, *, plain: bool = False) -> set[str]:
    """Give the plain words of a key or label: all but `your`, and without what only asks.

    `plain` leaves the number of a field out as well, but not which of several it is.
    """
    # `fields[email]` is the field `email`.
    inner = text.rpartition("[")[2].rstrip("]") or text
    words = [word for word in _split(inner) if not (plain and _NUMBER.fullmatch(word))]
    asking = list(words)
    while len(asking) > 1 and asking[-1] in _AFTER:
        asking.pop()
    return {_after(words, _POSSESSIVE), _after(asking, _ASKING if plain else _ASKING | _WHICH)}


def _after(words: list[str], leading: AbstractSet[str]) -> str:
    start = next((at for at, word in enumerate(words) if word not in leading), len(words) - 1)
    return " ".join(words[max(start, 0) :])


def _split(text: str) -> list[str]:
    return _WORDS.sub(" ", _CAMEL.sub(" ", text).lower()).split()
