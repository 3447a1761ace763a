"""Faults that can be switched on while the sandbox runs: what they are, and when they strike."""

import json
import random
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, post_load, validate, validates_schema

from sandbox.store import Store

# For each kind: whether it strikes after the ticket is filed, and the settings that mean something to it.
_KINDS: Mapping[str, tuple[bool, frozenset[str]]] = {
    "status": (False, frozenset({"status", "retry_after"})),
    "latency": (False, frozenset({"seconds"})),
    "timeout_before_commit": (False, frozenset({"seconds"})),
    "reset": (False, frozenset()),
    "timeout_after_commit": (True, frozenset({"seconds"})),
    "error_after_commit": (True, frozenset({"status", "retry_after"})),
    "wrong_json": (True, frozenset()),
    "reset_after_commit": (True, frozenset()),
}
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "*")
_HOUR = 3600


@dataclass(frozen=True)
class Call:
    """What a fault is matched against: a request, and the location that it is about if it names one."""

    method: str
    path: str
    location: str | None


@dataclass(frozen=True)
class Fault:
    """One fault: what happens (`kind`), to which requests, and how often.

    It strikes every request that matches `methods` ("*" is any), `path` (a prefix) and `location`; or only
    a share of them (`rate`), or every n-th (`every`); and no more than `times`. Kinds with `commit` in
    their name strike only requests that would have succeeded.
    """

    kind: str
    rate: float = 1.0
    every: int | None = None
    methods: tuple[str, ...] = ("POST",)
    path: str = "/"
    times: int | None = None
    location: str | None = None
    status: int = 500
    retry_after: int | None = None
    seconds: float = 30.0

    @property
    def after_commit(self) -> bool:
        """Whether the request is carried out before the fault strikes."""
        return _KINDS[self.kind][0]

    def matches(self, call: Call) -> bool:
        """Say whether the fault is meant for this request."""
        return (
            ("*" in self.methods or call.method in self.methods)
            and call.path.startswith(self.path)
            and self.location in {None, call.location}
        )

    def document(self) -> dict[str, Any]:
        """Give the fault as JSON, without what is not set or means nothing to its kind."""
        idle = {"status", "retry_after", "seconds"} - _KINDS[self.kind][1]
        document = {
            key: value for key, value in asdict(self).items() if value is not None and key not in idle
        }
        return document | {"methods": list(self.methods)}


class BadFaultsError(ValueError):
    """Faults that cannot be switched on; `errors` names each thing that is wrong."""

    def __init__(self, errors: Sequence[str]) -> None:
        super().__init__("; ".join(errors))
        self.errors = tuple(errors)


class _FaultSchema(Schema):
    class Meta:
        unknown = RAISE

    kind = fields.String(required=True, validate=validate.OneOf(tuple(_KINDS)))
    rate = fields.Float(validate=validate.Range(0, 1))
    every = fields.Integer(strict=True, validate=validate.Range(min=1))
    methods = fields.List(fields.String(validate=validate.OneOf(_METHODS)), validate=validate.Length(min=1))
    path = fields.String(validate=validate.Regexp("/", error="Must start with a slash."))
    times = fields.Integer(strict=True, validate=validate.Range(min=1))
    location = fields.UUID()
    status = fields.Integer(strict=True, validate=validate.Range(300, 599))
    retry_after = fields.Integer(strict=True, validate=validate.Range(0, _HOUR))
    seconds = fields.Float(validate=validate.Range(0, _HOUR))

    @validates_schema
    def _check_settings(self, data: Mapping[str, Any], **_: object) -> None:
        after_commit, settings = _KINDS[data["kind"]]
        errors = {
            key: [f"Means nothing to the kind {data['kind']}."]
            for key in ("status", "retry_after", "seconds")
            if key in data and key not in settings
        }
        if "rate" in data and "every" in data:
            errors["every"] = ["Give either a rate or every, not both."]
        if "status" in settings and not after_commit and "status" not in data:
            errors["status"] = ["Say which status."]
        if data["kind"] == "latency" and "seconds" not in data:
            errors["seconds"] = ["Say how many seconds."]
        if errors:
            raise ValidationError(errors)

    @post_load
    def _make(self, data: Mapping[str, Any], **_: object) -> Fault:
        changes = dict(data)
        if "methods" in data:
            changes["methods"] = tuple(data["methods"])
        if "location" in data:
            changes["location"] = str(data["location"])
        return Fault(**changes)


class _FaultsSchema(Schema):
    class Meta:
        unknown = RAISE

    error_messages: dict[str, str] = {  # noqa: RUF012 - marshmallow declares it for instances
        "type": "Give a fault, a list of faults, or {faults, seed}."
    }

    faults = fields.List(fields.Nested(_FaultSchema), required=True)
    seed = fields.Integer(strict=True, load_default=None, allow_none=True)


def _sentences(errors: object, path: str = "") -> list[str]:
    if isinstance(errors, Mapping):
        return [
            sentence
            for key, inner in errors.items()
            for sentence in _sentences(inner, path if key == "_schema" else f"{path}{_step(key, path)}")
        ]
    texts = errors if isinstance(errors, list) else [errors]
    return [f"{path}: {text}" if path else str(text) for text in texts]


def _step(key: object, path: str) -> str:
    if isinstance(key, int):
        return f"[{key}]"
    return f".{key}" if path else str(key)


def parse_faults(document: object) -> tuple[list[Fault], int | None]:
    """Read one fault, a list of them, or `{"faults": [...], "seed": n}`; raise BadFaultsError."""
    if isinstance(document, list):
        document = {"faults": document}
    elif isinstance(document, dict) and "faults" not in document:
        fault = {key: value for key, value in document.items() if key != "seed"}
        document = {"faults": [fault], "seed": document.get("seed")}
    try:
        loaded: dict[str, Any] = _FaultsSchema().load(document)  # type: ignore[arg-type]
    except ValidationError as error:
        raise BadFaultsError(_sentences(error.messages)) from error
    return loaded["faults"], loaded["seed"]


@dataclass(frozen=True)
class Active:
    """A fault that is on: how many requests it was meant for, and how many of them it struck."""

    fault: Fault
    matched: int = 0
    struck: int = 0

    @property
    def spent(self) -> bool:
        """Whether the fault has struck as often as it may."""
        return self.fault.times is not None and self.struck >= self.fault.times

    def document(self) -> dict[str, Any]:
        """Give the fault and its counts as JSON."""
        return self.fault.document() | {"matched": self.matched, "struck": self.struck}


class Faults:
    """The faults that are on, kept in the store; safe to use from many threads."""

    _NAME = "faults"

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._seed = secrets.randbits(32)
        self._active: list[Active] = []
        kept = store.document(self._NAME)
        if kept is not None:
            self._restore(json.loads(kept))

    def replace(self, faults: Sequence[Fault], seed: int | None = None) -> None:
        """Switch these faults on in place of all others; the same seed strikes the same requests again."""
        with self._lock:
            self._seed = secrets.randbits(32) if seed is None else seed
            self._active = [Active(fault) for fault in faults]
            self._keep()

    def switch(self, fault: Fault, *, on: bool) -> None:
        """Switch one fault on, with its counts from zero, or off; others stay as they are."""
        with self._lock:
            self._active = [active for active in self._active if active.fault != fault]
            if on:
                self._active.append(Active(fault))
            self._keep()

    def strike(self, call: Call, *, after_commit: bool) -> list[Fault]:
        """Give the faults that strike a request now, in their order: delays, and at most one that ends it."""
        striking: list[Fault] = []
        with self._lock:
            before = list(self._active)
            for index, active in enumerate(before):
                fault = active.fault
                if fault.after_commit is not after_commit or active.spent or not fault.matches(call):
                    continue
                strikes = self._strikes(fault, index, active.matched + 1)
                self._active[index] = replace(
                    active, matched=active.matched + 1, struck=active.struck + strikes
                )
                if strikes:
                    striking.append(fault)
                    if fault.kind != "latency":
                        break
            if self._active != before:
                self._keep()
        return striking

    def active(self) -> list[Active]:
        """Give the faults that are on."""
        with self._lock:
            return list(self._active)

    def document(self) -> dict[str, Any]:
        """Give the seed and the faults that are on, with their counts, as JSON."""
        with self._lock:
            return {"seed": self._seed, "faults": [active.document() for active in self._active]}

    def _strikes(self, fault: Fault, index: int, matched: int) -> bool:
        if fault.every is not None:
            return matched % fault.every == 0
        # One draw for each request counted, so that neither threads nor a restart change the sequence.
        draw = random.Random(f"{self._seed}:{index}:{matched}").random()  # noqa: S311 - no secret, must repeat
        return draw < fault.rate

    def _keep(self) -> None:
        document = {
            "seed": self._seed,
            "faults": [active.fault.document() for active in self._active],
            "counts": [[active.matched, active.struck] for active in self._active],
        }
        self._store.keep(self._NAME, json.dumps(document))

    def _restore(self, document: dict[str, Any]) -> None:
        faults, _ = parse_faults(document["faults"])
        self._seed = document["seed"]
        self._active = [
            Active(fault, matched, struck)
            for fault, (matched, struck) in zip(faults, document["counts"], strict=True)
        ]
