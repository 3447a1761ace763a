"""What somebody sees who posts a form from a page of another site."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import ViewportSize

    from tests.browser.conftest import Visitor

PHONE: ViewportSize = {"width": 390, "height": 800}
LONG = "x" * 300


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_visitor_is_thanked_on_a_page_with_its_style(
    visitor: Visitor, scheme: Literal["light", "dark"]
) -> None:
    visitor.page.emulate_media(color_scheme=scheme)
    visitor.page.set_viewport_size(PHONE)

    visitor.send(email="ann@example.com", message="Cold room")

    assert visitor.page.get_by_role("heading").inner_text() == "Thank you"
    assert visitor.page.get_by_text("Reference: sb-").is_visible()
    assert visitor.styled(dark=scheme == "dark")
    assert visitor.alarms == []


def test_a_visitor_reads_what_to_correct_and_finds_it_still_filled_in(visitor: Visitor) -> None:
    visitor.page.set_viewport_size(PHONE)

    visitor.send(email=f"<b>{LONG}", message="Cold room")

    assert visitor.page.get_by_role("listitem").inner_text() == "Email: Not a valid e-mail address."
    assert visitor.styled(dark=False)
    visitor.page.go_back()
    assert visitor.page.locator("[name=message]").input_value() == "Cold room"
    # Chromium notes every answer beyond 400; there is nothing else.
    assert [alarm for alarm in visitor.alarms if "status of 422" not in alarm] == []
