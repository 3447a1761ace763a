"""What an operator does in a real browser, and what a stranger's words cannot do there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.core.ledger import State

if TYPE_CHECKING:
    from service.core.ledger import Ledger
    from tests.browser.conftest import Operator
    from tests.web.acts import Acts

PHONE = {"width": 390, "height": 800}
HOSTILE = "</title></textarea><script>alert(1)</script>\"'><img src=//evil.example/x onerror=alert(2)>"
HOSTILE_FILE = (
    b'--x\r\nContent-Disposition: form-data; name="f"; filename="<svg onload=alert(3)>.png"\r\n\r\n'
    b"</pre><iframe src=javascript:alert(4)></iframe><style>*{display:none}</style>\r\n--x--\r\n"
)


def test_an_operator_logs_in_finds_a_dead_letter_and_replays_it(
    operator: Operator, acts: Acts, ledger: Ledger
) -> None:
    event = acts.dead("422: locationRef is not a location", subject="Broken chair")

    operator.login()
    operator.page.get_by_role("link", name="Broken chair").first.click()
    operator.page.get_by_role("button", name="Replay").click()

    operator.page.get_by_text("The event is replayed.").wait_for()
    assert ledger.event(event).state is State.QUEUED
    assert operator.alarms == []


def test_what_may_be_filed_is_sent_without_a_look_when_a_person_has_looked(
    operator: Operator, acts: Acts, ledger: Ledger
) -> None:
    event = acts.unknown()
    operator.login()
    operator.page.goto(f"{operator.address}/events/{event}")

    operator.page.get_by_label("I have looked").check()
    operator.page.get_by_role("button", name="Replay").click()

    operator.page.get_by_text("The event is replayed.").wait_for()
    assert ledger.event(event).look_after == 0


def test_ticked_dead_letters_are_discarded_together(operator: Operator, acts: Acts, ledger: Ledger) -> None:
    chair, key, kept = (acts.dead(subject=subject) for subject in ("Broken chair", "Lost key", "Kept"))
    operator.login()
    operator.page.get_by_role("link", name="Dead letters", exact=True).click()

    operator.page.get_by_label("Choose Broken chair").check()
    operator.page.get_by_label("Choose Lost key").check()
    operator.page.get_by_role("button", name="Discard ticked").click()

    operator.page.get_by_text("2 dead letters discarded.").wait_for()
    assert [ledger.event(event).state for event in (chair, key, kept)] == [
        State.DISCARDED,
        State.DISCARDED,
        State.DEAD,
    ]


def test_logging_out_closes_the_pages(operator: Operator) -> None:
    operator.login()

    operator.page.get_by_role("button", name="Log out").click()
    operator.page.get_by_text("You are logged out.").wait_for()
    operator.page.goto(f"{operator.address}/events")

    assert "/login?next=/events" in operator.page.url


def test_nothing_that_a_stranger_wrote_runs_or_reaches_another_host(operator: Operator, acts: Acts) -> None:
    event = acts.dead(
        HOSTILE,
        code=HOSTILE,
        body=HOSTILE_FILE,
        content_type="multipart/form-data; boundary=x",
        subject=HOSTILE,
        name=HOSTILE,
        email="javascript:alert(5)",
    )
    operator.login()

    for path in ("/", "/events", "/dead-letters", f"/events/{event}"):
        operator.page.goto(operator.address + path)
        assert operator.page.locator("script, img, iframe, svg, style").count() == 0
        assert operator.page.locator('a[href^="javascript:"]').count() == 0
        assert operator.page.get_by_text("<script>alert(1)</script>").first.is_visible()

    assert operator.page.get_by_text("<svg onload=alert(3)>.png").is_visible()
    assert operator.alarms == []


@pytest.mark.parametrize("path", ["/", "/events", "/dead-letters", "/events/{event}"])
def test_every_page_fits_a_phone(operator: Operator, acts: Acts, path: str) -> None:
    event = acts.dead("x" * 300, subject="y" * 300, email=f"{'z' * 60}@example.com", body=b"w" * 900)
    operator.page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
    operator.login()

    operator.page.goto(operator.address + path.format(event=event))

    assert operator.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
