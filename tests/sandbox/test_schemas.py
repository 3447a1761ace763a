import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.problems import ApiError
from sandbox.schemas import NewTicket, TicketQuery, load, page_token
from sandbox.store import Position
from tests.sandbox.client import DOWNTOWN, ticket

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(_JSON | st.builds(ticket, locationRef=_JSON, type=_JSON, text=_JSON, userRefRequester=_JSON))
def test_whatever_is_given_as_a_ticket_is_read_or_refused_with_issues(document: object) -> None:
    with pytest.raises(ApiError) as caught:
        load(NewTicket, document)
    assert caught.value.status == 400
    assert all(set(issue) == {"code", "path", "message"} for issue in caught.value.body["issues"])
    assert json.dumps(caught.value.body)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_every_text_that_is_unicode_is_taken_as_it_is(text: str) -> None:
    assert load(NewTicket, ticket(text=text))["ticket"]["text"] == text


@given(st.text())
def test_whatever_is_given_as_a_page_token_is_read_or_refused(token: str) -> None:
    with contextlib.suppress(ApiError):
        found = load(TicketQuery, {"locationRef": DOWNTOWN, "nextPageToken": token})["after"]
        assert isinstance(found, Position)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(0, 2**63 - 1))
def test_a_page_token_is_read_as_it_was_written(value: str, seq: int) -> None:
    position = Position(value, seq)
    query = {"locationRef": DOWNTOWN, "nextPageToken": page_token(position)}
    assert load(TicketQuery, query)["after"] == position
