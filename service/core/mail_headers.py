"""What the header of a mail says: who wrote, and whether a person did.

Headers come from strangers: each is cut at 8 KB before anything reads it, since the standard
library takes seconds for some longer ones, and what cannot be decoded stays as it is.
"""

from __future__ import annotations

import re
from email.errors import HeaderParseError
from email.header import decode_header
from email.utils import getaddresses
from typing import TYPE_CHECKING

from service.core.events import InboundEvent, Sender
from service.core.text import decode, is_address, line

if TYPE_CHECKING:
    from service.core.request import Headers

MAX_HEADER = 8192

# Whole, or not at all: the end of a longer one is somebody else's.
_LOOSE_ADDRESS = re.compile(r"(?<![^\s<>\"(),:;\[\]])[^\s<>\"(),:;\[\]]{1,100}@[^\s<>\"(),:;\[\]]{1,200}")
_NO_REPLY = re.compile(r"(?:do)?[-_.]?not?[-_.]?reply|notifications?|mailer|wordpress|www-data|forms?")
_AUTO_HEADERS = ("X-Autoreply", "X-Autorespond", "X-Autoresponder", "X-Auto-Respond")
_PRECEDENCE = ("Precedence", "X-Precedence")
_AUTO_PRECEDENCE = frozenset({"auto_reply", "autoreply"})
_SUPPRESS = frozenset({"all", "dr", "autoreply"})
_ROBOTS = ("mailer-daemon", "postmaster")


def header_text(value: str) -> str:
    """Give a header's text on one line, RFC 2047 words decoded."""
    value = value[:MAX_HEADER]
    if "=?" not in value:
        return line(value)
    try:
        chunks = decode_header(value)
    except (HeaderParseError, ValueError):
        return line(value)
    return line("".join(map(_chunk, chunks)))


def _chunk(chunk: tuple[bytes | str, str | None]) -> str:
    text, charset = chunk
    if isinstance(text, str):
        return text
    if charset is None:
        # What stands between encoded words comes back in this encoding of the library's own.
        return text.decode("raw_unicode_escape", "replace")
    return decode(text, charset)


def addresses(value: str) -> list[Sender]:
    """Give the mailboxes in an address header, with what is no address left out."""
    value = value[:MAX_HEADER]
    try:
        pairs = getaddresses([value])
    except (RecursionError, ValueError, IndexError):
        pairs = []
    found = [Sender(header_text(name), email) for name, email in pairs if is_address(email)]
    if not found:
        found = [Sender("", text) for text in _LOOSE_ADDRESS.findall(value) if is_address(text)]
    return found


def sender_of(headers: Headers, recipient: str) -> Sender:
    """Give who wrote: From, or whom From stands for.

    Mailing lists rewrite From and keep the writer in X-Original-From. A web site's form mail comes
    from a robot, from the site's own domain, or from the very address that it goes to, with the visitor
    in Reply-To. Everybody else's Reply-To is where answers go and not who wrote: `reply_to`.
    """
    writers = addresses(headers.get("From"))
    sender = writers[0] if writers else Sender(_name_only(headers.get("From")))
    written = sender.email.lower()
    replies = [reply for reply in addresses(headers.get("Reply-To")) if reply.email.lower() != written]
    if is_list(headers):
        originals = [*addresses(headers.get("X-Original-From")), *addresses(headers.get("X-Original-Sender"))]
        lists = addresses(headers.get("List-Post").replace("mailto:", ""))
        munged = written in {each.email.lower() for each in lists}
        return next(iter(originals or (replies if munged else [])), sender)
    local, _, domain = written.rpartition("@")
    ours = recipient.lower().rpartition("@")[2]
    # The support address itself, where its mail is passed on to the vendor's.
    itself = written in {each.email.lower() for each in addresses(headers.get("To"))}
    if replies and (not domain or domain == ours or itself or _NO_REPLY.fullmatch(local)):
        return replies[0]
    return sender


def reply_to(headers: Headers, sender: Sender, recipient: str) -> Sender:
    """Give where answers are wanted, if that is neither the sender, nor the list, nor ourselves.

    Anybody can write a Reply-To: it is told, and nobody is looked up by it.
    """
    posts = addresses(headers.get("List-Post").replace("mailto:", ""))
    theirs = {each.email.lower() for each in (sender, *posts, *addresses(headers.get("From")))}
    ours = base_address(recipient)
    others = (
        reply
        for reply in addresses(headers.get("Reply-To"))
        if reply.email.lower() not in theirs and base_address(reply.email) != ours
    )
    return next(others, Sender())


def told_by(headers: Headers, recipient: str = "") -> InboundEvent:
    """Make what can be told of a mail by its headers alone: who wrote, and about what."""
    return InboundEvent(
        kind="email",
        sender=sender_of(headers, recipient),
        subject=header_text(headers.get("Subject")),
        recipient=recipient,
    )


def _name_only(value: str) -> str:
    return header_text(value).replace("<>", "").strip(' "')


def is_list(headers: Headers) -> bool:
    """Say whether the mail came through a list that takes posts; `NO` is RFC 2369's for one that does not."""
    post = headers.get("List-Post").strip().lower()
    return post not in {"", "no"} and not post.startswith("no ")


def ignore_reason(headers: Headers, sender: Sender, recipient: str, envelope_from: str | None) -> str:
    """Say why no ticket is to be made of the mail, or nothing.

    `envelope_from` is None where the vendor does not tell it; empty or `<>` it is a bounce's.
    """
    return (
        _bounce(headers, sender)
        or _automatic(headers)
        or _undeliverable(headers, envelope_from)
        or _own(headers, sender, recipient)
        or _bulk(headers)
    )


def _bounce(headers: Headers, sender: Sender) -> str:
    if headers.get("Content-Type").strip().lower().startswith("multipart/report"):
        return "bounce: a delivery report"
    if headers.get("X-Failed-Recipients"):
        return "bounce: X-Failed-Recipients"
    if sender.email.lower().partition("@")[0] in _ROBOTS:
        return f"bounce: from {sender.email}"
    return ""


def _automatic(headers: Headers) -> str:
    # RFC 3834, and what there was before it.
    submitted = _word(headers.get("Auto-Submitted"))
    if submitted not in {"", "no"}:
        return f"auto-reply: Auto-Submitted: {submitted}"
    suppress = {_word(part) for part in headers.get("X-Auto-Response-Suppress").split(",")}
    kind = headers.get("Content-Type").strip().lower().replace('"', "")
    signs = {
        **{name: _word(headers.get(name)) not in {"", "no", "false"} for name in _AUTO_HEADERS},
        **{name: _word(headers.get(name)).replace("-", "_") in _AUTO_PRECEDENCE for name in _PRECEDENCE},
        # Exchange also sets it on what a group passes on.
        "X-Auto-Response-Suppress": bool(suppress & _SUPPRESS) and not is_list(headers),
        "Delivered-To": _word(headers.get("Delivered-To")) == "autoresponder",
        "an answer to an invitation": kind.startswith("text/calendar") and "method=reply" in kind,
    }
    return next((f"auto-reply: {name}" for name, holds in signs.items() if holds), "")


def _undeliverable(headers: Headers, envelope_from: str | None) -> str:
    paths = headers.all("Return-Path")[:1]
    if envelope_from is not None:
        paths.append(envelope_from)
    return "bounce: empty return path" if any(path.strip().strip("<> ") == "" for path in paths) else ""


def _own(headers: Headers, sender: Sender, recipient: str) -> str:
    ours = base_address(recipient)
    if ours and ours in {base_address(sender.email), base_address(headers.get("X-Loop"))}:
        return "own mail: the channel wrote to itself"
    return ""


def _bulk(headers: Headers) -> str:
    if is_list(headers):
        return ""
    for name in _PRECEDENCE:
        if _word(headers.get(name)) in {"bulk", "junk"}:
            return f"bulk: {name}: {_word(headers.get(name))}"
    return "bulk: List-Unsubscribe" if headers.get("List-Unsubscribe").strip() else ""


def base_address(address: str) -> str:
    """Give the address for comparing: lower case, without a `+tag`."""
    local, at, domain = address.strip().strip("<>").lower().rpartition("@")
    return local.partition("+")[0] + at + domain


def _word(value: str) -> str:
    return line(value[:MAX_HEADER]).partition(";")[0].strip().lower()
