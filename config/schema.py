"""What `bridge.toml` may hold, as marshmallow schemas. `config.channels` makes the records of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marshmallow import INCLUDE, Schema, ValidationError, fields, validates_schema

from config import entries, values
from config.fields import Flag, Number, Patterns, Text, TextMap, Texts, nearest, unknown_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Path = tuple[str | int, ...]

LOCKS = ("secret", "basic", "token")
# Signed with Amazon's key whatever else there is: the list of topics is the lock.
LOCKED_BY_TOPICS = "ses"
BODIES_DAYS = 30
SUMMARIES_DAYS = 90
MAX_DAYS = 3650
MAX_CAPTURES = 1000
MAX_BYTES = 2**40


class Table(Schema):
    """A table whose keys are all known; an unknown one is a problem that names the nearest."""

    class Meta:
        """Unknown keys are taken in, so that the check below can say more about them."""

        unknown = INCLUDE

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - marshmallow's own
        super().__init__(**options)
        self.error_messages = {**self.error_messages, "type": "must be a table"}

    @classmethod
    def keys(cls) -> tuple[str, ...]:
        """Give the keys that the table may hold, as they are written."""
        return tuple(field.data_key or name for name, field in cls._declared_fields.items())

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _know_every_key(self, _data: object, original: object, **_: object) -> None:
        if isinstance(original, dict):
            known = self.keys()
            wrong = {key: [unknown_key(key, known)] for key in original if key not in known}
            if wrong:
                raise ValidationError(wrong)


class SpacebringTable(Table):
    """`[spacebring]`."""

    location = Text()
    rate = Number(0.01, 10_000, whole=False)
    timeout = Number(0.01, 600, whole=False)
    text_limit = Number(2000, 1_000_000)


class RuleTable(Table):
    """`[[channels.rules]]`."""

    match = Patterns()
    location = Text()
    type = Text(entries.ticket_type)
    requester = Text(entries.requester)

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _set_something(self, _data: object, original: object, **_: object) -> None:
        if isinstance(original, dict) and not original.keys() & {"location", "type", "requester"}:
            raise ValidationError("sets nothing; give it a location, a type or a requester")


class ChannelTable(Table):
    """`[[channels]]`."""

    name = Text(entries.channel_name, required=True)
    source = Text(required=True)
    secret = Texts()
    basic = Texts(entries.basic)
    token = Texts(entries.token)
    public = Flag()
    location = Text()
    type = Text(entries.ticket_type)
    requester = Text(entries.requester)
    rules = fields.List(
        fields.Nested(RuleTable), error_messages={"invalid": "must be [[channels.rules]] tables"}
    )
    # Not named `fields`: that is marshmallow's.
    labels = TextMap(data_key="fields")
    redirects = Texts(values.origin)
    origins = Texts(values.origin)
    capture = Number(0, MAX_CAPTURES)
    api_url = Text(values.api_url)
    api_token = Text(values.secret_text)
    client_id = Text(values.secret_text)
    topics = Texts()
    certificate = Text()
    reaction = Text(entries.emoji)

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _read_what_is_reacted_to(self, _data: object, original: object, **_: object) -> None:
        if isinstance(original, dict) and "reaction" in original and "api_token" not in original:
            raise ValidationError(
                {"reaction": ["needs api_token: the message has to be read from the vendor's API"]}
            )

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _lock_the_door(self, _data: object, original: object, **_: object) -> None:
        if not isinstance(original, dict):
            return
        locked = any(key in original for key in LOCKS)
        if locked and original.get("public") is True:
            raise ValidationError({"public": ["the channel has a lock; remove public, or the lock"]})
        own = original.get("source") == LOCKED_BY_TOPICS and bool(original.get("topics"))
        if not (locked or own or original.get("public") is True):
            raise ValidationError(
                "anybody could post here; give it a secret, basic or token, or say public = true"
            )


class RetentionTable(Table):
    """`[retention]`."""

    bodies_days = Number(1, MAX_DAYS)
    summaries_days = Number(1, MAX_DAYS)
    dedupe_days = Number(1, MAX_DAYS)
    content_hours = Number(1, 24 * MAX_DAYS)

    @validates_schema
    def _keep_summaries_longest(self, data: Mapping[str, Any], **_: object) -> None:
        bodies, summaries = data.get("bodies_days", BODIES_DAYS), data.get("summaries_days", SUMMARIES_DAYS)
        if bodies > summaries:
            raise ValidationError(
                f"bodies_days ({bodies}) is more than summaries_days ({summaries}); a body needs its summary"
            )


class LedgerTable(Table):
    """`[ledger]`."""

    durability = Text(entries.durability)
    # Shorter than the time-out of the connection.
    durability_timeout = Number(0.01, 4, whole=False)
    blob_threshold = Number(0, MAX_BYTES)
    blob_cap = Number(1, MAX_BYTES)
    blobs = Text(entries.blobs)
    max_body = Number(1, MAX_BYTES)


class DeliveryTable(Table):
    """`[delivery]`: seconds, but for the two counts."""

    lease = Number(0.5, 600, whole=False)
    handover = Number(0.5, 600, whole=False)
    probe = Number(0.1, 3600, whole=False)
    outage_after = Number(1, 1000)
    retry_base = Number(0.01, 3600, whole=False)
    retry_cap = Number(0.01, 86_400, whole=False)
    tries = Number(1, 1000)


class SpoolTable(Table):
    """`[spool]`."""

    enabled = Flag()
    max_bytes = Number(1, MAX_BYTES)


class BridgeTable(Table):
    """The whole file, and what one part of it says of another."""

    spacebring = fields.Nested(SpacebringTable)
    locations = TextMap(values.uuid)
    channels = fields.List(
        fields.Nested(ChannelTable), error_messages={"invalid": "must be [[channels]] tables"}
    )
    retention = fields.Nested(RetentionTable)
    ledger = fields.Nested(LedgerTable)
    delivery = fields.Nested(DeliveryTable)
    spool = fields.Nested(SpoolTable)

    # These look at what was written, not at what was understood: beside an error they still find theirs.
    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _know_every_location(self, _data: object, original: Mapping[str, Any], **_: object) -> None:
        known = _table(original.get("locations"))
        default = _table(original.get("spacebring"))
        places: list[tuple[Path, Mapping[str, Any]]] = [(("spacebring",), default)]
        errors: list[tuple[Path, str]] = []
        for index, channel in _tables(original.get("channels")):
            path: Path = ("channels", index)
            places.append((path, channel))
            places += [((*path, "rules", place), rule) for place, rule in _tables(channel.get("rules"))]
            if "location" not in channel and "location" not in default:
                message = "is missing; set it here, or in [spacebring] for all channels"
                errors.append(((*path, "location"), message))
        for path, table in places:
            location = table.get("location")
            if isinstance(location, str) and location.strip() and not _is_location(location, known):
                message = f"{location!r} is neither in [locations] nor a uuid; {nearest(location, known)}"
                errors.append(((*path, "location"), message))
        _raise(errors)

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _name_each_channel_once(self, _data: object, original: Mapping[str, Any], **_: object) -> None:
        seen: dict[str, int] = {}
        errors: list[tuple[Path, str]] = []
        for index, channel in _tables(original.get("channels")):
            name = channel.get("name")
            if isinstance(name, str) and seen.setdefault(name, index) != index:
                message = f"is the name of channels[{seen[name]}] too; each needs its own"
                errors.append((("channels", index, "name"), message))
        _raise(errors)


def _is_location(value: str, known: Mapping[str, Any]) -> bool:
    return value in known or values.is_uuid(value)


def _raise(errors: Sequence[tuple[Path, str]]) -> None:
    tree: dict[str | int, Any] = {}
    for path, message in errors:
        node = tree
        for step in path[:-1]:
            node = node.setdefault(step, {})
        node[path[-1]] = [message]
    if tree:
        raise ValidationError(tree)


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _tables(value: object) -> Iterator[tuple[int, dict[str, Any]]]:
    for index, one in enumerate(value if isinstance(value, list) else []):
        if isinstance(one, dict):
            yield index, one
