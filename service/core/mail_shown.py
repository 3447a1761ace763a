"""What a ticket can show of the files in a mail: invitations, forwarded and signed mails, Outlook's packets.

A ticket is text, and files are only named in it. These are files whose content is what somebody wrote.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.core.errors import UnreadableError
from service.core.invitation import invitation
from service.core.mime import forwarded, read_mail
from service.core.smime import signed_content
from service.core.tnef import packet_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from service.core.mail_parts import Attachment

MAX_SHOWN = 10
# What is larger is a file rather than a letter.
MAX_SIZE = 2 * 1024 * 1024


def is_shown(content_type: str, name: str) -> bool:
    """Say whether the content of such a file can be shown, by its type or its name."""
    return _reader(content_type, name) is not None


def shown(attachments: Iterable[Attachment]) -> str:
    """Give what the files say, as far as it can be shown; each as a paragraph."""
    said: list[str] = []
    for each in attachments:
        reader = _reader(each.content_type, each.name)
        if reader is not None and 0 < len(each.content) <= MAX_SIZE and len(said) < MAX_SHOWN:
            said.append(reader(each.content))
    return "\n\n".join(filter(None, said))


def _reader(content_type: str, name: str) -> Callable[[bytes], str] | None:
    ending = name.lower().rpartition(".")[2]
    kind = content_type.partition(";")[0].strip().lower()
    return _BY_TYPE.get(kind) or (_BY_ENDING.get(ending) if kind in _VAGUE else None)


def _mail(content: bytes) -> str:
    try:
        mail = read_mail(content)
    except UnreadableError:
        return ""
    return forwarded(mail.headers, mail.text)


def _signed(content: bytes) -> str:
    inner = signed_content(content)
    try:
        return read_mail(inner).text.strip() if inner else ""
    except UnreadableError:
        return ""


_VAGUE = frozenset({"", "application/octet-stream"})
_BY_ENDING: Mapping[str, Callable[[bytes], str]] = {
    "ics": invitation,
    "eml": _mail,
    "p7m": _signed,
    "dat": packet_text,
}
_BY_TYPE: Mapping[str, Callable[[bytes], str]] = {
    "text/calendar": invitation,
    "application/ics": invitation,
    "message/rfc822": _mail,
    "application/pkcs7-mime": _signed,
    "application/x-pkcs7-mime": _signed,
    "application/ms-tnef": packet_text,
    "application/vnd.ms-tnef": packet_text,
}
