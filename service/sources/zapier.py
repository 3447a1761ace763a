"""Zapier: mails that a Zap posts with "Webhooks by Zapier"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.core.rows import ROW_TYPES, read_rows, row_event, row_parts
from service.core.source import Part, Source

if TYPE_CHECKING:
    from service.core.events import InboundEvent
    from service.core.signing import Verified

_IDS = ("id", "zap_meta_id")


class Zapier(Source):
    """Mails that a Zap took apart (Email Parser, Email by Zapier, Gmail …) and posts as JSON or form.

    Authentication: none of Zapier's own: a `token` in the URL's path or as a bearer, or the action's
    "Basic Auth" and the channel's `basic`.

    Identity: `id` or `zap_meta_id` if the Zap sends one, or the column that
    `fields = { id = "…" }` names; else a hash of the content, for a day.

    Fields: e-mail, name, subject and message are found by what the fields are called, or named in the
    channel's `fields`; the rest is told as it is. A mail without the `email` or `body` that the channel
    names is a dead letter: that is what a changed layout looks like. Zapier leaves out what is empty.

    Answers: 2xx is success. What Zapier does else depends on the plan ("Autoreplay"); it is not sent
    again otherwise. A wrong token is a 401.

    Docs: https://help.zapier.com/hc/en-us/articles/8496326446989
    """

    name = "zapier"
    label = "Zapier"
    content_types = ROW_TYPES

    def identify(self, verified: Verified) -> list[Part]:
        """Give each row, known by its id or else by what it says."""
        return row_parts(read_rows(verified.request), self._ids())

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event of one row."""
        return row_event(read_rows(verified.request), part, self._ids(), self.options.fields)

    def _ids(self) -> tuple[str, ...]:
        """Give the columns that may hold the id: the channel's own first."""
        own = self.options.fields.get("id")
        return (own, *_IDS) if own else _IDS
