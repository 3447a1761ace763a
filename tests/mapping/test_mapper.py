"""The whole mapping: event in, draft and reasons out."""

from __future__ import annotations

import pytest

from config.channels import Channel
from service.core.errors import UnmappableError
from service.core.events import InboundEvent, Sender
from service.core.mapping.mapper import Mapped, map_event

LOCATION = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
USER = "0b0e7a3e-2a55-4a3e-9f6a-6f0a1c2d3e4f"
EVENT = InboundEvent(kind="form", body="It is cold", sender=Sender("Ann", " Ann@Example.com "))


def mapped(
    event: InboundEvent = EVENT,
    *,
    requester: str = "lookup",
    location: str | None = LOCATION,
    found: str | None = None,
    refused: bool = False,
) -> tuple[Mapped, list[tuple[str, str]]]:
    asked: list[tuple[str, str]] = []

    def find(where: str, email: str) -> str | None:
        asked.append((where, email))
        return found

    made = map_event(
        event,
        channel=Channel("web", "form", location=location, requester=requester),
        marker="sb-1",
        source_label="HTML form",
        text_limit=5000,
        find_requester=find,
        refused_requester=refused,
    )
    return made, asked


def test_the_member_with_the_senders_address_is_the_requester() -> None:
    made, asked = mapped(found=USER)

    assert made.draft.user_ref_requester == USER
    assert asked == [(LOCATION, "ann@example.com")]
    assert "the member with the sender's address" in made.why["requester"]


def test_a_sender_who_is_no_member_is_named_in_the_text() -> None:
    made, _ = mapped()

    assert made.draft.user_ref_requester is None
    assert "Note: Requester not known to Spacebring: ann@example.com" in made.draft.text


def test_an_address_that_is_none_is_not_looked_up() -> None:
    made, asked = mapped(InboundEvent(kind="form", body="x", sender=Sender("", "not an address")))

    assert asked == []
    assert made.draft.user_ref_requester is None


def test_without_an_address_nobody_is_looked_up() -> None:
    made, asked = mapped(InboundEvent(kind="form", body="x"))

    assert asked == []
    assert "no e-mail address" in made.why["requester"]


def test_a_channel_may_name_one_requester_for_all() -> None:
    made, asked = mapped(requester=USER)

    assert (made.draft.user_ref_requester, asked) == (USER, [])


def test_a_channel_may_want_no_requester() -> None:
    made, asked = mapped(requester="none")

    assert (made.draft.user_ref_requester, asked) == (None, [])
    assert "Note:" not in made.draft.text


@pytest.mark.parametrize(("requester", "who"), [("lookup", "Ann (Ann@Example.com)"), (USER, f"user {USER}")])
def test_a_requester_that_was_refused_is_left_out_and_named(requester: str, who: str) -> None:
    made, asked = mapped(requester=requester, refused=True)

    assert (made.draft.user_ref_requester, asked) == (None, [])
    assert f"Note: Requester refused by Spacebring: {who}" in made.draft.text


def test_without_a_location_the_error_says_where_to_set_one() -> None:
    with pytest.raises(UnmappableError, match="set location"):
        mapped(location=None)
