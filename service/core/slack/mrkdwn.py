"""Slack's messages as plain text: mrkdwn, blocks, attachments.

https://docs.slack.dev/messaging/formatting-message-text: `<…>` holds users, channels, special
mentions and links; `&`, `<` and `>` are escaped, nothing else. Emphasis and code marks stay: they
read well as they are. Texts in rich text blocks (https://docs.slack.dev/reference/block-kit/blocks) are
not escaped.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from service.core.slack.values import string, tables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    # A person's id in, the name out; the id itself where it is not known.
    NameOf = Callable[[str], str]

# What stands before the value of an element, under which name it stands, and what follows it.
_PLAIN = ("", "text", "")
_LEAVES = {
    "usergroup": ("@", "usergroup_id", ""),
    "broadcast": ("@", "range", ""),
    "channel": ("#", "channel_id", ""),
    "emoji": (":", "name", ":"),
    "date": ("", "fallback", ""),
}
_TOKEN = re.compile(r"<([^<>]+)>")


def same(user: str) -> str:
    """Leave a person's id as it is: the `NameOf` where nobody may be looked up."""
    return user


def plain(text: str, name_of: NameOf = same) -> str:
    """Give the text as a person reads it in Slack; `name_of` is asked for people without a label."""
    text = _TOKEN.sub(lambda found: _token(found.group(1), name_of), text)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def escape(text: str) -> str:
    """Give the text as Slack shows it literally: no mention and no link can come out of it."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def message_text(message: Mapping[str, Any], name_of: NameOf = same) -> str:
    """Give a message's text: its own, else that of its blocks; then what it quotes, if it is a share."""
    text = plain(string(message, "text"), name_of)
    if not text.strip():
        text = "\n".join(filter(None, (_block(block, name_of) for block in tables(message.get("blocks")))))
    quoted = [
        plain(string(attachment, "text") or string(attachment, "fallback"), name_of)
        for attachment in tables(message.get("attachments"))
        # Beside a text of its own an attachment is as a rule the preview of a link.
        if not text.strip() or attachment.get("is_share") is True
    ]
    return "\n\n".join(filter(None, (text.strip(), *quoted)))


def _block(block: Mapping[str, Any], name_of: NameOf) -> str:
    if block.get("type") == "rich_text":
        return _rich(block, name_of).strip("\n")
    texts = [block.get("text"), *tables(block.get("fields")), *tables(block.get("elements"))]
    said = [_composed(text, name_of) for text in texts if isinstance(text, dict)]
    return "\n".join(filter(None, [*said, string(block, "alt_text")]))


def _composed(text: Mapping[str, Any], name_of: NameOf) -> str:
    written = string(text, "text")
    return written if text.get("type") == "plain_text" else plain(written, name_of)


def _rich(node: Mapping[str, Any], name_of: NameOf) -> str:
    parts = [_rich(element, name_of) for element in tables(node.get("elements"))]
    match node.get("type"):
        case "rich_text_list":
            return "\n" + "".join(f"- {part}\n" for part in parts)
        case "rich_text_quote" | "rich_text_preformatted":
            return "\n" + "".join(parts) + "\n"
        case "rich_text" | "rich_text_section":
            return "".join(parts)
        case "user":
            return "@" + name_of(string(node, "user_id"))
        case _:
            return _leaf(node)


def _leaf(node: Mapping[str, Any]) -> str:
    kind = node.get("type")
    if kind == "link":
        label, address = string(node, "text"), string(node, "url").removeprefix("mailto:")
        return f"{label} ({address})" if label not in {"", address} else address
    before, name, after = _LEAVES.get(kind, _PLAIN) if isinstance(kind, str) else _PLAIN
    return before + string(node, name) + after


def _token(inner: str, name_of: NameOf) -> str:
    target, _, label = inner.partition("|")
    sign, rest = target[:1], target[1:]
    if sign == "@":
        return sign + (label or name_of(rest)).removeprefix(sign)
    if sign == "#":
        return sign + (label or rest).removeprefix(sign)
    if sign == "!":
        return label or "@" + rest.partition("^")[0]
    address = target.removeprefix("mailto:")
    return f"{label} ({address})" if label not in {"", address} else address
