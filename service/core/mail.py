"""A mail, however the vendor handed it over, and the event that it makes."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from service.core.events import File, InboundEvent
from service.core.html_text import html_to_text
from service.core.mail_headers import addresses, header_text, ignore_reason, reply_to, sender_of
from service.core.mail_parts import Attachment, Mail
from service.core.mail_shown import shown
from service.core.source import vendor_key
from service.core.text import clean, line

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Attachment", "Mail", "mail_event"]

_PATH = re.compile(r"[/\\]")
_HASH_CHARS = 32
# They prove who wrote, or say how it is encrypted, to a mail program, and tell a person nothing.
_HIDDEN = frozenset(
    {
        "application/pkcs7-signature",
        "application/x-pkcs7-signature",
        "application/pgp-signature",
        "application/pgp-encrypted",
    }
)
# RFC 6047 has the method in the calendar as in its content type, which not every vendor passes on whole.
_ANSWER = re.compile(rb"^METHOD:REPLY\s*$", re.IGNORECASE | re.MULTILINE)
_CALENDAR_HEAD = 4096
_ENCRYPTED = (
    "(The mail is encrypted or sealed: its text can only be read in the mailbox that it was sent to.)"
)
_OPAQUE = {
    "application/pkcs7-mime": _ENCRYPTED,
    "application/x-pkcs7-mime": _ENCRYPTED,
    "application/pgp-encrypted": _ENCRYPTED,
    "application/ms-tnef": "(The mail's text is in winmail.dat, a file that only Outlook opens.)",
    "application/vnd.ms-tnef": "(The mail's text is in winmail.dat, a file that only Outlook opens.)",
    "text/calendar": "(The mail is an invitation without a text.)",
}


def mail_event(mail: Mail, *, notes: Sequence[str] = ()) -> InboundEvent:
    """Make the event: the full text, names of files, who wrote, and why it is to be ignored, if so.

    `notes` are the vendor's findings, as `sender_notes` writes them: never taken from the mail itself.
    """
    sender = sender_of(mail.headers, mail.recipient)
    text = mail.text if clean(mail.text) else html_to_text(mail.html)
    return InboundEvent(
        kind="email",
        sender=sender,
        reply_to=reply_to(mail.headers, sender, mail.recipient),
        notes=tuple(notes),
        subject=header_text(mail.headers.get("Subject")),
        body="\n\n".join(filter(None, (text.strip("\n"), shown(mail.attachments)))) or _note(mail),
        files=tuple(
            File(
                name=_file_name(each.name),
                content_type=each.content_type,
                size=len(each.content) or each.size,
                url=each.url,
            )
            for each in mail.attachments
            if _kind(each) not in _HIDDEN
        ),
        recipient=mail.recipient or next((each.email for each in addresses(mail.headers.get("To"))), ""),
        late_keys=_late_keys(mail),
        ignore=ignore_reason(mail.headers, sender, mail.recipient, mail.envelope_from)
        or mail.automatic
        or _answered(mail),
    )


def _kind(each: Attachment) -> str:
    return each.content_type.partition(";")[0].strip().lower()


def _answered(mail: Mail) -> str:
    """Say that the mail is a calendar's answer to an invitation, where the vendor took the mail apart."""
    answers = (
        each
        for each in mail.attachments
        if _kind(each) == "text/calendar" and _ANSWER.search(each.content[:_CALENDAR_HEAD])
    )
    return "auto-reply: an answer to an invitation" if any(answers) else ""


def _note(mail: Mail) -> str:
    """Say why there is no text, where the mail has it in a form that only a mail program can open."""
    return next((_OPAQUE[kind] for kind in map(_kind, mail.attachments) if kind in _OPAQUE), "")


def _file_name(name: str) -> str:
    return line(_PATH.split(header_text(name))[-1]) or "unnamed"


def _late_keys(mail: Mail) -> tuple[str, ...]:
    """Give the key that two deliveries of one mail share: its id, and what it says.

    The id alone is not enough: broken senders repeat one. Trace headers differ from recipient to
    recipient, so the content is the decoded parts and never the raw mail. Without an id the date
    and the writer stand for it; without those nothing does.
    """
    told = line(mail.headers.get("Message-ID")).strip("<> ").lower()
    if not told and mail.headers.get("Date"):
        told = f"{line(mail.headers.get('Date'))} {line(mail.headers.get('From'))}"
    if not told:
        return ()
    digest = hashlib.sha256()
    for text in (mail.text, mail.html):
        digest.update("\n".join(part.rstrip() for part in clean(text).split("\n")).encode() + b"\0")
    for each in mail.attachments:
        digest.update(hashlib.sha256(each.content).digest())
    return (f"{vendor_key('mail', told).value}:{digest.hexdigest()[:_HASH_CHARS]}",)
