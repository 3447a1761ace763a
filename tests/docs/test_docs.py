"""What the docs state must be so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cli.main import main
from service.core.ledger import states
from service.core.registry import discover
from workers.spacebring import answers

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def between(page: str, name: str) -> str:
    text = (ROOT / page).read_text("utf-8")
    return text.partition(f"<!-- {name} -->\n")[2].partition(f"<!-- /{name} -->")[0]


def test_the_table_of_states_in_the_docs_is_the_one_in_code() -> None:
    assert between("docs/architecture.md", "transitions") == states.as_markdown()


def test_the_table_of_answers_in_the_docs_is_the_one_in_code() -> None:
    assert between("docs/architecture.md", "answers").strip() == answers.as_markdown().strip()


def test_the_readme_names_every_source() -> None:
    named = set(re.findall(r"docs/sources/(\w+)\.md", (ROOT / "README.md").read_text("utf-8")))

    assert named == set(discover())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_bridge_command_in_the_docs_exists(page: Path) -> None:
    commands = set(re.findall(r"`bridge ([a-z]+)", page.read_text("utf-8")))

    assert commands <= set(main.commands)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_in_the_docs_exists(page: Path) -> None:
    targets = set(re.findall(r"(?:`|^ {4})make ([a-z]+)", page.read_text("utf-8"), re.MULTILINE))
    makefile = (ROOT / "Makefile").read_text("utf-8")

    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_between_pages_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8"))

    assert all((page.parent / link).exists() for link in links)
