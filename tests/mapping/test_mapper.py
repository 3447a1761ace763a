"""The whole mapping: event in, draft and reasons out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.channels import TICKET_TYPES, Channel, Rule
from service.core.errors import UnmappableError
from service.core.events import InboundEvent, InboundEventSchema, Sender
from service.core.mapping.draft import as_payload, load_draft
from service.core.mapping.mapper import Mapped, map_event
from service.core.mapping.rules import choose
from tests.mapping.strategies import EVENTS

LOCATION = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
USER = "0b0e7a3e-2a55-4a3e-9f6a-6f0a1c2d3e4f"
PAGE = Path(__file__).parents[2] / "docs" / "mapping.md"
PATTERNS = st.sampled_from(["", "a", "^$", "(?i)REF", r"\d", "never this"]).map(re.compile)
KEYS = st.sampled_from(
    ["subject", "body", "sender", "name", "recipient", "origin", "text", "fields.a", "fields."]
)
RULES = st.builds(
    Rule,
    st.dictionaries(KEYS, PATTERNS, min_size=1, max_size=3),
    location=st.none() | st.just(USER),
    type=st.none() | st.sampled_from(TICKET_TYPES),
    requester=st.none() | st.sampled_from(["lookup", "none", USER]),
)
CHANNELS = st.builds(
    Channel,
    st.just("web"),
    st.just("form"),
    location=st.none() | st.just(LOCATION),
    rules=st.lists(RULES, max_size=4).map(tuple),
)
EVENT = InboundEvent(kind="form", body="It is cold", sender=Sender("Ann", " Ann@Example.com "))


def mapped(
    event: InboundEvent = EVENT,
    *,
    requester: str = "lookup",
    location: str | None = LOCATION,
    found: str | None = None,
    refused: bool = False,
    marker: str = "sb-1",
) -> tuple[Mapped, list[tuple[str, str]]]:
    asked: list[tuple[str, str]] = []

    def find(where: str, email: str) -> str | None:
        asked.append((where, email))
        return found

    made = map_event(
        event,
        channel=Channel("web", "form", location=location, requester=requester),
        marker=marker,
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


def test_a_user_that_is_no_uuid_is_not_sent() -> None:
    with pytest.raises(UnmappableError, match="userRefRequester"):
        mapped(found="ann")


def test_trouble_in_the_lookup_goes_through() -> None:
    def away(_location: str, _email: str) -> str | None:
        raise TimeoutError("Spacebring is away")

    with pytest.raises(TimeoutError, match="away"):
        map_event(
            EVENT,
            channel=Channel("web", "form", location=LOCATION),
            marker="sb-1",
            source_label="HTML form",
            text_limit=5000,
            find_requester=away,
        )


def test_the_example_in_the_docs_is_what_the_event_becomes() -> None:
    event, wanted = re.findall(
        r"^```(?:json|text)\n(.*?)\n```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )

    made, _ = mapped(InboundEventSchema().loads(event), marker="sb-7f3kq2abcd")

    assert made.draft.text == wanted


@given(event=EVENTS, channel=CHANNELS, found=st.none() | st.just(USER), refused=st.booleans())
def test_every_event_makes_a_payload_that_the_api_takes_or_says_why_not(
    *, event: InboundEvent, channel: Channel, found: str | None, refused: bool
) -> None:
    try:
        made = map_event(
            event,
            channel=channel,
            marker="sb-1",
            source_label="HTML form",
            text_limit=2000,
            find_requester=lambda _location, _email: found,
            refused_requester=refused,
        )
    except UnmappableError as error:
        refusal = str(error)
    else:
        payload = as_payload(made.draft)
        assert load_draft(payload) == made.draft
        assert set(payload) <= {"locationRef", "text", "type", "userRefRequester"}
        assert set(made.why) == {"type", "location", "requester"}
        return
    assert re.search("No location|is empty", refusal)


@given(EVENTS, CHANNELS)
def test_the_same_rules_choose_the_same_for_the_same_event(event: InboundEvent, channel: Channel) -> None:
    assert choose(event, channel) == choose(event, channel)
