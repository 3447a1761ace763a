"""Parseur: what its templates found in a mail."""

from __future__ import annotations

from service.core.rows import RowsSource


class Parseur(RowsSource):
    """Documents that a Parseur mailbox posts as JSON, with keys of the customer's choice.

    Authentication: none of Parseur's own: a `token` in the URL's path, or a custom header
    `Authorization: Bearer …` with the channel's `token`.

    Identity: `DocumentID`, or the column that `fields = { id = "…" }` names, with a hash of the row: the
    rows of a table share an id, and a corrected document keeps it. Else a hash of the row, for a day.

    Fields: e-mail, name, subject and message are found by what the fields are called, or named in the
    channel's `fields`; the rest is told as it is. A mail without the `email` or `body` that the channel
    names is a dead letter: that is what a changed layout looks like.

    Answers: 2xx is success; a wrong token is a 401. When Parseur sends again is not documented.

    Docs: https://help.parseur.com/en/articles/3566155-send-data-using-webhooks
    https://developer.parseur.com/create-a-webhook
    """

    name = "parseur"
    label = "Parseur"
    id_columns = ("DocumentID",)
