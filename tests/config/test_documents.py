"""The example files and the documentation say what the code does, in both directions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from config.channels import TICKET_TYPES, load_config
from config.fields import MATCH_KEYS
from config.references import KEYS
from config.schema import (
    BridgeTable,
    ChannelTable,
    LedgerTable,
    RetentionTable,
    RuleTable,
    SpacebringTable,
    SpoolTable,
    Table,
)
from config.settings import Settings, load_settings
from config.variables import VARIABLES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
EXAMPLE = (ROOT / "bridge.toml").read_text(encoding="utf-8")
ENVIRONMENT = (ROOT / ".env.example").read_text(encoding="utf-8")


def section(heading: str) -> str:
    match = re.search(rf"^{re.escape(heading)}\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert match is not None, heading
    return match[1]


def rows(heading: str) -> list[list[str]]:
    cells = [
        re.split(r" ?\| ?", line)[1:-1] for line in section(heading).splitlines() if line.startswith("| `")
    ]
    return [[cell.strip() for cell in row] for row in cells]


def test_the_example_environment_loads_and_holds_every_variable_once() -> None:
    written = [line.split("=", 1) for line in ENVIRONMENT.splitlines() if line and not line.startswith("#")]

    assert sorted(name for name, _ in written) == sorted(variable.name for variable in VARIABLES)
    assert {name: value for name, value in written if value} == {
        variable.name: variable.default for variable in VARIABLES if variable.default
    }
    assert load_settings(dict(written)) == Settings()


def test_every_variable_of_the_example_environment_has_a_comment() -> None:
    for block in ENVIRONMENT.strip().split("\n\n"):
        assert block.startswith("#"), block


def test_the_example_configuration_works_without_any_environment() -> None:
    config = load_config(str(ROOT / "bridge.toml"), environ={})

    (channel,) = config.channels
    assert (channel.name, channel.source, channel.public, len(channel.rules)) == ("website", "form", True, 2)
    assert channel.location == config.locations["downtown"] == "3c90c3cc-0d44-4b50-8888-8dd25736052a"


def test_the_example_configuration_is_valid_with_every_block_taken_in() -> None:
    taken_in = re.sub(r"(?m)^# (?!---)|^#$", "", EXAMPLE[EXAMPLE.index("# --- mailgun") :])
    environ = dict.fromkeys(re.findall(r"env:(\w+)", taken_in), "a-dummy:of-sixteen-or-more")
    text = EXAMPLE[: EXAMPLE.index("# --- mailgun")] + taken_in

    config = load_config(text, environ=environ)

    assert [channel.source for channel in config.channels] == [
        "form",
        "mailgun",
        "postmark",
        "typeform",
        "slack",
        "json",
    ]


def test_the_page_lists_every_variable_as_the_table_has_it() -> None:
    assert rows("## Environment") == [
        [
            f"`{variable.name}`",
            variable.meaning,
            f"`{variable.default}`" if variable.default else "",
            "yes" if variable.secret else "",
        ]
        for variable in VARIABLES
    ]


@pytest.mark.parametrize(
    ("heading", "table"),
    [
        ("### [spacebring]", SpacebringTable),
        ("### [[channels]]", ChannelTable),
        ("#### Rules", RuleTable),
        ("### [retention]", RetentionTable),
        ("### [ledger]", LedgerTable),
        ("### [spool]", SpoolTable),
    ],
)
def test_the_page_lists_every_key_of_each_table(heading: str, table: type[Table]) -> None:
    assert sorted(row[0].strip("`") for row in rows(heading)) == sorted(table.keys())


def test_the_page_has_a_section_for_each_table_of_the_file() -> None:
    assert re.findall(r"^### \[+(\w+)\]+$", PAGE, re.MULTILINE) == list(BridgeTable.keys())


@pytest.mark.parametrize("heading", ["### [spacebring]", "### [retention]", "### [ledger]", "### [spool]"])
def test_the_defaults_that_the_page_names_are_those_of_the_code(heading: str) -> None:
    name = heading.strip("# []")
    defaults = getattr(load_config("\n", environ={}), name)

    for key, _, default in rows(heading):
        value = getattr(defaults, key.strip("`"))
        assert default.strip("`") == ("" if value is None else str(value))


def test_the_page_names_every_type_part_and_key_for_secrets() -> None:
    assert re.findall(r"`(\w+)`", section("### [[channels]]").split("Types:")[1]) == list(TICKET_TYPES)
    parts = section("#### Rules").split("The parts are ")[1].split(" and ")[0]
    assert tuple(re.findall(r"`(\w+)`", parts)) == MATCH_KEYS
    (named,) = re.findall(r"\n\n(.*) may be written", section("#### Secrets"))
    assert tuple(re.findall(r"`(\w+)`", named)) == KEYS
