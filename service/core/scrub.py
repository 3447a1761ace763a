"""Takes secrets and people out of a request, so that it can become a fixture.

E-mail addresses, names, phone numbers, IP addresses and whatever looks like a token become made-up ones of
the same shape; the same one always the same, across requests too, as long as the key is kept. What people
write in their own words is left, but for these: read a capture before it is shared.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote_plus, unquote_to_bytes, urlencode, urlsplit

from python_multipart.multipart import parse_options_header

from service.core.capture import ORIGIN
from service.core.forms import MULTIPART, URLENCODED
from service.core.mail_headers import header_text
from service.core.request import Headers, InboundRequest
from service.core.stand_ins import StandIns

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAX_NAMES = 200
_MAX_DEPTH = 40
# Base64 of this length that is no text is a file; shorter it may be an id.
_MIN_FILE = 200
_WIDTH = 76

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,128}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
# What stands before `<address>`, and in it the name.
_DISPLAYED = re.compile(r"([^\n\"<>@,;:=\\]+)\"?[ \t]*<?\Z")
_CAPITALS = re.compile(r"(?:[A-ZÀ-Þ][^\W\d_]*[ .-]*)+\Z")
_BEFORE = 80
_V4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\d)")
_V6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f:]{3,39}(?![\w:])")
_PHONE = re.compile(
    r"(?<![\w+])(?:\+\d|00[1-9]|\(\d{2,5}\)|0\d{1,4}[ /-])[\d ()/.-]{5,20}\d(?!\w)"
    r"|(?<![\w.-])\d{3}[-. ]\d{3}[-. ]\d{4}(?![\w-]|\.\d)"
)
_TOKEN = re.compile(r"(?<![A-Za-z0-9_])[A-Za-z0-9_][A-Za-z0-9_-]{18,}[A-Za-z0-9_]")
_RUN = re.compile(r"[A-Za-z0-9+/_-]{8,}")
_BLOB = re.compile(r"(?m)^(?:[A-Za-z0-9+/]{4,}={0,2}\r?(?:\n|\Z))+")
_ENCODED_WORD = re.compile(r"=\?[\w-]{1,40}\?[bBqQ]\?[^?\s]{0,200}\?=")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NOT_WORD = re.compile(r"[^a-z0-9]+")

_SECRET = re.compile(
    r"token|signature|api key|apikey|authorization|trigger id|response url|handshake|session|nonce"
)
_PASSWORD = re.compile(r"passw|secret|cookie|credential")
_NAMED = re.compile(
    r"(?:.* )?(?:first|last|full|real|display|given|family|user|sender|from|to|contact|customer|requester"
    r"|your|author|respondent) name|(?:.* )?(?:fullname|firstname|lastname|surname|fname|lname|fromname"
    r"|username)"
)
_PHONED = re.compile(r"phone|mobile|\btel\b|\bfax\b")
_LABELS = ("label", "question", "title", "name", "key", "ref")
_VALUES = ("value", "answer", "text")
_DROPPED = frozenset({"content-length", "connection", "transfer-encoding", "cookie", "host"})
_KEPT = frozenset({"content-type", "accept", "accept-encoding", "date"})


def _words(key: str) -> str:
    return _NOT_WORD.sub(" ", _CAMEL.sub(" ", key).lower()).strip()


class Scrubber:
    """Replaces consistently under one key; `secrets` and `names` are known beforehand."""

    def __init__(self, key: bytes, secrets: Iterable[str] = (), names: Iterable[str] = ()) -> None:
        self._instead = StandIns(key)
        self._secrets = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
        self._names: set[str] = set()
        self._called: re.Pattern[str] | None = None
        for name in names:
            self._know(name)

    def request(self, request: InboundRequest) -> InboundRequest:
        """Give the request without secrets and people; no credential in it opens anything."""
        # The first time for the names that stand somewhere, the second to find them everywhere.
        self._scrubbed(request)
        if self._names:
            words = sorted(map(re.escape, self._names), key=len, reverse=True)
            self._called = re.compile(rf"(?<!\w)(?:{'|'.join(words)})(?!\w)", re.IGNORECASE)
        return self._scrubbed(request)

    def _scrubbed(self, request: InboundRequest) -> InboundRequest:
        path = urlsplit(request.url).path
        channel = path.partition("/hooks/")[2].partition("/")[0]
        token = "/" + self._instead.masked(request.path_token) if request.path_token else ""
        given = parse_qsl(urlsplit(request.url).query, keep_blank_values=True)
        pairs = [(key, self._value(value, key)) for key, value in given]
        query = "?" + urlencode(pairs) if pairs else ""
        return InboundRequest(
            request.method,
            f"{ORIGIN}/hooks/{channel}{token}{query}",
            Headers.of([("Host", urlsplit(ORIGIN).netloc), *self._headers(request.headers)]),
            self._body(request),
            token.removeprefix("/"),
        )

    def _headers(self, headers: Headers) -> Iterable[tuple[str, str]]:
        for name, value in headers:
            lower = name.lower()
            if lower in _KEPT:
                yield name, value
            elif lower == "authorization":
                scheme, _, rest = value.partition(" ")
                yield name, f"{scheme} {self._instead.masked(rest)}" if rest else self._instead.masked(value)
            elif lower not in _DROPPED:
                yield name, self._value(value, name)

    def _body(self, request: InboundRequest) -> bytes:
        kind, body = request.content_type, request.body
        if kind == URLENCODED:
            return b"&".join(map(self._pair, body.split(b"&")))
        if kind == MULTIPART:
            _, options = parse_options_header(
                request.headers.get("Content-Type").encode("latin-1", "replace")
            )
            if boundary := options.get(b"boundary", b""):
                delimiter = b"--" + boundary
                return delimiter.join(map(self._part, body.split(delimiter)))
        return self._bytes(body)

    def _pair(self, pair: bytes) -> bytes:
        key, equals, value = pair.partition(b"=")
        name = unquote_to_bytes(key.replace(b"+", b" ")).decode("utf-8", "replace")
        clear = self._bytes(unquote_to_bytes(value.replace(b"+", b" ")), name, flat=True)
        return key + equals + quote_plus(clear).encode()

    def _part(self, part: bytes) -> bytes:
        head, gap, content = part.partition(b"\r\n\r\n")
        if not gap:
            return part
        found = re.search(rb'name="([^"\r\n]{0,200})"', head)
        name = found.group(1).decode("utf-8", "replace") if found else ""
        if b"filename" in head.lower():
            return self._bytes(head) + gap + f"(a file of {len(content) - 2} bytes)\r\n".encode()
        inner = self._bytes(content.removesuffix(b"\r\n"), name, flat=True)
        return head + gap + inner + b"\r\n" * content.endswith(b"\r\n")

    def _bytes(self, raw: bytes, key: str = "", *, flat: bool = False) -> bytes:
        try:
            text, charset = raw.decode(), "utf-8"
        except UnicodeDecodeError:
            text, charset = raw.decode("latin-1"), "latin-1"
        return self._value(text, key, flat=flat).encode(charset, "replace")

    def _value(self, text: str, key: str = "", *, flat: bool = False) -> str:
        """Give one text: JSON by its values, base64 by what it holds, and by what its key says."""
        # Whatever its key says: a secret may be no more than words.
        text = self._without_secrets(text)
        called = _words(key)
        if _PASSWORD.search(called):
            return self._instead.masked(text)
        if _SECRET.search(called):
            return _RUN.sub(lambda found: self._instead.masked_run(found.group(), 8), text)
        if text[:1] in {"{", "[", '"'}:
            try:
                value = json.loads(text)
            except (ValueError, RecursionError):
                return self._text(text)
            compact = '": ' not in text
            return json.dumps(
                self._tree(value),
                ensure_ascii=text.isascii(),
                separators=(",", ":") if compact else None,
                indent=2 if "\n" in text else None,
            )
        if _NAMED.fullmatch(called) or (flat and called == "name"):
            self._know(text)
        if _PHONED.search(called):
            return self._instead.digits(text)
        return self._text(text)

    def _tree(self, value: Any, key: str = "", depth: int = 0) -> Any:  # noqa: ANN401 - JSON is any
        if isinstance(value, str):
            return self._value(value, key)
        if depth >= _MAX_DEPTH:
            return None
        if isinstance(value, list):
            return [self._tree(inner, key, depth + 1) for inner in value]
        if isinstance(value, dict):
            self._look_for_names(value)
            return {
                _EMAIL.sub(self._instead.address, name): self._tree(inner, name, depth + 1)
                for name, inner in value.items()
            }
        return value

    def _look_for_names(self, table: dict[str, Any]) -> None:
        """Know the name beside an address, and the answer to a question for a name."""
        texts = {name.lower(): text for name, text in table.items() if isinstance(text, str)}
        if "name" in texts and any(_EMAIL.fullmatch(text) for text in texts.values()):
            self._know(texts["name"])
        asked = (_words(texts[name]) for name in _LABELS if name in texts)
        if any(each == "name" or _NAMED.fullmatch(each) for each in asked):
            for name in _VALUES:
                self._know(texts.get(name, ""))

    def _know(self, name: str) -> None:
        words = [word for word in re.findall(r"[^\W\d_]{2,40}", name[:200]) if "@" not in name]
        if len(words) <= 5 and len(self._names) < _MAX_NAMES:  # noqa: PLR2004 - longer is no name
            self._names.update(word.lower() for word in words)

    def _know_displayed(self, before: str) -> None:
        """Know the name in `Ann Lee <`: the words in capitals, for prose may go before it."""
        found = _DISPLAYED.search(before) if before.endswith("<") else None
        if found is not None:
            capitals = _CAPITALS.search(found.group(1))
            self._know(found.group(1) if capitals is None else capitals.group())

    def _text(self, text: str) -> str:
        text = _ENCODED_WORD.sub(self._encoded_word, self._without_secrets(text))
        text = _BLOB.sub(self._blob, text)
        for found in _EMAIL.finditer(text):
            self._know_displayed(text[max(0, found.start() - _BEFORE) : found.start()])
        text = _EMAIL.sub(self._instead.address, text)
        text = _V4.sub(self._instead.v4, text)
        text = _V6.sub(self._instead.v6, text)
        text = _PHONE.sub(lambda found: self._instead.digits(found.group()), text)
        text = _TOKEN.sub(lambda found: self._instead.masked_run(found.group()), text)
        return text if self._called is None else self._called.sub(self._instead.name, text)

    def _without_secrets(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, self._instead.masked(secret))
        return text

    def _encoded_word(self, found: re.Match[str]) -> str:
        clear = header_text(found.group())
        after = found.string[found.end() : found.end() + 3]
        if after.lstrip('" ').startswith("<"):
            self._know(clear)
        clear = self._text(clear)
        return f"=?utf-8?B?{base64.b64encode(clear.encode()).decode()}?="

    def _blob(self, found: re.Match[str]) -> str:
        """Scrub the text that base64 holds; what is no text, and long, is emptied."""
        block = found.group()
        joined = "".join(block.split())
        clear = _decoded(joined)
        if not clear:
            return re.sub(r"[A-Za-z0-9+/]", "A", block) if len(joined) >= _MIN_FILE else block
        fresh = base64.b64encode(self._text(clear).encode()).decode()
        if "\n" not in block:
            return fresh
        end = "\r\n" if "\r\n" in block else "\n"
        return "".join(fresh[at : at + _WIDTH] + end for at in range(0, len(fresh), _WIDTH))


def _decoded(encoded: str) -> str:
    """Give the text that base64 holds, or nothing where it holds something else."""
    try:
        clear = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return clear if all(char.isprintable() or char.isspace() for char in clear) else ""
