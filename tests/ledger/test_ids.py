"""Markers: unguessable, and found again whatever became of the text around them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from service.core.ledger.ids import marker_in, marker_of, new_event_id

# Anything but letters and digits, which would make another word of it.
ROUND = st.text(st.characters(categories=("P", "S", "Z", "Cc", "Cf")), max_size=30)


@given(before=ROUND, after=ROUND)
def test_a_marker_is_found_whatever_stands_around_it(before: str, after: str) -> None:
    marker = marker_of(new_event_id())

    assert marker_in(f"{before}{marker}{after}") == marker


def test_letters_may_have_become_capitals() -> None:
    assert marker_in("REF: SB-7F3KQ2XY8Z") == "sb-7f3kq2xy8z"


def test_what_a_sender_quotes_is_not_the_tickets_own() -> None:
    assert marker_in("> Ref: sb-0000000000\nsee above\nRef: sb-1111111111") == "sb-1111111111"


def test_a_longer_word_is_no_marker() -> None:
    assert marker_in("sb-00000000001 xsb-0000000000") is None
