"""The draft, and its form at the API."""

from __future__ import annotations

import pytest

from service.core.errors import UnmappableError
from service.core.mapping.draft import TicketDraft, as_payload, load_draft

LOCATION = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
USER = "0b0e7a3e-2a55-4a3e-9f6a-6f0a1c2d3e4f"


def test_a_payload_has_the_names_of_the_api() -> None:
    payload = as_payload(TicketDraft(LOCATION, "It is cold", "other", USER))

    assert payload == {
        "locationRef": LOCATION,
        "text": "It is cold",
        "type": "other",
        "userRefRequester": USER,
    }


def test_a_requester_that_is_not_set_is_left_out() -> None:
    assert "userRefRequester" not in as_payload(TicketDraft(LOCATION, "It is cold", "other"))


def test_a_payload_is_read_back_as_it_was_written() -> None:
    draft = TicketDraft(LOCATION, "It is cold", "internet", USER)

    assert load_draft({**as_payload(draft), "later": "field"}) == draft


@pytest.mark.parametrize(
    "wrong", [{"locationRef": "downtown"}, {"text": ""}, {"type": "wifi"}, {"userRefRequester": "ann"}]
)
def test_what_the_api_would_refuse_is_named(wrong: dict[str, str]) -> None:
    payload = {**as_payload(TicketDraft(LOCATION, "It is cold", "other", USER)), **wrong}

    with pytest.raises(UnmappableError, match=next(iter(wrong))):
        load_draft(payload)
