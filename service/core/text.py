"""Bytes into text that is safe to keep: charsets, control characters, addresses."""

from __future__ import annotations

import codecs
import re
import unicodedata

# What senders call it, and what it is as a rule. Windows writes cp1252 and says Latin-1.
_REALLY = {
    "unicode-1-1-utf-7": "utf-7",
    "us-ascii": "utf-8",
    "ascii": "utf-8",
    "iso-8859-1": "cp1252",
    "latin-1": "cp1252",
    "latin1": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "ks_c_5601-1987": "cp949",
    "iso-8859-8-i": "iso-8859-8",
}
# Text encodings of Python's that are no charset of any mail, and slow or odd on hostile input.
_REFUSED = frozenset({"idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape"})
# They fit any bytes, and so are declared for what is something else.
_FITS_ALL = frozenset({"cp1252", "iso8859-1"})

# C0 and C1 but tab and line feed; lone surrogates; the overrides that write text backwards.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\u202d\u202e]")
_SURROGATES = re.compile("[\ud800-\udfff]")
# The same for text that is ASCII, of which a translation takes a tenth of the time.
_ASCII_CONTROLS = {code: None for code in range(128) if _CONTROLS.match(chr(code))}
_BREAKS = ("\r\n", "\r", "\x85", "\u2028", "\u2029")
_ADDRESS = re.compile(r"[^@\s<>\"(),:;\[\]\\]+@(?:[^@\s<>\"(),:;\[\]\\.]+\.)+[^@\s<>\"(),:;\[\]\\.]{2,}")
_MAX_ADDRESS = 254
_LONG = 10_000


def decode(value: bytes, charset: str = "") -> str:
    """Give the text, whatever the bytes: the declared charset if it fits, UTF-8, Windows-1252, Latin-1.

    What is valid UTF-8 beyond ASCII is that, also where Latin-1 is declared: in Latin-1 no one writes `Ã¼`.
    """
    for name in (charset, "utf-8", "cp1252"):
        codec = _codec(name)
        if codec is not None and not (codec.name in _FITS_ALL and _is_utf8(value)):
            try:
                return codec.decode(value)[0].removeprefix("\ufeff")
            except UnicodeError:
                continue
    return value.decode("latin-1")


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return not value.isascii()


def _codec(name: str) -> codecs.CodecInfo | None:
    # Some write more parameters into the quotes of the charset.
    name = name.partition(";")[0].strip().strip("\"'").lower()
    try:
        codec = codecs.lookup(_REALLY.get(name, name))
    except (LookupError, ValueError, UnicodeError):
        return None
    # `_is_text_encoding` is how bytes.decode() itself tells charsets from `zlib` or `rot13`.
    if codec.name in _REFUSED or not getattr(codec, "_is_text_encoding", False):
        return None
    return codec


def whole(text: str) -> str:
    """Give the text without lone surrogates, which no UTF-8 can hold."""
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def clean(text: str) -> str:
    """Give the text with plain line feeds, in NFC, without control characters or space round it."""
    text = whole(text)
    for each in _BREAKS:
        text = text.replace(each, "\n")
    text = text.translate(_ASCII_CONTROLS) if text.isascii() else _CONTROLS.sub("", text)
    return unicodedata.normalize("NFC", text).strip()


def line(text: str) -> str:
    """Give the text cleaned and on one line."""
    return " ".join(clean(text).split())


def first_line(text: str, limit: int = 120) -> str:
    """Give the first line that says something, cut to the limit."""
    # A line may be a whole book.
    found = next(filter(None, (line(part[:_LONG]) for part in clean(text).split("\n"))), "")
    return found if len(found) <= limit else found[: limit - 1].rstrip() + "…"


def is_address(text: str) -> bool:
    """Say whether this is one e-mail address and nothing else."""
    return len(text) <= _MAX_ADDRESS and _ADDRESS.fullmatch(text) is not None
