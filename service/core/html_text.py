"""The text of an HTML mail: linear in its length, whatever the markup.

Not a renderer: good enough to read a request, for the mails that come without a text part.
"""

from __future__ import annotations

import html
import re

MAX_HTML = 1_000_000

_BLOCKS = frozenset(
    (
        *("address", "article", "aside", "blockquote", "br", "center", "div", "figure", "footer", "form"),
        *("h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "main", "nav", "p", "pre", "section"),
        *("dd", "dl", "dt", "li", "ol", "ul", "table", "tr"),
    )
)
_UNSEEN = frozenset({"script", "style", "head", "title", "template", "noscript"})
_MARKUP = re.compile(r"[!?]|/?([a-zA-Z][a-zA-Z0-9]*)")
_HREF = re.compile(r"""(?i)\bhref\s*=\s*(?:"([^"]{1,2000})"|'([^']{1,2000})'|([^\s"'>]{1,2000}))""")
_MAX_TAG = 5000
_SPACE = re.compile(r"[ \t\r\n\f]+")
_SPACE_BUT_LINES = re.compile(r"[ \t\xa0]+")
_BLANK = re.compile(r" ?\n ?")


def html_to_text(source: str) -> str:
    """Give the readable text of the first million characters."""
    text = _Reader(source[:MAX_HTML]).read()
    text = _BLANK.sub("\n", _SPACE_BUT_LINES.sub(" ", text))
    return re.sub(r"\n{3,}", "\n\n", text).strip()


class _Reader:
    def __init__(self, source: str) -> None:
        self.source = source
        self.out: list[str] = []
        self.link = ("", 0)
        self.unclosed: set[str] = set()

    def read(self) -> str:
        position = 0
        while (start := self.source.find("<", position)) >= 0:
            self._text(self.source[position:start])
            position = self._markup(start)
        self._text(self.source[position:])
        return "".join(self.out)

    def _text(self, raw: str) -> None:
        self.out.append(html.unescape(_SPACE.sub(" ", raw)))

    def _markup(self, start: int) -> int:
        """Take the markup at `start`; give where the text goes on."""
        found = _MARKUP.match(self.source, start + 1)
        if found is None:
            self.out.append("<")
            return start + 1
        closer = "-->" if self.source.startswith("<!--", start) else ">"
        end = self.source.find(closer, start)
        if end < 0:
            # Nothing after it can be markup either: looking again from each `<` would be quadratic.
            self._text(self.source[start:])
            return len(self.source)
        after = end + len(closer)
        if found.group(1):
            return self._tag(found.group(1).lower(), start, after)
        return after

    def _tag(self, name: str, start: int, after: int) -> int:
        closing = self.source[start + 1] == "/"
        if name in _UNSEEN and not closing:
            return self._skip(name, after)
        if name == "a":
            self._close_link()
            if not closing:
                self._open_link(start, min(after, start + _MAX_TAG))
        elif name in _BLOCKS:
            self.out.append("\n\n" if name == "p" else "\n")
            if name == "li" and not closing:
                self.out.append("- ")
        elif name in {"td", "th"} and closing:
            self.out.append(" ")
        return after

    def _skip(self, name: str, after: int) -> int:
        # A name that was not closed once is not looked for again: that, too, would be quadratic.
        if name not in self.unclosed:
            found = re.compile(f"</{name}", re.IGNORECASE).search(self.source, after)
            if found is not None:
                return found.start()
            self.unclosed.add(name)
        return after

    def _open_link(self, start: int, end: int) -> None:
        found = _HREF.search(self.source, start, end)
        target = html.unescape(next(filter(None, found.groups()))).strip() if found else ""
        self.link = (target, len(self.out))

    def _close_link(self) -> None:
        target, since = self.link
        self.link = ("", 0)
        if target.lower().startswith(("https://", "http://")):
            shown = "".join(self.out[since:]).strip()
            if shown not in {"", target}:
                self.out.append(f" ({target})")
