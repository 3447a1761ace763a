"""Slack's messages as plain text: mrkdwn, blocks, attachments.

https://docs.slack.dev/messaging/formatting-message-text: `<…>` holds users, channels, special
mentions and links; `&`, `<` and `>` are escaped, nothing else. Emphasis and code marks stay: they
read well as they are. Texts in rich text blocks (https://docs.slack.dev/reference/block-kit/blocks) are
not escaped.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# What stands before the value of an element, under which name it stands, and what follows it.
_PLAIN = ("", "text", "")
_LEAVES = {
    "user": ("@", "user_id", ""),
    "usergroup": ("@", "usergroup_id", ""),
    "broadcast": ("@", "range", ""),
    "channel": ("#", "channel_id", ""),
    "emoji": (":", "name", ":"),
    "date": ("", "fallback", ""),
}
_TOKEN = re.compile(r"<([^<>]+)>")


def plain(text: str, names: Mapping[str, str] | None = None) -> str:
    """Give the text as a person reads it in Slack; `names` maps ids of users and channels to names."""
    text = _TOKEN.sub(lambda found: _token(found.group(1), names or {}), text)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def escape(text: str) -> str:
    """Give the text as Slack shows it literally: no mention and no link can come out of it."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def message_text(message: Mapping[str, Any]) -> str:
    """Give a message's text: its own, else that of its blocks; then what it quotes, if it is a share."""
    text = plain(_text(message.get("text")))
    if not text.strip():
        text = "\n".join(filter(None, (_block(block) for block in _tables(message.get("blocks")))))
    quoted = [
        plain(_text(attachment.get("text")) or _text(attachment.get("fallback")))
        for attachment in _tables(message.get("attachments"))
        # Beside a text of its own an attachment is as a rule the preview of a link.
        if not text.strip() or attachment.get("is_share") is True
    ]
    return "\n\n".join(filter(None, (text.strip(), *quoted)))


def _block(block: Mapping[str, Any]) -> str:
    if block.get("type") == "rich_text":
        return _rich(block).strip("\n")
    texts = [block.get("text"), *_tables(block.get("fields")), *_tables(block.get("elements"))]
    said = [_composed(text) for text in texts if isinstance(text, dict)]
    return "\n".join(filter(None, [*said, _text(block.get("alt_text"))]))


def _composed(text: Mapping[str, Any]) -> str:
    written = _text(text.get("text"))
    return written if text.get("type") == "plain_text" else plain(written)


def _rich(node: Mapping[str, Any]) -> str:
    parts = [_rich(element) for element in _tables(node.get("elements"))]
    match node.get("type"):
        case "rich_text_list":
            return "\n" + "".join(f"- {part}\n" for part in parts)
        case "rich_text_quote" | "rich_text_preformatted":
            return "\n" + "".join(parts) + "\n"
        case "rich_text" | "rich_text_section":
            return "".join(parts)
        case _:
            return _leaf(node)


def _leaf(node: Mapping[str, Any]) -> str:
    kind = node.get("type")
    if kind == "link":
        label, address = _text(node.get("text")), _text(node.get("url")).removeprefix("mailto:")
        return f"{label} ({address})" if label not in {"", address} else address
    before, name, after = _LEAVES.get(kind, _PLAIN) if isinstance(kind, str) else _PLAIN
    return before + _text(node.get(name)) + after


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _tables(value: object) -> Iterator[Mapping[str, Any]]:
    return (one for one in (value if isinstance(value, list) else []) if isinstance(one, dict))


def _token(inner: str, names: Mapping[str, str]) -> str:
    target, _, label = inner.partition("|")
    sign, rest = target[:1], target[1:]
    if sign in {"@", "#"}:
        return sign + (label or names.get(rest, rest)).removeprefix(sign)
    if sign == "!":
        return label or "@" + rest.partition("^")[0]
    address = target.removeprefix("mailto:")
    return f"{label} ({address})" if label not in {"", address} else address
