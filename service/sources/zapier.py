"""Zapier: mails that a Zap posts with "Webhooks by Zapier"."""

from __future__ import annotations

from service.core.rows import RowsSource


class Zapier(RowsSource):
    """Mails that a Zap took apart (Email Parser, Email by Zapier, Gmail …) and posts as JSON or form.

    Authentication: none of Zapier's own: a `token` in the URL's path or as a bearer, or the action's
    "Basic Auth" and the channel's `basic`.

    Identity: `id` or `zap_meta_id` if the Zap sends one, or the column that `fields = { id = "…" }`
    names, with a hash of the content; else that hash, for a day.

    Fields: e-mail, name, subject and message are found by what the fields are called, or named in the
    channel's `fields`; the rest is told as it is. A mail without the `email` or `body` that the channel
    names is a dead letter: that is what a changed layout looks like. Zapier leaves out what is empty.

    Answers: 2xx is success. What Zapier does else depends on the plan ("Autoreplay"); it is not sent
    again otherwise. A wrong token is a 401.

    Docs: https://help.zapier.com/hc/en-us/articles/8496326446989
    """

    name = "zapier"
    label = "Zapier"
    id_columns = ("id", "zap_meta_id")
