"""The web side on a real port, and a real Chromium that looks at it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright

from config.channels import Channel
from sandbox.server import running
from service.app import create_app
from tests.web.acts import Acts
from tests.web.conftest import CONFIG, PASSWORD, SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Dialog, Page, Request
    from redis import Redis

    from service.core.ledger import Ledger

CONTACT = Channel("contact", "form", public=True)
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
    config = replace(CONFIG, channels=(*CONFIG.channels, CONTACT))
    with running(create_app(SETTINGS, config, redis)) as base:
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
        if not asked.url.startswith((self.address, "http://site.example/")):
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


@dataclass
class Visitor(Operator):
    """Somebody who fills in a form of another site's page."""

    def send(self, **values: str) -> None:
        """Fill the fields in, and send them off."""
        fields = "".join(f'<input name="{name}" type="text">' for name in values)
        form = (
            f'<form method="post" action="{self.address}/hooks/contact">{fields}<button>Send</button></form>'
        )
        self.page.route(
            "http://site.example/", lambda route: route.fulfill(body=form, content_type="text/html")
        )
        self.page.goto("http://site.example/")
        for name, value in values.items():
            self.page.locator(f"[name={name}]").fill(value)
        self.page.get_by_role("button", name="Send").click()
        self.page.get_by_role("heading").wait_for()

    def styled(self, *, dark: bool) -> bool:
        """Say whether the page has its colours, and fits the screen."""
        colour = self.page.evaluate("getComputedStyle(document.body).backgroundColor")
        fits = self.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        return bool(fits) and colour == ("rgb(18, 22, 27)" if dark else "rgb(246, 247, 249)")


@pytest.fixture
def visitor(browser: Browser, address: str) -> Iterator[Visitor]:
    context = browser.new_context()
    person = Visitor(context.new_page(), address)
    person.watch()
    yield person
    context.close()
