"""Mailparser.io: what its parsing rules found in a mail."""

from __future__ import annotations

from service.core.rows import RowsSource


class Mailparser(RowsSource):
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
    id_columns = ("id", "document id")
