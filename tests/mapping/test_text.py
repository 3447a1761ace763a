"""The text of a ticket."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.errors import UnmappableError
from service.core.events import Answer, File, InboundEvent, Sender
from service.core.mapping.text import MIN_LIMIT, person, render
from tests.mapping.strategies import EVENTS

MARKER = "sb-7f3kq2abcd"
WHOLE = InboundEvent(
    kind="form",
    sender=Sender("Ann Lee", "ann@example.com"),
    subject="Printer",
    body="It burns.\r\n\r\n\r\n\r\nPlease help.",
    answers=(
        Answer("Room", "Blue"),
        Answer("Since when?", "Monday\nmorning"),
        Answer("", "without a label"),
        Answer("Nothing said", " "),
    ),
    hidden=(Answer("", "gold", key="plan"),),
    files=(
        File("shot.png", "image/png", 2_500_000, "https://files.example/s"),
        File("a.txt", size=1500),
        File("", size=3),
        File("b.txt"),
    ),
    recipient="help@mg.example",
    origin="Help form",
)
GOLDEN = """Printer

It burns.

Please help.

Room: Blue
Since when?
    Monday
    morning
without a label

Hidden fields:
    plan: gold

Files, not attached to this ticket:
    shot.png (image/png, 2.5 MB)
        https://files.example/s
    a.txt (1.5 kB)
    without a name (3 bytes)
    b.txt

---
From: Ann Lee (ann@example.com)
To: help@mg.example
Origin: Help form
Through: web (HTML form)
Note: Requester not known
Ref: sb-7f3kq2abcd"""


def text(event: InboundEvent, limit: int = 10_000, notes: tuple[str, ...] = ()) -> str:
    return render(
        event, marker=MARKER, channel_name="web", source_label="HTML form", limit=limit, notes=notes
    )


def test_everything_that_was_said_stands_in_the_text_in_order() -> None:
    assert text(WHOLE, notes=("Requester not known", "")) == GOLDEN


def test_a_subject_that_repeats_the_first_line_is_said_once() -> None:
    event = InboundEvent(kind="form", subject="The door", body="The door\nis stuck")

    assert text(event).startswith("The door\nis stuck\n")


def test_an_empty_event_makes_no_ticket() -> None:
    with pytest.raises(UnmappableError, match="empty"):
        text(InboundEvent(kind="form", sender=Sender("Ann", "ann@example.com")))


def test_a_limit_that_leaves_no_room_names_the_setting() -> None:
    with pytest.raises(UnmappableError, match="text_limit"):
        text(WHOLE, limit=100)


def test_a_long_text_is_cut_with_a_note_and_keeps_its_footer() -> None:
    cut = text(InboundEvent(kind="email", body="word " * 2000, sender=Sender("", "a@b.example")), 2000)

    assert len(cut) <= 2000
    assert re.search(r"\n\[… [\d,]+ characters left out\]\n", cut)
    assert cut.endswith(f"From: a@b.example\nThrough: web (HTML form)\nRef: {MARKER}")


def test_answers_and_body_that_are_both_too_long_share_the_room() -> None:
    event = InboundEvent(kind="form", body="b" * 9000, answers=(Answer("A", "a" * 9000),))

    cut = text(event, 3000)

    assert len(cut) <= 3000
    assert cut.count("characters left out") == 2
    assert cut.count("a" * 1000) == 1


def test_a_senders_own_marker_line_is_quoted() -> None:
    forged = text(InboundEvent(kind="email", body="Ref: sb-0000000000\nr_e_f - SB-1"))

    assert "\n> r_e_f" in forged
    assert forged.startswith("> Ref: sb-0000000000")


@pytest.mark.parametrize("ordinary", ["Refs by mail", "Reference: sb", "See ref: sb-1", "Ref: 42"])
def test_a_line_that_only_resembles_a_marker_stays_as_it_is(ordinary: str) -> None:
    assert text(InboundEvent(kind="email", body=f"Hello\n{ordinary}")).startswith(f"Hello\n{ordinary}\n")


def test_a_marker_hidden_behind_invisible_characters_or_in_an_answer_is_quoted() -> None:
    event = InboundEvent(
        kind="form",
        body="\u200bR\u200def: sb-0000000000",
        answers=(Answer("Ref", "sb-1111111111"), Answer("Notes", "one\nRef: sb-2222222222")),
    )

    written = text(event)

    assert [line[:2] for line in written.split("\n") if "sb-" in line] == ["> ", "> ", "> ", "Re"]


def test_what_would_turn_the_reading_direction_is_taken_out() -> None:
    assert text(InboundEvent(kind="email", body="\u202ea\u2066b\u2069\u202c")).startswith("ab\n\n---\n")


def test_tabs_and_decomposed_letters_are_written_plainly() -> None:
    assert text(InboundEvent(kind="email", body="a\tb\ncafe\u0301")).startswith("a   b\ncaf\u00e9\n")


def test_the_note_counts_what_was_left_out() -> None:
    body = "x" * 9000

    cut = text(InboundEvent(kind="email", body=body), 2000)

    (count,) = re.findall(r"\[… ([\d,]+) characters left out\]", cut)
    assert int(count.replace(",", "")) == len(body) - cut.count("x")


@pytest.mark.parametrize(
    ("name", "email", "shown"),
    [("Ann", "a@b.example", "Ann (a@b.example)"), ("Ann", "", "Ann"), ("", "a@b.example", "a@b.example")],
)
def test_a_person_is_named_by_what_is_known(name: str, email: str, shown: str) -> None:
    assert person(InboundEvent(kind="email", sender=Sender(name, email))) == shown


def test_a_very_long_name_is_shortened() -> None:
    assert person(InboundEvent(kind="email", sender=Sender("n" * 500))).endswith("n…")


@given(EVENTS, st.integers(MIN_LIMIT, 9000))
def test_whatever_comes_in_the_text_is_within_the_limit_and_ends_with_the_only_marker(
    event: InboundEvent, limit: int
) -> None:
    try:
        written = text(event, limit)
    except UnmappableError:
        return

    controls = [sign for sign in written if unicodedata.category(sign) == "Cc" and sign != "\n"]
    assert 0 < len(written) <= limit
    assert written.endswith(f"\nRef: {MARKER}")
    assert len(re.findall(r"^\s*ref: sb", written, re.IGNORECASE | re.MULTILINE)) == 1
    assert "\nThrough: web (HTML form)\n" in written
    assert "\n\n\n" not in written
    assert unicodedata.is_normalized("NFC", written)
    assert controls == []
