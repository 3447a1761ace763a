"""What becomes of answers, whichever vendor sends them: who wrote, what it is about, and what was asked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from service.core.answers import form_event
from service.core.errors import UnreadableError
from service.core.events import Answer, Sender
from service.core.forms import MAX_FIELDS, URLENCODED
from service.core.mapping.text import render
from service.core.signing import from_ledger
from tests.sources.test_form_vendors import SECRET, request, source

if TYPE_CHECKING:
    from service.core.events import InboundEvent


def parsed(name: str, body: object, mapping: dict[str, str] | None = None) -> InboundEvent:
    """Give what the source makes of JSON, or of pairs as a form."""
    if isinstance(body, list) and all(isinstance(each, tuple) for each in body):
        sent = request(urlencode(body).encode(), URLENCODED)
    else:
        sent = request(json.dumps(body).encode())
    verified = from_ledger(sent)
    made = source(name, SECRET, **(mapping or {}))
    (part, *_) = made.identify(verified)
    return made.parse(verified, part)


def jotform(raw: dict[str, Any]) -> InboundEvent:
    return parsed("jotform", [("rawRequest", json.dumps(raw)), ("formTitle", "Help"), ("pretty", "")])


def fillout(*questions: tuple[str, str, Any]) -> InboundEvent:
    listed = [
        {"id": f"q{at}", "name": name, "type": kind, "value": value}
        for at, (name, kind, value) in enumerate(questions)
    ]
    return parsed("fillout", {"formName": "Help", "submission": {"submissionId": "s", "questions": listed}})


def asked(event: InboundEvent) -> list[tuple[str, str]]:
    return [(answer.label, answer.value) for answer in event.answers]


@pytest.mark.parametrize(
    "noise",
    [
        *("slug", "jsExecutionTracker", "submitSource", "buildDate", "uploadServerUrl", "eventObserver"),
        *("timeToSubmit", "temp_upload", "file_server", "preview", "validatedNewRequiredFieldIDs", "path"),
    ],
)
def test_what_jotform_sends_for_itself_is_nobodys_answer(noise: str) -> None:
    event = jotform({noise: "https://upload.jotform.com/upload", "q3_area": "Export"})

    assert asked(event) == [("Area", "Export")]
    assert (event.hidden, event.files) == ((), ())


def test_the_address_of_the_one_who_wrote_goes_before_somebody_elses() -> None:
    event = fillout(
        ("Landlord's e-mail", "EmailInput", "landlord@example.com"),
        ("Your e-mail", "EmailInput", "ann@example.com"),
    )

    assert event.sender.email == "ann@example.com"
    assert asked(event) == [("Landlord's e-mail", "landlord@example.com")]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Manager email", "Email"),
        ("Your manager's e-mail", "What is your e-mail address?"),
        ("E-mail of a friend", "Where may we write to you by e-mail?"),
        ("Billing e-mail", "Work email (required)"),
        ("Billing e-mail", "Where can we reach you?"),
    ],
)
@pytest.mark.parametrize("kinds", [("email", "email"), ("email", ""), ("", "email")])
def test_a_label_tells_whose_the_address_is(first: str, second: str, kinds: tuple[str, str]) -> None:
    # Without a word for it, only the type says that this is an address.
    kind = kinds[1] if "mail" in second else "email"
    answers = [Answer(first, "bo@example.com", "", kinds[0]), Answer(second, "ann@example.com", "", kind)]

    assert form_event(answers, {}).sender.email == "ann@example.com"


def test_a_key_says_less_than_the_label_that_the_person_saw() -> None:
    answers = [Answer("Landlord's e-mail", "bo@example.com", "email"), Answer("E-mail", "ann@example.com")]

    assert form_event(answers, {}).sender.email == "ann@example.com"


def test_the_address_that_the_channel_names_is_the_senders_whosever_its_label_says() -> None:
    answers = [Answer("E-mail", "ann@example.com"), Answer("Landlord's e-mail", "bo@example.com", "q3")]

    assert form_event(answers, {"email": "q3"}).sender.email == "bo@example.com"
    assert form_event(answers, {}).sender.email == "ann@example.com"


def test_the_only_address_is_the_senders_and_its_question_stays() -> None:
    answer = Answer("Landlord's e-mail", "landlord@example.com", "q1", "email")

    event = form_event([answer, Answer("Message", "It leaks.")], {})

    assert event.sender.email == "landlord@example.com"
    assert event.answers == (answer,)
    assert [each.label for each in event.placed] == ["Message"]


def test_the_question_of_a_message_stands_above_it() -> None:
    answers = [
        Answer("What did you see in the lobby?", "Water.\nLots of it.", "message"),
        Answer("Email", "a@example.com"),
    ]

    event = form_event(answers, {})

    assert (event.asked, event.body) == ("What did you see in the lobby?", "Water.\nLots of it.")
    assert (event.subject, event.answers) == ("Water.", ())
    assert event.placed == tuple(answers)


def test_a_question_is_told_though_the_channel_names_it_but_a_fields_name_is_not() -> None:
    seen = form_event([Answer("What did you see?", "Wet.", "q3")], {"body": "q3"})
    named = form_event([Answer("Q3", "Wet.", "q3"), Answer("Who", "Ann")], {"body": "q3", "name": "who"})

    assert (seen.asked, seen.body) == ("What did you see?", "Wet.")
    assert (named.asked, named.body, named.answers) == ("", "Wet.", ())


@pytest.mark.parametrize(
    "label", ["Message", "Your message", "What happened?", "Description *", "Q5 message", "Answer"]
)
def test_a_label_that_says_nothing_more_is_not_told(label: str) -> None:
    event = form_event([Answer(label, "Water.", "message")], {})

    assert (event.asked, event.body) == ("", "Water.")


def test_the_ticket_has_the_question_above_the_message_and_nothing_twice() -> None:
    event = form_event([Answer("What leaks?", "The tap.\nAgain.", "message")], {})

    text = render(event, marker="refsb-1", channel_name="c", source_label="s", limit=5000)

    assert text.startswith("What leaks?\nThe tap.\nAgain.\n\n---")
    assert text.count("The tap.") == 1


def test_the_questions_of_subject_and_name_stay_where_they_say_more() -> None:
    answers = [
        Answer("What is this about?", "Heating", "subject"),
        Answer("Who lives there?", "Ann Lee", "name"),
        Answer("Message", "Cold."),
    ]

    event = form_event(answers, {})

    assert (event.subject, event.sender.name) == ("Heating", "Ann Lee")
    assert event.answers == tuple(answers[:2])


@pytest.mark.parametrize(
    ("name", "body"),
    [
        (
            "netlify",
            {"id": "1", "ordered_human_fields": [{"title": "ASKED", "name": "message", "value": "Wet."}]},
        ),
        (
            "paperform",
            {"data": [{"title": "ASKED", "custom_key": "message", "type": "text", "value": "Wet."}]},
        ),
        ("opnform", {"data": {"message": {"name": "ASKED", "value": "Wet."}}}),
        (
            "typeform",
            {
                "form_response": {
                    "definition": {"fields": [{"id": "1", "title": "ASKED"}]},
                    "answers": [{"type": "text", "text": "Wet.", "field": {"id": "1", "ref": "message"}}],
                }
            },
        ),
    ],
)
def test_no_vendors_question_is_lost(name: str, body: dict[str, Any]) -> None:
    event = parsed(name, body)

    assert (event.asked, event.body) == ("ASKED", "Wet.")


@pytest.mark.parametrize(
    "value",
    [
        "https://example.com/a/very/long/address/of/some/page",
        "https://example.com/a, https://example.com/b",
        "2026-05-01T10:02:11.000Z",
        "+44 20 7946 0000",
        "1234567890123",
        "Ann Lee <ann.lee.with.a.long.name@example.com>",
        "ann.lee.with.a.long.name@example.com",
    ],
)
def test_what_is_no_text_makes_no_subject(value: str) -> None:
    assert form_event([Answer("Thing", value), Answer("Room", "Blue")], {}, origin="Help").subject == "Blue"
    assert form_event([Answer("Thing", value)], {}, origin="Help").subject == "Help"


@pytest.mark.parametrize(
    "kind", ["Payments", "dropdown", "url", "file_url", "Address", "Scheduling", "choices"]
)
def test_where_the_vendor_tells_a_type_only_texts_make_a_subject(kind: str) -> None:
    answers = [
        Answer("Thing", "Something long that nobody wrote", "t", kind),
        Answer("Room", "Blue", "r", "short_text"),
    ]

    assert form_event(answers, {}, origin="Help").subject == "Blue"
    assert form_event(answers[:1], {}, origin="Help").subject == "Help"


def test_what_came_in_pieces_makes_no_subject() -> None:
    paid = {"amount": "12 euro", "status": "succeeded", "provider": "a bank with a long name"}

    event = parsed("opnform", {"form_title": "Help", "data": {"a": {"name": "Payment", "value": paid}}})

    assert event.subject == "Help"


@pytest.mark.parametrize("name", ["wpforms", "hubspot", "basin", "cf7"])
def test_a_part_of_an_object_makes_no_subject_but_for_a_message(name: str) -> None:
    place = {"where": {"city": "A town with a long name", "floor": "Second"}}

    alone = parsed(name, {**place, "room": "Blue"})
    both = parsed(name, {**place, "room": "Blue", "case": {"message": "Wet."}})

    assert (alone.subject, both.subject) == ("Blue", "Wet.")
    assert asked(alone)[0] == ("Where / City", "A town with a long name")


def test_a_message_makes_the_subject_though_other_texts_are_longer() -> None:
    answers = [Answer("Company", "A company with a rather long name"), Answer("Describe your leak", "Wet.")]

    assert form_event(answers, {}).subject == "Wet."


def test_who_wrote_is_not_what_it_is_about() -> None:
    answers = [Answer("Name", "Ann Lee"), Answer("E-mail", "ann@example.com")]

    assert form_event(answers, {}, origin="Help").subject == "Help"


def test_a_choice_among_problems_is_told_with_its_question() -> None:
    event = fillout(("Problem", "Dropdown", "Export"), ("Tell us more", "LongAnswer", "It fails."))

    assert (event.subject, event.body) == ("It fails.", "")
    assert asked(event) == [("Problem", "Export"), ("Tell us more", "It fails.")]


def test_the_message_that_the_channel_names_is_one_of_whatever_type() -> None:
    event = form_event([Answer("Problem", "Export", "p", "dropdown")], {"body": "p"}, origin="Help")

    assert (event.subject, event.body) == ("Help", "Export")


def test_a_link_is_no_subject_whatever_its_field_is_called() -> None:
    answers = [Answer("Title", "https://example.com/x"), Answer("Message", "https://example.com/y")]

    event = form_event(answers, {}, origin="Help")

    assert (event.subject, event.body) == ("Help", "https://example.com/y")
    assert event.answers == (answers[0],)


@pytest.mark.parametrize(
    "label",
    [
        *("What is your name?", "What's your full name?", "What\u2019s your name", "Please enter your name"),
        *("Name (required)", "Your name, please", "Enter your full name here", "May we ask your name?"),
        *("Name *", "NAME", "Full name (optional)", "Tell us your name"),
    ],
)
def test_a_name_is_found_however_it_is_asked_for(label: str) -> None:
    event = form_event([Answer(label, "Ann Lee"), Answer("Company name", "Acme")], {})

    assert event.sender == Sender("Ann Lee")
    assert asked(event) == [("Company name", "Acme")]


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("What is your first name?", "And your last name?"),
        ("Please enter your given name", "Surname (required)"),
        ("First", "Last"),
    ],
)
def test_a_name_is_found_in_two_fields(first: str, last: str) -> None:
    event = form_event([Answer(first, "Ann"), Answer(last, "Lee"), Answer("Room", "Blue")], {})

    assert event.sender.name == "Ann Lee"


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("wpforms", {"Your name": {"first": "Ann", "last": "Lee"}}),
        ("hubspot", {"name": {"last": "Lee", "first": "Ann", "middle": None}}),
        ("wix", {"submissions": [{"label": "Name", "value": {"firstName": "Ann", "last_name": "Lee"}}]}),
        ("opnform", {"data": {"a": {"name": "Name", "value": {"First": "Ann", "Last": "Lee"}}}}),
        (
            "fillout",
            {"submission": {"questions": [{"name": "Name", "value": {"first": "Ann", "last": "Lee"}}]}},
        ),
    ],
)
def test_a_name_in_pieces_is_a_name(name: str, body: dict[str, Any]) -> None:
    event = parsed(name, body)

    assert event.sender.name == "Ann Lee"
    assert event.answers == ()


URL = "https://cdn.example/x/shot.png"


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("elementor", [("fields[a][id]", "a"), ("fields[a][type]", "upload"), ("fields[a][value]", URL)]),
        ("opnform", {"data": {"a": {"name": "Shots", "type": "files", "value": [URL]}}}),
        ("paperform", {"data": [{"title": "Shot", "type": "file", "key": "f", "value": URL}]}),
        ("fillout", {"submission": {"questions": [{"name": "Shot", "type": "FileUpload", "value": [URL]}]}}),
        (
            "tally",
            {"data": {"fields": [{"key": "a", "label": "Shot", "type": "FILE_UPLOAD", "value": [URL]}]}},
        ),
        (
            "webflow",
            {
                "payload": {
                    "name": "Help",
                    "id": "1",
                    "data": {"Shot": URL},
                    "schema": [{"fieldName": "Shot", "fieldType": "FormFileUpload"}],
                }
            },
        ),
    ],
)
def test_a_link_where_the_vendor_says_file_is_one(name: str, body: object) -> None:
    event = parsed(name, body)

    assert [(file.name, file.url) for file in event.files] == [("shot.png", URL)]
    assert [answer.value for answer in event.answers] == ["shot.png"]
    assert URL not in event.subject


def test_a_link_that_a_person_typed_is_no_file() -> None:
    event = parsed("opnform", {"data": {"a": {"name": "Page", "type": "url", "value": URL}}})

    assert event.files == ()
    assert asked(event) == [("Page", URL)]


def test_every_field_of_a_long_form_is_told_or_none() -> None:
    told = parsed("elementor", [(f"Question {at}", f"a{at}") for at in range(1500)])
    advanced = parsed(
        "elementor",
        [
            (f"fields[f{at}][{name}]", text)
            for at in range(1200)
            for name, text in (("title", f"Q{at}"), ("value", f"a{at}"))
        ],
    )

    assert len(told.answers) == 1500
    assert len(advanced.answers) == 1200
    with pytest.raises(UnreadableError, match=str(MAX_FIELDS)):
        parsed("elementor", [(f"Question {at}", "a") for at in range(MAX_FIELDS + 1)])


TALLY = {"key": "a", "label": "Message", "type": "TEXTAREA", "value": "Wet."}


@pytest.mark.parametrize(
    ("name", "body"),
    [
        (
            "typeform",
            {
                "form_response": {
                    "definition": {
                        "title": 12,
                        "fields": [{"id": 1, "ref": None, "title": "Message", "type": None}],
                    },
                    "answers": [{"type": "text", "text": "Wet.", "field": {"id": 1, "ref": None, "type": 3}}],
                }
            },
        ),
        (
            "typeform",
            {
                "form_response": {
                    "definition": {
                        "title": ["x"],
                        "fields": [{"id": "1", "title": "Message"}, {"id": None, "title": None}],
                    },
                    "hidden": {"a": 1},
                    "answers": [
                        {"type": "text", "text": "Wet.", "field": {"id": "1"}, "file_url": None},
                        {"type": None, "field": None},
                    ],
                }
            },
        ),
        ("tally", {"data": {"formName": 12, "fields": [TALLY | {"key": None}]}}),
        ("tally", {"data": {"formName": None, "fields": [TALLY | {"type": None}]}}),
        ("tally", {"data": {"fields": [TALLY | {"key": 7, "type": 7, "options": [{"id": 1, "text": 2}]}]}}),
        (
            "fillout",
            {
                "formName": 12,
                "submission": {"questions": [{"id": None, "name": "Message", "type": None, "value": "Wet."}]},
            },
        ),
        (
            "paperform",
            {"form_title": 12, "data": [{"title": "Message", "key": 3, "type": None, "value": "Wet."}]},
        ),
        ("opnform", {"form_title": 12, "data": {"a": {"name": "Message", "type": None, "value": "Wet."}}}),
        ("wix", {"formName": 12, "submissions": [{"label": "Message", "value": "Wet."}]}),
        (
            "netlify",
            {
                "id": 1,
                "form_name": 12,
                "ordered_human_fields": [{"title": "Message", "name": 3, "value": "Wet."}],
            },
        ),
        (
            "webflow",
            {
                "payload": {
                    "name": 12,
                    "data": {"Message": "Wet."},
                    "schema": [{"fieldName": 1, "fieldType": 2}],
                }
            },
        ),
        ("cognito", {"Form": {"Name": 12}, "Message": "Wet."}),
        (
            "formbricks",
            {"event": "responseFinished", "data": {"survey": {"title": 12}, "data": {"message": "Wet."}}},
        ),
        (
            "msforms",
            {
                "data": {
                    "form_title": 12,
                    "respondent_email": None,
                    "fields": [{"key": 3, "label": "Message", "type": 1, "value": "Wet."}],
                }
            },
        ),
        (
            "wufoo",
            [
                ("Field1", "Wet."),
                (
                    "FieldStructure",
                    json.dumps(
                        {"Fields": [{"ID": "Field1", "Title": "Message", "Type": None, "SubFields": None}]}
                    ),
                ),
                ("FormStructure", json.dumps({"Name": 12, "Hash": 3})),
            ],
        ),
    ],
)
def test_a_value_of_another_type_keeps_nothing_from_being_read(name: str, body: object) -> None:
    event = parsed(name, body)

    assert event.body == "Wet."


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("wix", {"submissions": [{"label": "Message", "value": "Wet."}], "contact": [1]}),
        (
            "formbricks",
            {"data": {"data": {"message": "Wet."}, "variables": [1], "contactAttributes": "x", "meta": 3}},
        ),
        (
            "typeform",
            {
                "form_response": {
                    "hidden": ["x"],
                    "answers": [{"type": "text", "text": "Wet.", "field": {"ref": "message"}}],
                }
            },
        ),
    ],
)
def test_what_stands_beside_the_answers_keeps_them_from_nothing(name: str, body: object) -> None:
    event = parsed(name, body)

    assert (event.body, event.hidden, event.sender) == ("Wet.", (), Sender())


def test_the_ids_of_options_may_be_numbers() -> None:
    field = {
        "key": "a",
        "label": "Area",
        "type": "DROPDOWN",
        "value": [2],
        "options": [{"id": 2, "text": "Export"}],
    }

    assert asked(parsed("tally", {"data": {"fields": [field]}})) == [("Area", "Export")]


@pytest.mark.parametrize("name", ["mailparser", "parseur", "zapier"])
@pytest.mark.parametrize(
    ("row", "subject"),
    [
        ({"order": "42", "floor": 1}, ""),
        ({"order": "42", "place": "Blue room", "page": "https://example.com/a/long/address"}, "Blue room"),
        ({"from": "Ann Lee <ann@example.com>", "order": "42"}, ""),
        ({"order": "42", "details": "Wet."}, "Wet."),
    ],
)
def test_a_parsers_row_is_titled_by_a_text_or_not_at_all(
    name: str, row: dict[str, Any], subject: str
) -> None:
    assert parsed(name, row).subject == subject


@pytest.mark.parametrize("name", ["mailparser", "zapier", "hubspot"])
@pytest.mark.parametrize(("key", "mapping"), [("email", {}), ("writer", {"email": "writer"})])
def test_an_address_with_its_name_is_both(name: str, key: str, mapping: dict[str, str]) -> None:
    event = parsed(name, {key: "Ann Lee <ann@example.com>", "message": "Wet."}, mapping)

    assert event.sender == Sender("Ann Lee", "ann@example.com")


def test_what_a_parsers_column_says_more_is_told_but_where_the_channel_names_it() -> None:
    row = {"landlord_email": "bo@example.com", "what_did_you_see": "Wet."}

    event = parsed("zapier", row, {"body": "what_did_you_see"})

    assert event.sender.email == "bo@example.com"
    assert asked(event) == [("Landlord email", "bo@example.com")]
    assert (event.asked, event.body) == ("", "Wet.")
