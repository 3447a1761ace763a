"""The commands about events."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cli.store import socket_path
from service.core.ledger import Attempt, ExtraTicket, Outcome, State
from service.core.ledger.model import moment
from tests.cli.conftest import accept, printed

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result

    from service.core.ledger import Ledger
    from tests.conftest import Valkey

DRAFT = {"locationRef": "l", "text": "It is cold", "type": "other"}


def finish(ledger: Ledger, outcome: Outcome) -> str:
    event = accept(ledger, outcome.state)
    ledger.take(1, cap=10)
    claim = ledger.claim(event, "w")
    assert claim is not None
    ledger.begin(claim, DRAFT, {"name": "Ann", "email": "ann@example.com", "subject": "Cold"})
    ledger.record(claim, outcome)
    return event


def delivered(ledger: Ledger) -> str:
    attempt = Attempt(moment(0), "delivered", 201)
    fields: dict[str, str | int] = {"ticket_id": "T", "ticket_number": 7}
    return finish(ledger, Outcome(State.DELIVERED, attempt=attempt, fields=fields))


def dead(ledger: Ledger, code: str = "refused") -> str:
    return finish(ledger, Outcome(State.DEAD, reason="no such location", code=code))


def test_nothing_to_list_is_said(bridge: Callable[..., Result]) -> None:
    listed, dead_letters = bridge("events"), bridge("dead")

    assert (listed.stdout, listed.stderr) == ("", "no events\n")
    assert (dead_letters.stdout, dead_letters.stderr) == ("", "no dead letters\n")


def test_events_lists_what_came_in(bridge: Callable[..., Result], ledger: Ledger) -> None:
    event = delivered(ledger)

    listed = bridge("events", "--status", "delivered", "-q", "cold")

    assert listed.exit_code == 0
    assert event in listed.output
    assert "#7" in listed.output


def test_events_gives_json_and_a_cursor_that_goes_on(bridge: Callable[..., Result], ledger: Ledger) -> None:
    events = [accept(ledger, key) for key in "abc"]

    first = printed(bridge("events", "--json", "--limit", "2"))
    rest = printed(bridge("events", "--json", "--cursor", first["cursor"]))

    assert {event["id"] for event in first["events"] + rest["events"]} == set(events)


def test_events_prints_how_to_see_more(bridge: Callable[..., Result], ledger: Ledger) -> None:
    for key in "ab":
        accept(ledger, key)

    assert "more: --cursor" in bridge("events", "--limit", "1").output


def test_a_wrong_cursor_is_wrong_usage(bridge: Callable[..., Result]) -> None:
    result = bridge("events", "--cursor", "rubbish")

    assert result.exit_code == 2
    assert "--cursor" in result.output


def test_show_tells_all_of_an_event(bridge: Callable[..., Result], ledger: Ledger) -> None:
    event = delivered(ledger)

    shown = bridge("show", event).output

    for part in (event, "#7 (T)", "ann@example.com", "delivered 201", "queued -> delivering", "It is cold"):
        assert part in shown


def test_show_of_a_waiting_event_has_no_ticket(bridge: Callable[..., Result], ledger: Ledger) -> None:
    assert "ticket    none" in bridge("show", accept(ledger)).output


def test_show_gives_json(bridge: Callable[..., Result], ledger: Ledger) -> None:
    event = delivered(ledger)

    assert printed(bridge("show", event, "--json"))["ticket"] == {"id": "T", "number": 7}


def test_an_unknown_event_is_refused_with_a_reason(bridge: Callable[..., Result]) -> None:
    result = bridge("show", "nothing")

    assert result.exit_code == 1
    assert "No event nothing" in result.output


def test_replay_queues_a_dead_letter_again(bridge: Callable[..., Result], ledger: Ledger) -> None:
    event = dead(ledger)

    assert bridge("replay", event).output == f"{event} queued\n"


def test_an_unknown_one_is_looked_for_unless_a_person_has_looked(
    bridge: Callable[..., Result], ledger: Ledger
) -> None:
    event = dead(ledger, "unknown")

    bridge("replay", event)
    looked_for = ledger.event(event).look_after > 0
    bridge("discard", event)
    bridge("replay", event, "--confirm")

    assert looked_for
    assert ledger.event(event).look_after == 0


def test_discard_gives_an_event_up(bridge: Callable[..., Result], ledger: Ledger) -> None:
    event = dead(ledger)

    assert bridge("discard", event).output == f"{event} discarded\n"


def test_dead_lists_replays_and_discards(bridge: Callable[..., Result], ledger: Ledger) -> None:
    event = dead(ledger)

    assert event in bridge("dead").output
    assert printed(bridge("dead", "--json"))["events"][0]["id"] == event
    assert bridge("dead", "--reason", "elsewhere", "replay").output == "replay: 0\n"
    assert bridge("dead", "--reason", "location", "replay").output == "replay: 1\n"
    assert bridge("dead", "discard").output == "discard: 0\n"


def test_redis_away_is_exit_code_three(
    bridge: Callable[..., Result], environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("REDIS_URL", "unix:///nowhere/at/all.sock")

    result = bridge("events")

    assert result.exit_code == 3
    assert "Redis cannot be reached" in result.output


def test_without_any_store_the_command_says_what_to_do(
    bridge: Callable[..., Result], environment: pytest.MonkeyPatch
) -> None:
    environment.delenv("REDIS_URL")

    result = bridge("events")

    assert result.exit_code == 1
    assert "bridge up" in result.output


def test_the_store_of_a_bridge_up_is_found_by_its_socket(
    bridge: Callable[..., Result], environment: pytest.MonkeyPatch, valkey: Valkey, tmp_path: Path
) -> None:
    environment.delenv("REDIS_URL")
    folder = Path(tempfile.mkdtemp(prefix="vu"))
    environment.setenv("BRIDGE_DATA", str(folder))
    (folder / "store").mkdir()
    socket_path(folder).symlink_to(valkey.folder / "s")

    result = bridge("events")
    shutil.rmtree(folder)

    assert (result.exit_code, result.stdout) == (0, "")


@pytest.mark.parametrize(
    ("closed", "said"), [(True, "closed by the bridge"), (False, "please look")], ids=["closed", "open"]
)
def test_show_names_a_second_ticket(
    bridge: Callable[..., Result], ledger: Ledger, *, closed: bool, said: str
) -> None:
    event = delivered(ledger)
    ledger.doubled(event, [ExtraTicket("T2", 8, closed)], "beside its ticket #7 there is #8")

    shown = bridge("show", event).output

    assert "#8 (T2)" in shown
    assert said in shown
