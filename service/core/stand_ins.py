"""Made-up values in the place of real ones: of the same shape, and one key gives the same for the same."""

from __future__ import annotations

import hashlib
import ipaddress
import re

_FIRST = (
    *("Ada", "Alma", "Ben", "Carl", "Cleo", "Dan", "Dora", "Edda", "Eva", "Finn"),
    *("Flo", "Gil", "Gus", "Hana", "Hugo", "Ida", "Ivo", "Jan", "Kai", "Kim"),
    *("Lea", "Liv", "Max", "Mia", "Nils", "Nora", "Olga", "Otto", "Pia", "Ravi"),
)
_HEX = re.compile(r"[0-9a-f-]+")


class StandIns:
    """Gives the stand-in of a value; nobody finds the way back without the key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def address(self, found: re.Match[str]) -> str:
        """Give an address for an address."""
        seed = self._seed(found.group().lower())
        return f"{_FIRST[seed[0] % len(_FIRST)].lower()}.{seed[1:4].hex()}@example.com"

    def name(self, found: re.Match[str]) -> str:
        """Give a first name for a word of a name, in capitals where that is."""
        word = found.group()
        fresh = _FIRST[self._seed(word.lower())[0] % len(_FIRST)]
        return fresh.upper() if word.isupper() else fresh.lower() if word.islower() else fresh

    def v4(self, found: re.Match[str]) -> str:
        """Give an address of those kept for examples (RFC 5737)."""
        return f"192.0.2.{self._seed(found.group())[0]}"

    def v6(self, found: re.Match[str]) -> str:
        """Give an address of those kept for examples (RFC 3849); what is none stays."""
        try:
            ipaddress.IPv6Address(found.group())
        except ValueError:
            return found.group()
        return f"2001:db8::{self._seed(found.group().lower())[:2].hex()}"

    def masked_run(self, run: str, least: int = 16) -> str:
        """Mask a run of letters and digits mixed; a word and a number stay."""
        mixed = any(char.isdigit() for char in run) and any(char.isalpha() for char in run)
        return self.masked(run) if mixed and len(run) >= least else run

    def digits(self, text: str) -> str:
        """Give other digits in the same places."""
        seed = self._seed(text, len(text))
        return "".join(
            str(byte % 10) if char.isdigit() else char for char, byte in zip(text, seed, strict=False)
        )

    def masked(self, text: str) -> str:
        """Give a made-up text with the same kinds of characters in the same places."""
        letters = "abcdef" if _HEX.fullmatch(text) else "abcdefghijklmnopqrstuvwxyz"
        seed = self._seed(text, len(text))
        return "".join(map(_like, text, seed, [letters] * len(text)))

    def _seed(self, text: str, length: int = 16) -> bytes:
        return hashlib.shake_128(self._key + text.encode("utf-8", "replace")).digest(max(length, 16))


def _like(char: str, seed: int, letters: str) -> str:
    if char.isdigit():
        return str(seed % 10)
    if char.isalpha():
        fresh = letters[seed % len(letters)]
        return fresh.upper() if char.isupper() else fresh
    return char
