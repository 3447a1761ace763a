from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from config.channels import (
    TICKET_TYPES,
    Channel,
    Config,
    LedgerOptions,
    Retention,
    Rule,
    Spacebring,
    load_config,
)
from config.errors import ConfigError
from config.secrets import Secret

if TYPE_CHECKING:
    from pathlib import Path

DOWNTOWN = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
NORTH = "0b0e7a3e-2a55-4a3e-9f6a-6f0a1c2d3e4f"
LONG = "sixteen-characters-or-more"
HEAD = (
    f'[spacebring]\nlocation = "downtown"\n[locations]\ndowntown = "{DOWNTOWN}"\nnorth = "{NORTH.upper()}"\n'
)


def channel(text: str, name: str = "web") -> str:
    return f'{HEAD}[[channels]]\nname = "{name}"\nsource = "form"\n{text}\n'


def problems(text: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        load_config(text, environ=environ)
    return list(raised.value.problems)


def only_channel(text: str, **environ: str) -> Channel:
    (found,) = load_config(channel(text), environ=environ).channels
    return found


def test_an_empty_text_gives_the_defaults() -> None:
    config = load_config("\n", environ={})

    assert config == Config(Spacebring(), {}, (), Retention(), LedgerOptions())
    assert config.spacebring == Spacebring(location=None, rate=10, timeout=10, text_limit=10_000)
    assert config.retention == Retention(30, 90, 30, 24)
    assert config.ledger == LedgerOptions(65_536, 268_435_456, "redis", 62_914_560)


def test_every_key_reaches_its_field() -> None:
    config = load_config(
        f"""
        [spacebring]
        location = "downtown"
        rate = 2.5
        timeout = 3
        text_limit = 2500
        [locations]
        downtown = "{DOWNTOWN}"
        north = "{NORTH.upper()}"
        [retention]
        bodies_days = 1
        summaries_days = 2
        dedupe_days = 3
        content_hours = 4
        [ledger]
        blob_threshold = 0
        blob_cap = 10
        blobs = "directory:blobs"
        max_body = 20
        [[channels]]
        name = "mail"
        source = "mailgun"
        secret = ["one", "two"]
        basic = "user:pass:word"
        token = "{LONG}"
        public = false
        location = "north"
        type = "cleaning"
        requester = "{NORTH.upper()}"
        fields = {{ email = "q3" }}
        redirects = ["https://Example.com/", "http://localhost:8080"]
        origins = "https://Example.com"
        capture = 2
        api_url = "https://slack.com/api/"
        api_token = "xoxb"
        reaction = ":ticket:"
        client_id = "client"
        topics = ["arn:a", "arn:b"]
        certificate = "PEM"
          [[channels.rules]]
          match = {{ subject = "(?i)wifi", "fields.Which room?" = "kitchen" }}
          location = "{DOWNTOWN.upper()}"
          type = "internet"
          requester = "none"
          [[channels.rules]]
          match = {{ text = "x", fields = {{ room = "y" }} }}
          requester = "lookup"
        """,
        environ={},
    )

    assert config == Config(
        spacebring=Spacebring(location=DOWNTOWN, rate=2.5, timeout=3, text_limit=2500),
        locations={"downtown": DOWNTOWN, "north": NORTH},
        retention=Retention(bodies_days=1, summaries_days=2, dedupe_days=3, content_hours=4),
        ledger=LedgerOptions(blob_threshold=0, blob_cap=10, blobs="directory:blobs", max_body=20),
        channels=(
            Channel(
                name="mail",
                source="mailgun",
                secrets=(Secret("one"), Secret("two")),
                basic=(Secret("user:pass:word"),),
                tokens=(Secret(LONG),),
                public=False,
                location=NORTH,
                locations={"downtown": DOWNTOWN, "north": NORTH},
                type="cleaning",
                requester=NORTH,
                fields={"email": "q3"},
                redirects=("https://example.com", "http://localhost:8080"),
                origins=("https://example.com",),
                capture=2,
                api_url="https://slack.com/api",
                api_token=Secret("xoxb"),
                reaction="ticket",
                client_id="client",
                topics=("arn:a", "arn:b"),
                certificate="PEM",
                rules=(
                    Rule(
                        match={
                            "subject": re.compile("(?i)wifi"),
                            "fields.Which room?": re.compile("kitchen"),
                        },
                        location=DOWNTOWN,
                        type="internet",
                        requester="none",
                    ),
                    Rule(
                        match={"text": re.compile("x"), "fields.room": re.compile("y")},
                        requester="lookup",
                    ),
                ),
            ),
        ),
    )


def test_a_channel_is_found_by_its_name() -> None:
    config = load_config(channel("public = true"), environ={})

    assert config.channel("web") is config.channels[0]
    assert config.channel("mail") is None


def test_a_channel_without_a_location_of_its_own_takes_the_default() -> None:
    assert only_channel("public = true").location == DOWNTOWN


def test_the_configuration_shows_no_secret() -> None:
    config = load_config(
        channel(
            'secret = "hunter2"\nbasic = "u:hunter2"\ntoken = "hunter2-hunter2-hunter2"\n'
            'api_token = "hunter2"'
        ),
        environ={},
    )

    assert "hunter2" not in repr(config)


def test_the_ticket_types_are_the_fourteen_of_the_api() -> None:
    assert len(set(TICKET_TYPES)) == 14
    for name in TICKET_TYPES:
        assert only_channel(f'public = true\ntype = "{name}"').type == name


def test_a_secret_may_stand_in_the_environment_or_in_a_file_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from file\n")
    (tmp_path / "bridge.toml").write_text(channel('secret = ["env:KEY", "file:key", "plain:text"]'))

    config = load_config(str(tmp_path / "bridge.toml"), environ={"KEY": "from environment"})

    assert [secret.reveal() for secret in config.channels[0].secrets] == [
        "from environment",
        "from file",
        "plain:text",
    ]


def test_keys_that_are_no_secrets_are_not_looked_up() -> None:
    assert only_channel('public = true\ntopics = "env:KEY"', KEY="x").topics == ("env:KEY",)


@pytest.mark.parametrize("key", ["secret", "basic", "token", "api_token", "client_id", "certificate"])
@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("env:NOPE", "the environment has no 'NOPE'"),
        ("env:BLANK", "the environment has no 'BLANK'"),
        ("env:", "names nothing"),
        ("file:nowhere/at-all", "No such file"),
        ("file: ", "names nothing"),
    ],
)
def test_a_reference_that_leads_nowhere_is_exactly_one_problem(key: str, reference: str, said: str) -> None:
    lock = "" if key in {"secret", "basic", "token"} else "public = true\n"

    (problem,) = problems(channel(f'{lock}{key} = "{reference}"'), BLANK=" ")

    assert problem.startswith(f"channels[0] (web).{key}: ")
    assert said in problem


def test_a_reference_in_a_list_is_named_by_its_place() -> None:
    (problem,) = problems(channel(f'token = ["{LONG}", "env:NOPE"]'))

    assert problem.startswith("channels[0] (web).token[1]: the environment has no 'NOPE'")


def test_what_a_reference_leads_to_is_checked_and_not_shown() -> None:
    (problem,) = problems(channel('token = "env:KEY"'), KEY="hunter2")

    assert problem == (
        "channels[0] (web).token: is shorter than 16 characters; make one with: "
        'python -c "import secrets; print(secrets.token_urlsafe(24))"'
    )


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        ("public = 1", "channels[0] (web).public", "must be true or false"),
        ('public = true\nchanel = "x"\nredirect = "https://a"', "channels[0] (web).chanel", "unknown key"),
        ('public = true\nredirect = "https://a"', "channels[0] (web).redirect", "did you mean 'redirects'?"),
        (
            'public = true\n"odd key" = 1',
            "channels[0] (web).'odd key'",
            "unknown key; known are: api_token, ",
        ),
        ('public = true\nlocation = "nrth"', "channels[0] (web).location", "did you mean 'north'?"),
        ('public = true\nlocation = "x-y-z"', "channels[0] (web).location", "known are: downtown, north"),
        ("public = true\nlocation = 7", "channels[0] (web).location", "must be a text in quotes"),
        ('public = true\nlocation = ""', "channels[0] (web).location", "is empty"),
        ('public = true\ntype = "cleanin"', "channels[0] (web).type", "did you mean 'cleaning'?"),
        ('public = true\ntype = "zzz"', "channels[0] (web).type", "known are: access, "),
        ('public = true\nrequester = "me"', "channels[0] (web).requester", '"lookup", "none" or a uuid'),
        ("public = true\nfields = 3", "channels[0] (web).fields", "must be a table"),
        ("public = true\nfields = { a = 1 }", "channels[0] (web).fields.a", "must be a text"),
        ('public = true\nredirects = "https://a/b"', "channels[0] (web).redirects", "more than an origin"),
        ('public = true\nredirects = ["https://a", "b"]', "channels[0] (web).redirects[1]", "is not a URL"),
        ('public = true\napi_url = "http://a.example"', "channels[0] (web).api_url", "unencrypted"),
        ('public = true\nreaction = "ticket"', "channels[0] (web).reaction", "needs api_token"),
        ('api_token = "x"\nreaction = "a b"', "channels[0] (web).reaction", "is no emoji's name"),
        ("public = true\ntopics = []", "channels[0] (web).topics", "is an empty list"),
        ('basic = "nocolon"', "channels[0] (web).basic", "must be user:password"),
        ('basic = ":pw"', "channels[0] (web).basic", "must be user:password"),
        ('basic = "u:p\\nq"', "channels[0] (web).basic", "line break"),
        ("secret = 3", "channels[0] (web).secret", "must be a text"),
        ('secret = ["a", 3]', "channels[0] (web).secret[1]", "must be a text"),
        ('secret = "a"\npublic = true', "channels[0] (web).public", "the channel has a lock"),
        ("", "channels[0] (web)", "anybody could post here"),
        ("public = false", "channels[0] (web)", "anybody could post here"),
        ("public = true\nrules = 3", "channels[0] (web).rules", "must be [[channels.rules]] tables"),
        ("public = true\nrules = [3]", "channels[0] (web).rules[0]", "must be a table"),
    ],
)
def test_a_wrong_key_of_a_channel_is_named_with_its_path(text: str, path: str, said: str) -> None:
    found = problems(channel(text))[0]

    assert found.startswith(f"{path}: ")
    assert said in found


@pytest.mark.parametrize(
    ("rule", "path", "said"),
    [
        ('type = "other"', ".match", "is missing"),
        ('match = 3\ntype = "other"', ".match", "must be a table"),
        ('match = {}\ntype = "other"', ".match", "is empty; name at least one of subject, "),
        (
            'match = { subject = "(" }\ntype = "other"',
            ".match.subject",
            "not a regular expression: missing )",
        ),
        (
            'match = { subject = "a{99999999999}" }\ntype = "other"',
            ".match.subject",
            "not a regular expression",
        ),
        ('match = { subject = 3 }\ntype = "other"', ".match.subject", "must be a text"),
        ('match = { subjct = "a" }\ntype = "other"', ".match.subjct", "did you mean 'subject'?"),
        ('match = { "fields." = "a" }\ntype = "other"', ".match.fields.", "unknown key"),
        ('match = { fields = "a" }\ntype = "other"', ".match.fields", "unknown key"),
        ('match = { "fields.A B" = "(" }\ntype = "other"', ".match.'fields.A B'", "not a regular"),
        ('match = { subject = "a" }', "", "sets nothing"),
        ('match = { subject = "a" }\nlocation = "nrth"', ".location", "did you mean 'north'?"),
        ('match = { subject = "a" }\ntype = "nope"', ".type", "is no ticket type"),
        ('match = { subject = "a" }\nrequester = "nope"', ".requester", "is no requester"),
        ('match = { subject = "a" }\ntipe = "other"\ntype = "other"', ".tipe", "did you mean 'type'?"),
    ],
)
def test_a_wrong_rule_is_named_with_its_path(rule: str, path: str, said: str) -> None:
    (problem,) = problems(channel(f"public = true\n[[channels.rules]]\n{rule}"))

    assert problem.startswith(f"channels[0] (web).rules[0]{path}: ")
    assert said in problem


def test_a_pattern_that_a_later_python_may_read_differently_is_taken() -> None:
    rule = only_channel('public = true\n[[channels.rules]]\nmatch = { text = "[[a]" }\ntype = "other"').rules[
        0
    ]

    assert rule.match["text"].pattern == "[[a]"


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        ("channel = 1\n", "channel", "did you mean 'channels'?"),
        ("channels = 1\n", "channels", "must be [[channels]] tables"),
        ("channels = [1]\n", "channels[0]", "must be a table"),
        ("spacebring = 1\n", "spacebring", "must be a table"),
        ("[spacebring]\nrate = 0\n", "spacebring.rate", "a number from 0.01 to 10000"),
        ("[spacebring]\nrate = nan\n", "spacebring.rate", "a number from"),
        ("[spacebring]\nrate = inf\n", "spacebring.rate", "a number from"),
        ("[spacebring]\nrate = true\n", "spacebring.rate", "a number from"),
        ('[spacebring]\nrate = "10"\n', "spacebring.rate", "without quotes"),
        ("[spacebring]\ntext_limit = 500.5\n", "spacebring.text_limit", "a whole number from"),
        ('[spacebring]\nlocation = "x"\n', "spacebring.location", "there is none yet"),
        ('[locations]\nx = "y"\n', "locations.x", "'y' is not a uuid"),
        ("locations = 1\n", "locations", "must be a table"),
        ("[retention]\nbodies_days = 0\n", "retention.bodies_days", "a whole number from 1"),
        ("[retention]\nbodies_days = 91\n", "retention", "bodies_days (91) is more than summaries_days (90)"),
        (
            "[retention]\nsummaries_days = 29\n",
            "retention",
            "bodies_days (30) is more than summaries_days (29)",
        ),
        ('[ledger]\nblobs = "s3"\n', "ledger.blobs", '"redis" or "directory:PATH"'),
        ('[ledger]\nblobs = "directory:"\n', "ledger.blobs", '"redis" or "directory:PATH"'),
        ("[ledger]\nmax_body = 0\n", "ledger.max_body", "a whole number from 1"),
        ("[ledger]\nblob_cpa = 1\n", "ledger.blob_cpa", "did you mean 'blob_cap'?"),
    ],
)
def test_a_wrong_key_elsewhere_is_named_with_its_path(text: str, path: str, said: str) -> None:
    (problem,) = problems(text)

    assert problem.startswith(f"{path}: ")
    assert said in problem


@pytest.mark.parametrize("name", ["Web", "-web", "a b", "a/b", "", "ä", "a" * 65])
def test_a_channel_name_must_fit_into_a_url(name: str) -> None:
    assert any(".name: " in problem for problem in problems(channel("public = true", name)))


@pytest.mark.parametrize("name", ["w", "0", "support-mail", "a" * 64])
def test_a_channel_name_may_hold_letters_digits_and_hyphens(name: str) -> None:
    assert load_config(channel("public = true", name), environ={}).channel(name) is not None


def test_channels_need_names_of_their_own() -> None:
    again = '[[channels]]\nname = "web"\nsource = "json"\npublic = true\n'

    assert problems(channel("public = true") + again + again) == [
        "channels[1] (web).name: is the name of channels[0] too; each needs its own",
        "channels[2] (web).name: is the name of channels[0] too; each needs its own",
    ]


def test_a_channel_without_name_and_source_is_told_both() -> None:
    assert problems(f'{HEAD}[[channels]]\ntoken = "{LONG}"\n') == [
        "channels[0].name: is missing",
        "channels[0].source: is missing",
    ]


def test_a_channel_that_ends_without_a_location_is_a_problem() -> None:
    text = '[[channels]]\nname = "web"\nsource = "form"\npublic = true\n'

    assert problems(text) == [
        "channels[0] (web).location: is missing; set it here, or in [spacebring] for all channels"
    ]


def test_every_problem_comes_out_at_once() -> None:
    found = problems(
        channel('secret = "env:NOPE"\ntype = "nope"\n[[channels.rules]]\nmatch = { subject = "(" }')
        + '[[channels]]\nname = "web"\nsource = "x"\nlocation = "nope"\n[retention]\nbodies_days = "x"\n'
        + "[bogus]\n"
    )

    assert sorted(problem.partition(": ")[0] for problem in found) == [
        "bogus",
        "channels[0] (web).rules[0]",
        "channels[0] (web).rules[0].match.subject",
        "channels[0] (web).secret",
        "channels[0] (web).type",
        "channels[1] (web)",
        "channels[1] (web).location",
        "channels[1] (web).name",
        "retention.bodies_days",
    ]


def test_a_syntax_error_names_its_line() -> None:
    (problem,) = problems("[spacebring]\nrate = \n")

    assert problem.startswith("BRIDGE_CONFIG: not TOML: ")
    assert "line 2" in problem


def test_a_syntax_error_in_a_file_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "bridge.toml"
    path.write_text("rate =")

    assert problems(str(path))[0].startswith(f"{path}: not TOML: ")


def test_toml_that_is_nested_too_deeply_is_a_problem() -> None:
    (problem,) = problems("a = " + "[" * 20_000)

    assert problem.startswith("BRIDGE_CONFIG: not TOML: ")


def test_a_number_too_long_for_python_is_a_problem() -> None:
    assert problems("a = " + "9" * 5000)[0].startswith("BRIDGE_CONFIG: not TOML: ")


def test_a_text_longer_than_any_file_name_is_the_configuration_itself() -> None:
    assert load_config("# " + "x" * 10_000 + "\n", environ={}) == Config()


def test_a_path_that_does_not_exist_is_told_so() -> None:
    assert problems("nowhere.toml") == [
        "BRIDGE_CONFIG: no such file: 'nowhere.toml'; give a path, or the whole TOML text"
    ]


def test_a_directory_cannot_be_the_configuration(tmp_path: Path) -> None:
    assert problems(str(tmp_path)) == [f"BRIDGE_CONFIG: cannot read {str(tmp_path)!r}: Is a directory"]


def test_a_file_that_is_not_utf8_cannot_be_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "bridge.toml"
    path.write_bytes(b"# \xff\n")

    assert problems(str(path)) == [f"BRIDGE_CONFIG: cannot read {str(path)!r}: it is not UTF-8 text"]
