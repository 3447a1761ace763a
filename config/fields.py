"""The kinds of value in `bridge.toml`, as marshmallow fields that take exactly what TOML gives.

marshmallow's own fields would take `"5"` for 5 and `true` for 1; here a wrong type is a problem.
"""

from __future__ import annotations

import difflib
import re
import warnings
from typing import TYPE_CHECKING, Any

from marshmallow import ValidationError, fields

from config.values import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Check = Callable[[str], str]

MATCH_KEYS = ("subject", "body", "sender", "name", "recipient", "origin", "text")
MATCH_FIELD = "fields."


def same(value: str) -> str:
    """Check nothing."""
    return value


class Text(fields.Field[str]):
    """A text that is not empty; `check` gives its normal form or raises InvalidValueError."""

    def __init__(self, check: Check = same, **options: Any) -> None:  # noqa: ANN401 - marshmallow's own
        super().__init__(**options, error_messages={"required": "is missing"})
        self.check = check

    def _deserialize(self, value: object, attr: str | None, data: Any, **_: object) -> str:  # noqa: ANN401
        del attr, data
        return _text(value, self.check)


class Texts(fields.Field[tuple[str, ...]]):
    """One text or a list of them, as a tuple."""

    def __init__(self, check: Check = same) -> None:
        super().__init__()
        self.check = check

    def _deserialize(self, value: object, attr: str | None, data: Any, **_: object) -> tuple[str, ...]:  # noqa: ANN401
        del attr, data
        if not isinstance(value, list):
            return (_text(value, self.check),)
        if not value:
            raise ValidationError("is an empty list; give a value, or remove the key")
        return tuple(_each(dict(enumerate(value)), lambda _, one: _text(one, self.check)).values())


class TextMap(fields.Field[dict[str, str]]):
    """A table of texts."""

    def __init__(self, check: Check = same, data_key: str | None = None) -> None:
        super().__init__(data_key=data_key)
        self.check = check

    def _deserialize(self, value: object, attr: str | None, data: Any, **_: object) -> dict[str, str]:  # noqa: ANN401
        del attr, data
        return _each(_mapping(value), lambda _, one: _text(one, self.check))


class Patterns(fields.Field[dict[str, re.Pattern[str]]]):
    """What a rule matches: a table from a part of the event to a regular expression."""

    def __init__(self) -> None:
        super().__init__(required=True, error_messages={"required": "is missing: say what the rule looks at"})

    def _deserialize(
        self,
        value: object,
        attr: str | None,
        data: Any,  # noqa: ANN401
        **_: object,
    ) -> dict[str, re.Pattern[str]]:
        del attr, data
        table = dict(_mapping(value))
        # `match = { fields.room = "x" }` is TOML for a table in the table; it means the same.
        inner = table.get("fields")
        if isinstance(inner, dict):
            del table["fields"]
            table |= {f"{MATCH_FIELD}{key}": pattern for key, pattern in inner.items()}
        if not table:
            raise ValidationError(
                "is empty; name at least one of " + ", ".join((*MATCH_KEYS, "fields.<label>"))
            )
        return _each(table, _pattern)


class Number(fields.Field[float]):
    """A number from `low` to `high`; a whole one unless `whole` is false."""

    def __init__(self, low: float, high: float, *, whole: bool = True) -> None:
        super().__init__()
        self.low, self.high, self.whole = low, high, whole

    def _deserialize(self, value: object, attr: str | None, data: Any, **_: object) -> float:  # noqa: ANN401
        del attr, data
        kinds = (int,) if self.whole else (int, float)
        # `nan` lies in no range.
        if isinstance(value, bool) or not isinstance(value, kinds) or not self.low <= value <= self.high:
            kind = "a whole number" if self.whole else "a number"
            raise ValidationError(f"must be {kind} from {self.low} to {self.high}, without quotes")
        return value


class Flag(fields.Field[bool]):
    """`true` or `false`."""

    def _deserialize(self, value: object, attr: str | None, data: Any, **_: object) -> bool:  # noqa: ANN401
        del attr, data
        if not isinstance(value, bool):
            raise ValidationError("must be true or false, without quotes")
        return value


def _text(value: object, check: Check) -> str:
    if not isinstance(value, str):
        raise ValidationError("must be a text in quotes")
    if not value.strip():
        raise ValidationError("is empty; give a value, or remove the key")
    try:
        return check(value)
    except InvalidValueError as error:
        raise ValidationError(str(error)) from error


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise ValidationError("must be a table")
    return value


def _pattern(key: object, value: object) -> re.Pattern[str]:
    if key not in MATCH_KEYS and not (str(key).startswith(MATCH_FIELD) and str(key) != MATCH_FIELD):
        raise ValidationError(unknown_key(str(key), (*MATCH_KEYS, "fields.<label or key>")))
    text = _text(value, same)
    try:
        with warnings.catch_warnings():
            # What a later Python may read differently is still a regular expression in this one.
            warnings.simplefilter("ignore")
            return re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValidationError(f"not a regular expression: {error}") from error


def _each(table: Mapping[Any, object], read: Callable[[object, object], Any]) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    wrong: dict[Any, Any] = {}
    for key, value in table.items():
        try:
            found[key] = read(key, value)
        except ValidationError as error:
            wrong[key] = error.messages
    if wrong:
        raise ValidationError(wrong)
    return found


def nearest(given: str, known: Iterable[str]) -> str:
    """Give the end of a message: what may have been meant, else what there is."""
    names = sorted(known)
    close = difflib.get_close_matches(given, names, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    shown = ", ".join(name if name.isprintable() else repr(name) for name in names)
    return f"known are: {shown}" if names else "there is none yet"


def unknown_key(given: str, known: Iterable[str]) -> str:
    """Give the message about a key that does not belong where it stands."""
    return f"unknown key; {nearest(given, known)}"
