from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from config.logging import NOISY, LogFormat, configure_logging, get_logger, redact, scrub
from config.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "Zq3-tOkEn_of_twenty.chars~"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in NOISY}
    configured = structlog.get_config()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    structlog.configure(**configured)
    structlog.contextvars.clear_contextvars()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_entry_is_one_json_line_with_level_logger_and_utc_time() -> None:
    stream = io.StringIO()
    configure_logging("json", stream)

    get_logger("bridge.web").info("request", channel="mail", status=200, lines="a\nb")

    (entry,) = lines(stream)
    assert entry.pop("timestamp").endswith("Z")
    assert entry == {
        "event": "request",
        "level": "info",
        "logger": "bridge.web",
        "channel": "mail",
        "status": 200,
        "lines": "a\nb",
    }


def test_what_is_bound_to_the_context_is_in_every_entry() -> None:
    stream = io.StringIO()
    configure_logging("json", stream)
    structlog.contextvars.bind_contextvars(event_id="e1")

    get_logger("bridge").info("one")
    logging.getLogger("other").info("two")

    assert [entry["event_id"] for entry in lines(stream)] == ["e1", "e1"]


def test_the_standard_library_takes_the_same_way() -> None:
    stream = io.StringIO()
    configure_logging("json", stream)

    logging.getLogger("somebody").warning("POST %s", f"/hooks/mail/{TOKEN}?a=1")

    (entry,) = lines(stream)
    assert (entry["event"], entry["level"], entry["logger"]) == (
        "POST /hooks/mail/…?a=1",
        "warning",
        "somebody",
    )


@pytest.mark.parametrize("name", ["rq.worker", "werkzeug", "urllib3.connectionpool"])
def test_noisy_libraries_are_heard_from_warning_on(name: str) -> None:
    stream = io.StringIO()
    configure_logging("json", stream)

    logging.getLogger(name).info("quiet")
    logging.getLogger(name).warning("loud")

    assert [entry["event"] for entry in lines(stream)] == ["loud"]


def test_debug_entries_are_left_out() -> None:
    stream = io.StringIO()
    configure_logging("json", stream)

    get_logger("bridge").debug("quiet")

    assert stream.getvalue() == ""


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_an_exception_is_logged_without_its_secrets(log_format: LogFormat) -> None:
    stream = io.StringIO()
    configure_logging(log_format, stream)

    try:
        int(f"redis://user:{TOKEN}@host/0")
    except ValueError:
        get_logger("bridge").exception("failed")

    assert "'redis://<redacted>@host/0'" in stream.getvalue()
    assert TOKEN not in stream.getvalue()


def test_configuring_again_replaces_the_earlier_stream_and_leaves_foreign_handlers() -> None:
    first, second, foreign = io.StringIO(), io.StringIO(), logging.StreamHandler(io.StringIO())
    logging.getLogger().addHandler(foreign)
    configure_logging("json", first)
    configure_logging("json", second)

    get_logger("bridge").info("hello")

    assert first.getvalue() == ""
    assert [entry["event"] for entry in lines(second)] == ["hello"]
    assert foreign in logging.getLogger().handlers


def test_without_a_stream_entries_go_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("json")

    get_logger("bridge").info("hello")

    assert json.loads(capsys.readouterr().out)["event"] == "hello"


@pytest.mark.parametrize(
    ("log_format", "stream", "is_json", "is_coloured"),
    [
        ("auto", io.StringIO(), True, False),
        ("auto", Terminal(), False, True),
        ("console", io.StringIO(), False, False),
        ("json", Terminal(), True, False),
    ],
)
def test_auto_is_for_a_person_on_a_terminal_only(
    log_format: LogFormat,
    stream: io.StringIO,
    is_json: bool,  # noqa: FBT001 - a parameter of the table above
    is_coloured: bool,  # noqa: FBT001
) -> None:
    configure_logging(log_format, stream)

    get_logger("bridge").info("hello", channel="mail")

    written = stream.getvalue()
    assert written.startswith("{") is is_json
    assert ("\x1b[" in written) is is_coloured


@pytest.mark.parametrize(
    "key",
    ["secret", "client_secret", "Token", "password", "Authorization", "X-Signature", "Set-Cookie", "api_key"],
)
def test_a_key_that_names_a_secret_loses_its_value(key: str) -> None:
    assert redact(None, "info", {"event": "x", "headers": [{key: TOKEN}]}) == {
        "event": "x",
        "headers": [{key: "<redacted>"}],
    }


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("nothing to hide", "nothing to hide"),
        (f"/hooks/mail/{TOKEN}", "/hooks/mail/…"),
        ("/hooks/mail", "/hooks/mail"),
        (f"https://b.example/hooks/mail/{TOKEN}/x?y=1 and", "https://b.example/hooks/mail/…?y=1 and"),
        (f"/hooks/mail?token={TOKEN}&b=1", "/hooks/mail?token=<redacted>&b=1"),
        (f"?access_TOKEN%3D{TOKEN}", "?access_TOKEN%3D<redacted>"),
        (f"Authorization: Bearer {TOKEN}", "Authorization: Bearer <redacted>"),
        ("the bearer was late", "the bearer was late"),
        ("redis://u:p@ss@host:1/0", "redis://<redacted>@host:1/0"),
        ("https://example.com/a@b", "https://example.com/a@b"),
        ("clear\x1b[2Jscreen \ud800 tab\tline\n", "clear\ufffd[2Jscreen \ufffd tab\tline\n"),
    ],
)
def test_a_text_loses_what_looks_like_a_secret(text: str, scrubbed: str) -> None:
    assert scrub(text) == scrubbed


def test_values_of_any_kind_become_plain_ones() -> None:
    entry = {
        "event": "x",
        "none": None,
        "flag": True,
        "number": 1.5,
        "masked": Secret(TOKEN),
        "raw": f"token={TOKEN}".encode(),
        "error": ValueError(f"/hooks/a/{TOKEN}"),
        "tuple": (1, f"token={TOKEN}"),
        "set": {f"token={TOKEN}"},
        "/hooks/a/unguessable": 1,
    }

    assert redact(None, "info", entry) == {
        "event": "x",
        "none": None,
        "flag": True,
        "number": 1.5,
        "masked": "<secret>",
        "raw": "b'token=<redacted>'",
        "error": "ValueError('/hooks/a/…')",
        "tuple": [1, "token=<redacted>"],
        "set": ["token=<redacted>"],
        "/hooks/a/…": 1,
    }


def test_an_endless_nesting_is_cut() -> None:
    loop: list[object] = []
    loop.append(loop)

    assert "<too deep>" in json.dumps(redact(None, "info", {"event": loop}))


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
nested = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner)
    ),
)


@given(st.dictionaries(st.text(), nested))
def test_any_entry_is_redacted_to_json_and_redacting_again_changes_nothing(entry: dict[str, Any]) -> None:
    once = redact(None, "info", entry)

    written = json.dumps(once)
    assert json.dumps(redact(None, "info", once)) == written
    written.encode()


def wrapped(text: str, how: str) -> object:
    return {"text": text, "list": [{"deep": (text,)}], "bytes": text.encode("utf-8", "replace")}[how]


@given(
    before=st.text(st.characters(exclude_characters="Z")),
    after=st.text(st.characters(exclude_characters="Z")),
    place=st.sampled_from(["/hooks/mail/{}", "token={}", "https://user:{}@example.com"]),
    how=st.sampled_from(["text", "list", "bytes"]),
)
def test_a_token_in_a_known_place_never_reaches_the_log(
    before: str, after: str, place: str, how: str
) -> None:
    text = f"{before} {place.format(TOKEN)} {after}"

    assert TOKEN not in json.dumps(redact(None, "info", {"event": wrapped(text, how)}))
