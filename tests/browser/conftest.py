"""The web side on a real port, and a real Chromium that looks at it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright

from sandbox.server import running
from service.app import create_app
from tests.web.acts import Acts
from tests.web.conftest import CONFIG, PASSWORD, SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Dialog, Page, Request
    from redis import Redis

    from service.core.ledger import Ledger

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    assert found is not None, f"the browser tests need one of {', '.join(_NAMES)} on the PATH"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=list(_QUIET))
        yield chromium
        chromium.close()


@pytest.fixture
def acts(ledger: Ledger, redis: Redis) -> Acts:
    return Acts(ledger, redis)


@pytest.fixture
def address(redis: Redis) -> Iterator[str]:
    with running(create_app(SETTINGS, CONFIG, redis)) as base:
        yield base


@dataclass
class Operator:
    """A person at a browser: its page, what ran or was asked for that should not have been."""

    page: Page
    address: str
    alarms: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Note every dialog, console message, error and request to another place."""
        self.page.on("dialog", self._dialog)
        self.page.on("console", lambda message: self.alarms.append(message.text))
        self.page.on("pageerror", lambda error: self.alarms.append(str(error)))
        self.page.on("request", self._request)

    def _dialog(self, dialog: Dialog) -> None:
        self.alarms.append(dialog.message)
        dialog.dismiss()

    def _request(self, asked: Request) -> None:
        if not asked.url.startswith(self.address):
            self.alarms.append(f"asked for {asked.url}")

    def login(self) -> None:
        self.page.goto(self.address)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Log in").click()
        self.page.get_by_role("heading", name="Overview").wait_for()


@pytest.fixture
def operator(browser: Browser, address: str) -> Iterator[Operator]:
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    person = Operator(context.new_page(), address)
    person.watch()
    yield person
    context.close()
