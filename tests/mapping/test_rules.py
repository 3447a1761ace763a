"""The first rule that matches sets a value, for each value by itself."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from config.channels import Channel, Rule
from service.core.errors import UnmappableError
from service.core.events import Answer, File, InboundEvent, Sender
from service.core.mapping.rules import choose

HOME, AWAY = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
PLACES = {"home": HOME, "away": AWAY}
EVENT = InboundEvent(
    kind="form",
    sender=Sender("Ann Lee", "ann@example.com"),
    subject="The Wi-Fi is down",
    body="Since Monday",
    answers=(Answer("Which  Room?", "Blue", key="q1"), Answer("", "Green", key="")),
    hidden=(Answer("plan", "gold"),),
    files=(File("shot.png"),),
    recipient="help@mg.example",
    origin="Help form",
    placed=(Answer("What happened?", "Since Monday", key="q9"),),
)


def channel(*rules: Rule) -> Channel:
    return Channel("web", "form", location=HOME, rules=rules)


def rule(key: str, pattern: str, **sets: str) -> Rule:
    return Rule({key: re.compile(pattern)}, **sets)


def test_without_rules_the_channel_decides() -> None:
    choice = choose(EVENT, channel())

    assert (choice.type, choice.location, choice.requester) == ("other", HOME, "lookup")
    assert choice.why["type"] == "channel default"


def test_the_first_match_of_each_value_wins() -> None:
    choice = choose(
        EVENT,
        channel(
            rule("subject", "nothing of it", type="cleaning"),
            rule("subject", "(?i)wi-?fi", type="internet"),
            rule("body", "Monday", type="printing", location=AWAY, requester="none"),
        ),
    )

    assert (choice.type, choice.location, choice.requester) == ("internet", AWAY, "none")
    assert choice.why["type"] == "rule 2: subject matches '(?i)wi-?fi'"


def test_every_pattern_of_a_rule_must_match() -> None:
    both = Rule({"subject": re.compile("Wi-Fi"), "body": re.compile("Tuesday")}, type="internet")

    assert choose(EVENT, channel(both)).type == "other"


@pytest.mark.parametrize(
    ("key", "pattern"),
    [
        ("sender", "^ann@"),
        ("name", "Lee"),
        ("recipient", "help@"),
        ("origin", "form"),
        ("text", "Blue"),
        ("text", "shot"),
        ("fields.which room?", "Blue"),
        ("fields.Q1", "Blue"),
        ("fields.plan", "gold"),
        ("fields.what happened?", "Since Monday"),
        ("fields.q9", "Monday"),
    ],
)
def test_a_rule_sees_every_part_of_an_event(key: str, pattern: str) -> None:
    assert choose(EVENT, channel(rule(key, pattern, type="access"))).type == "access"


def test_a_field_that_was_not_asked_matches_nothing() -> None:
    assert choose(EVENT, channel(rule("fields.colour", "", type="access"))).type == "other"


def test_what_the_sender_chose_goes_before_rules_and_defaults() -> None:
    chosen = replace(EVENT, type="cleaning", location="away")
    deciding = replace(channel(rule("body", "Monday", type="printing", location=HOME)), locations=PLACES)

    choice = choose(chosen, deciding)

    assert (choice.type, choice.location, choice.requester) == ("cleaning", AWAY, "lookup")
    assert choice.why["type"] == choice.why["location"] == "chosen by the sender"


def test_a_location_that_was_chosen_and_is_gone_is_nobody_elses() -> None:
    with pytest.raises(UnmappableError, match="'uptown', which is not in"):
        choose(replace(EVENT, location="uptown"), replace(channel(), locations=PLACES))
