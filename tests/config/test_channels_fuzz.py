"""Whatever stands in `bridge.toml`: a configuration or a ConfigError comes out, and no secret shows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from config.channels import Config, load_config
from config.errors import ConfigError
from config.fields import MATCH_KEYS
from config.schema import BridgeTable, ChannelTable, LedgerTable, RetentionTable, RuleTable, SpacebringTable

if TYPE_CHECKING:
    from collections.abc import Sequence

# Stands in the environment only, as user:password and token alike.
SECRET = "hunter2:hunter2-hunter2"
VALID = """
[spacebring]
location = "downtown"
rate = 9.5
[locations]
downtown = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
[[channels]]
name = "mail"
source = "mailgun"
secret = ["env:KEY", "literal"]
basic = "env:KEY"
token = "env:KEY"
fields = { email = "q3" }
[[channels.rules]]
match = { subject = "(?i)wifi", "fields.Which room?" = "kitchen" }
type = "internet"
[[channels]]
name = "web"
source = "form"
public = true
redirects = ["https://example.com"]
"""

words = st.sampled_from(
    ["downtown", "3c90c3cc-0d44-4b50-8888-8dd25736052a", "lookup", "other", "env:KEY", "env:NOPE", "file:x",
     "https://example.com", "http://[", "(", "(?i)a", "web", "user:password", "sixteen-characters-at-least"]
)  # fmt: skip
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
scalars = (
    words
    | texts
    | st.integers(-(2**63), 2**63)
    | st.floats()
    | st.booleans()
    | st.just("1979-05-27T07:32:00Z")
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words | texts, inner, max_size=3)
)


def table(*keys: str, **known: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    optional = dict.fromkeys(keys, values) | known
    return st.fixed_dictionaries({}, optional=optional | {"unknown": values})


rules = table(*RuleTable.keys(), match=table(*MATCH_KEYS, "fields") | values)
channels = table(*ChannelTable.keys(), rules=st.lists(rules, max_size=2) | values)
files = table(
    *BridgeTable.keys(),
    spacebring=table(*SpacebringTable.keys()) | values,
    channels=st.lists(channels | values, max_size=3) | values,
    retention=table(*RetentionTable.keys()) | values,
    ledger=table(*LedgerTable.keys()) | values,
)


def toml(value: Any) -> str:  # noqa: ANN401 - any TOML value
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(key)} = {toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(toml(one) for one in value) + "]"
    if isinstance(value, float):
        return repr(value) if value == value else "nan"  # noqa: PLR0124 - nan is not itself
    return json.dumps(value, ensure_ascii=False)


def load(text: str) -> Config | None:
    try:
        return load_config(text, environ={"KEY": SECRET})
    except ConfigError as error:
        check(error.problems)
        return None


def check(problems: Sequence[str]) -> None:
    assert problems
    assert all(problem and problem.isprintable() for problem in problems)
    assert SECRET not in "".join(problems)


@given(st.text())
def test_any_text_is_a_configuration_or_a_configuration_error(text: str) -> None:
    load(text + "\n")


@given(files)
def test_any_tables_are_a_configuration_or_a_configuration_error(tables: dict[str, Any]) -> None:
    load("\n".join(f"{toml(key)} = {toml(value)}" for key, value in tables.items()) + "\n")


@given(st.integers(0, len(VALID)), st.integers(0, 30), st.sampled_from(VALID.split()) | texts)
def test_a_mutated_configuration_is_a_configuration_or_a_configuration_error(
    start: int, length: int, put: str
) -> None:
    config = load(VALID[:start] + put + VALID[start + length :])

    assert config is None or SECRET not in repr(config)


def test_the_configuration_to_mutate_is_valid() -> None:
    assert load(VALID) is not None
