"""The event that the answers of a form make, whichever vendor's form it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.core.events import Answer, File, InboundEvent
from service.core.finder import Finder, without

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_ANSWERS = 1000


def form_event(
    answers: Sequence[Answer],
    mapping: Mapping[str, str],
    *,
    form: str = "",
    files: Sequence[File] = (),
    ignore: str = "",
) -> InboundEvent:
    """Make the event: e-mail, name, subject and message found, the other answers as they stand.

    `mapping` is the channel's `fields`, `form` the form's name: it stands in for a subject. Beyond
    a thousand answers there is no more a form.
    """
    answers = answers[:MAX_ANSWERS]
    finder = Finder(answers, mapping)
    sender = finder.sender()
    email_at, subject_at, body_at = finder.email_at(), finder.subject_at(), finder.body_at()
    if email_at is not None and answers[email_at].value.strip() != sender.email:
        email_at = None
    return InboundEvent(
        kind="form",
        sender=sender,
        subject=finder.subject() or form,
        body="" if body_at is None else answers[body_at].value,
        answers=without(answers, [*finder.name_at(), email_at, subject_at, body_at]),
        files=tuple(files),
        origin=form,
        ignore=ignore,
    )
