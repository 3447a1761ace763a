"""Slack's mrkdwn as plain text.

https://docs.slack.dev/messaging/formatting-message-text: `<…>` holds users, channels, special
mentions and links; `&`, `<` and `>` are escaped, nothing else. Emphasis and code marks stay: they
read well as they are.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOKEN = re.compile(r"<([^<>]+)>")


def plain(text: str, names: Mapping[str, str] | None = None) -> str:
    """Give the text as a person reads it in Slack; `names` maps ids of users and channels to names."""
    text = _TOKEN.sub(lambda found: _token(found.group(1), names or {}), text)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def escape(text: str) -> str:
    """Give the text as Slack shows it literally: no mention and no link can come out of it."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _token(inner: str, names: Mapping[str, str]) -> str:
    target, _, label = inner.partition("|")
    sign, rest = target[:1], target[1:]
    if sign in {"@", "#"}:
        return sign + (label or names.get(rest, rest)).removeprefix(sign)
    if sign == "!":
        return label or "@" + rest.partition("^")[0]
    address = target.removeprefix("mailto:")
    return f"{label} ({address})" if label not in {"", address} else address
