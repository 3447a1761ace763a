"""What the docs state must be so."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from cli.main import main
from config.channels import load_config
from service.app import create_app
from service.core.ledger import states
from service.core.registry import discover
from tests.web.conftest import CONFIG, SETTINGS
from workers.spacebring import answers

if TYPE_CHECKING:
    from flask import Flask
    from redis import Redis

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

# From the channel's heading to the end of the indented block.
BLOCK = re.compile(r"^ {4}\[\[channels\]\]\n(?:^ {4}.*\n|^\n(?= {4}))*", re.MULTILINE)
FILED = '[spacebring]\nlocation = "3c90c3cc-0d44-4b50-8888-8dd25736052a"\n'


@pytest.fixture
def app(redis: Redis) -> Flask:
    return create_app(SETTINGS, CONFIG, redis)


def between(page: str, name: str) -> str:
    text = (ROOT / page).read_text("utf-8")
    return text.partition(f"<!-- {name} -->\n")[2].partition(f"<!-- /{name} -->")[0]


def test_the_table_of_states_in_the_docs_is_the_one_in_code() -> None:
    assert between("docs/architecture.md", "transitions") == states.as_markdown()


def test_the_table_of_answers_in_the_docs_is_the_one_in_code() -> None:
    assert between("docs/architecture.md", "answers").strip() == answers.as_markdown().strip()


def test_the_readme_names_every_source_once_and_in_order() -> None:
    named = re.findall(
        r"^\| \[\w+\]\(docs/sources/(\w+)\.md\)", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE
    )

    assert named == sorted(discover())


@pytest.mark.parametrize("name", sorted(discover()))
def test_a_sources_page_says_what_locks_it_what_fails_its_limits_and_what_was_seen(name: str) -> None:
    page = (ROOT / "docs" / "sources" / f"{name}.md").read_text("utf-8")

    assert {"Lock", "On failure", "Limits"} <= set(re.findall(r"\*\*([^*]+)\*\*", page))
    assert re.search(r"\*\*(Never s|S)een live\*\*", page)
    assert f'source = "{name}"' in page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_channel_in_the_docs_may_be_pasted_as_it_stands(page: Path) -> None:
    for block in BLOCK.findall(page.read_text("utf-8")):
        environ = dict.fromkeys(re.findall(r"env:(\w+)", block), "user:password-of-a-test")

        assert load_config(FILED + dedent(block), environ=environ).channels


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_bridge_command_in_the_docs_exists(page: Path) -> None:
    commands = set(re.findall(r"`bridge ([a-z]+)", page.read_text("utf-8")))

    assert commands <= set(main.commands)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_in_the_docs_exists(page: Path) -> None:
    targets = set(re.findall(r"(?:`|^ {4})make ([a-z-]+)", page.read_text("utf-8"), re.MULTILINE))
    makefile = (ROOT / "Makefile").read_text("utf-8")

    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_between_pages_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8"))

    assert all((page.parent / link).exists() for link in links)


def table(heading: str) -> list[str]:
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    section = page.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.removeprefix("| ") for line in section.splitlines() if line.startswith("| ")]
    return [row.split(" | ")[0].strip("`") for row in rows[1:]]


def test_the_docs_name_every_request_of_the_api(app: Flask) -> None:
    rules = {
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/api/")
    }

    assert {*table("API"), "GET /api/openapi.json"} == rules


def test_every_figure_that_the_docs_would_wake_somebody_for_exists(app: Flask) -> None:
    given = app.test_client().get("/metrics").text
    named = [row for row in table("Alarms") if row.startswith("bridge_")]

    assert named
    # What is counted by channel has no line before the first.
    assert all(f"\n{name} " in given or f"\n# TYPE {name} " in given for name in named)


def test_what_the_docs_have_the_dashboard_say_is_what_it_says() -> None:
    pages = ("core/overview.py", "dashboard/problems.py")
    said = "".join((ROOT / "service" / page).read_text("utf-8") for page in pages)

    parts = [part for row in table("Delivery stands still") for part in row.split(" … ")]
    assert [part for part in parts if part not in said] == []
