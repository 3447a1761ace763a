"""Mailparser.io: what its parsing rules found in a mail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.core.rows import ROW_TYPES, read_rows, row_event, row_parts
from service.core.source import Part, Source

if TYPE_CHECKING:
    from service.core.events import InboundEvent
    from service.core.signing import Verified

_IDS = ("id", "document id")


class Mailparser(Source):
    """Data that a Mailparser inbox posts, as JSON or as form data, with keys of the customer's choice.

    Authentication: none of Mailparser's own: a `token` in the URL's path, or "additional headers" with
    `Authorization: Basic …` and the channel's `basic`.

    Identity: the document's `id` where it is sent, or the column that `fields = { id = "…" }` names,
    with a hash of what the row says, since the rows of a table have one id; else a hash of the row,
    for a day.

    Fields: e-mail, name, subject and message are found by what the fields are called, or named in the
    channel's `fields`; the rest is told as it is. A mail without the `email` or `body` that the channel
    names is a dead letter: that is what a changed layout looks like.

    Answers: 2xx is success; failures stand in Mailparser's "failed dispatches" and are sent again by
    hand. A wrong token is a 401.

    Docs: https://help.mailparser.io/hc/en-us/articles/16253409612564
    https://help.mailparser.io/hc/en-us/articles/16253340755988
    """

    name = "mailparser"
    label = "Mailparser"
    content_types = ROW_TYPES

    def identify(self, verified: Verified) -> list[Part]:
        """Give each row, known by its id or else by what it says."""
        return row_parts(read_rows(verified.request), self._ids(), shared=True)

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event of one row."""
        return row_event(read_rows(verified.request), part, self._ids(), self.options.fields)

    def _ids(self) -> tuple[str, ...]:
        """Give the columns that may hold the id: the channel's own first."""
        own = self.options.fields.get("id")
        return (own, *_IDS) if own else _IDS
