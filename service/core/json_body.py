"""Reads JSON that strangers wrote: bounded, and free of what JSON cannot really say."""

from __future__ import annotations

import json
import math
import re
from itertools import islice
from typing import TYPE_CHECKING, Any, NoReturn

from marshmallow import EXCLUDE, Schema, ValidationError, fields

from service.core.errors import UnreadableError
from service.core.text import decode, whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MAX_DEPTH = 32
MAX_PATH = 1000
# Measured: 25 MB of `[],` are 1.2 GB of lists and 7 seconds. The largest batch of mails has a few 100,000.
MAX_PIECES = 1_000_000
# A text, or what begins a value; a text that does not end is one all the same, which keeps it linear.
_PIECE = re.compile(r'[\[{,]|"(?:[^"\\]++|\\.)*+"?', re.DOTALL)

_KINDS = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}
_KINDS |= dict.fromkeys((int, float), "a number")


class Lenient(Schema):
    """A record of somebody else's: what it has beside our fields is passed over."""

    class Meta:
        """As marshmallow asks for it."""

        unknown = EXCLUDE


class Text(fields.Field[str]):
    """A text of somebody else's, whatever came of it: numbers are read, all else is as good as nothing."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - the base class's
        super().__init__(load_default="", **options)

    def deserialize(self, value: Any, *_: object, **__: object) -> str:  # noqa: ANN401 - JSON is any
        """Give the scalar as text; nothing for null, objects, lists, and where there is none."""
        return scalar_text(value)


class Table(fields.Field[dict[str, Any]]):
    """What stands beside the answers, by names: anything but an object is as good as nothing."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - the base class's
        super().__init__(load_default=dict, **options)

    def deserialize(self, value: Any, *_: object, **__: object) -> dict[str, Any]:  # noqa: ANN401 - JSON is any
        """Give the object; an empty one for all else, and where there is none."""
        return value if isinstance(value, dict) else {}


def read_json(body: bytes, *, strict: bool = False, depth: int = MAX_DEPTH, pieces: int = MAX_PIECES) -> Any:  # noqa: ANN401 - JSON is any
    """Give the value that the body holds.

    NaN and infinities are refused, lone surrogates replaced; of a repeated key the last counts.
    Unless `strict`, a body that is not UTF-8 is read as Windows-1252. Raises UnreadableError, also
    over so many brackets, commas and texts: nothing is built of them before they are counted.
    """
    try:
        text = body.decode("utf-8-sig") if strict else decode(body)
        if _has_more_than(pieces, text):
            raise UnreadableError(f"the JSON has more than {pieces} pieces")
        return _tame(json.loads(text, parse_constant=_refuse, parse_float=_finite), depth)
    except RecursionError as error:
        raise UnreadableError(f"the JSON is nested deeper than {depth}") from error
    except UnicodeDecodeError as error:
        raise UnreadableError("the body is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise UnreadableError(f"the body is not JSON: {error}") from error
    except ValueError as error:
        # Python's own limit; its words tell a caller how to lift it.
        raise UnreadableError("the body is not JSON: a number has too many digits") from error


def _has_more_than(pieces: int, text: str) -> bool:
    # What a text holds may only look like pieces: then they are counted one by one.
    return sum(map(text.count, '[{,"')) > pieces and any(islice(_PIECE.finditer(text), pieces, None))


def read_object(body: bytes, *, pieces: int = MAX_PIECES) -> dict[str, Any]:
    """Give the object that the body holds, read leniently; raises UnreadableError if it is none."""
    value = read_json(body, pieces=pieces)
    if not isinstance(value, dict):
        raise UnreadableError("the JSON is not an object")
    return value


def load(schema: Schema, value: object, what: str = "") -> dict[str, Any]:
    """Give what the schema makes of the value, nulls left out; raises UnreadableError naming each path.

    `what` is the value's own name, for that error.
    """
    if not isinstance(value, dict):
        raise UnreadableError(
            f"not as documented: {what or 'the JSON'} must be an object, not {kind_of(value)}"
        )
    try:
        loaded: dict[str, Any] = schema.load(value)
    except ValidationError as error:
        found = problems_of(error).items()
        problems = "; ".join(f"{path}: {_plainly(' '.join(texts))}" for path, texts in found)
        where = f" ({what})" if what else ""
        raise UnreadableError(f"not as documented{where}: {problems}") from error
    return {name: inner for name, inner in loaded.items() if inner is not None}


def kind_of(value: object) -> str:
    """Give what a JSON value is, in words: `a list`."""
    return "null" if value is None else _KINDS[type(value)]


def _plainly(problem: str) -> str:
    return problem.replace("Invalid input type.", "Must be an object.")


def problems_of(error: ValidationError, prefix: str = "") -> dict[str, list[str]]:
    """Give what is wrong by path: `requester.email`, `files.0.name`."""
    return dict(_problems(error.normalized_messages(), prefix))  # type: ignore[no-untyped-call]


def _problems(messages: dict[Any, Any], prefix: str) -> Iterator[tuple[str, list[str]]]:
    for name, inner in messages.items():
        path = f"{prefix}{name}".removesuffix("._schema")
        if isinstance(inner, dict):
            yield from _problems(inner, f"{path}.")
        else:
            yield path, inner


def scalar_text(value: object) -> str:
    """Give a JSON scalar as a person writes it; nothing for null, objects and lists."""
    if isinstance(value, bool):
        return "Yes" if value else "No"
    return str(value) if isinstance(value, str | int | float) else ""


def first_text(body: Mapping[str, object], names: Iterable[str]) -> str:
    """Give the first scalar that an object has under any of these names, as text; else nothing."""
    return next(filter(None, (scalar_text(body.get(name)) for name in names)), "")


def unpacked(value: object) -> object:
    """Give the list that a text holds as JSON; the value itself where it holds none."""
    if not isinstance(value, str) or not value.lstrip().startswith("["):
        return value
    try:
        return read_json(value.encode())
    except UnreadableError:
        return value


def check_path(path: str) -> None:
    """Raise UnreadableError for a path longer than names are: every value below it would repeat it."""
    if len(path) > MAX_PATH:
        raise UnreadableError(f"the name {path[:40]!r}… is longer than {MAX_PATH} characters")


def flatten(key: str, value: object) -> Iterator[tuple[str, str]]:
    """Give the texts in a value with their paths; a list of scalars is one text.

    Raises UnreadableError where a path is too long.
    """
    check_path(key)
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from flatten(f"{key}.{name}", inner)
    elif isinstance(value, list):
        yield key, ", ".join(filter(None, map(scalar_text, value)))
        for place, inner in enumerate(value):
            if isinstance(inner, dict | list):
                yield from flatten(f"{key}.{place}", inner)
    else:
        yield key, scalar_text(value)


def _refuse(constant: str) -> NoReturn:
    raise UnreadableError(f"the body is not JSON: {constant} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise UnreadableError("the body is not JSON: a number is out of range")
    return number


def _tame(value: object, depth: int) -> object:
    if isinstance(value, str):
        return whole(value)
    if isinstance(value, dict | list):
        if depth == 0:
            raise RecursionError
        if isinstance(value, dict):
            return {whole(key): _tame(inner, depth - 1) for key, inner in value.items()}
        # Files come as lists of millions of numbers.
        return [inner if type(inner) is int else _tame(inner, depth - 1) for inner in value]
    return value
