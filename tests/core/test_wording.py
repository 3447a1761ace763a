"""How forms ask, in plain words: whatever a label is, it is read, and at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.events import Answer
from service.core.wording import BODY, EMAIL, NAME, called, is_message, is_of_another, is_plain, is_written

ASKED = st.sampled_from(
    ["{}", "Your {}", "What is your {}?", "Please enter your {}", "{} (required)", "fields[{}]"]
)


@given(
    asked=ASKED, word=st.sampled_from(sorted(EMAIL | NAME | BODY - {"what happened"})), upper=st.booleans()
)
def test_however_it_is_asked_for_it_comes_down_to_its_word(asked: str, word: str, *, upper: bool) -> None:
    label = asked.format(word).upper() if upper else asked.format(word)

    assert word in called(Answer(label, "x"))
    assert is_plain(label)
    assert not is_of_another(label, {word}, {word})


@given(label=st.text(), key=st.text(), value=st.text())
def test_any_label_and_value_are_read(label: str, key: str, value: str) -> None:
    answer = Answer(label, value, key)

    assert "" not in called(answer)
    assert isinstance(is_message(answer), bool)
    assert not is_written(answer) or any(map(str.isalpha, value))


@pytest.mark.parametrize(
    "label", ["Company name", "Work e-mail", "Landlord's name", "What did you see?", "Room 3"]
)
def test_a_label_that_says_more_is_not_plain(label: str) -> None:
    assert not is_plain(label)


@pytest.mark.parametrize(
    "label", ["", "***", "Field 3", "q3_email", "Q5 message", "Sender", "Contact e-mail"]
)
def test_a_label_that_says_no_more_is_plain(label: str) -> None:
    assert is_plain(label)


@pytest.mark.parametrize(
    ("label", "theirs"),
    [
        ("Landlord's e-mail", True),
        ("Your landlord\u2019s e-mail", True),
        ("Manager email", True),
        ("What's a good e-mail for you?", False),
        ("Email where we can reach you", False),
        ("Work email", False),
        ("Landlord", False),
    ],
)
def test_a_label_tells_whose_it_is(label: str, *, theirs: bool) -> None:
    assert is_of_another(label, EMAIL, {"email", "e mail"}) is theirs


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("https://x.example " * 50_000, False),
        ("a" + "<" * 1_000_000, True),
        ("2026-01-01T" + "0" * 1_000_000, False),
        ("2026-01-01T" + "0" * 1_000_000 + "!", True),
    ],
)
def test_a_long_value_is_judged_at_once(value: str, *, written: bool) -> None:
    assert is_written(Answer("q", value)) is written
