"""The commands about events: events, show, replay, discard, dead."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.context import ledger, plain_errors, show_json
from service.core.ledger import State
from service.core.operations import bulk, dead_letters
from service.core.views import event_data

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from service.core.ledger import Event, Ledger, Operation

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_CONFIRM = click.option(
    "--confirm",
    is_flag=True,
    help="You have looked in Spacebring: there is no ticket. What may have made one is sent without a look.",
)


@click.command()
@click.option("--status", type=click.Choice([state.value for state in State]), help="Only this state.")
@click.option("--channel", default="", help="Only this channel.")
@click.option("--query", "-q", default="", help="Look for this in sender, subject, marker, #ticket, reason.")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True)
@click.option("--cursor", help="Go on after an earlier page.")
@_JSON
def events(
    status: str | None, channel: str, query: str, limit: int, cursor: str | None, *, as_json: bool
) -> None:
    """List events, newest first."""
    with plain_errors():
        book = ledger()
        states = [State(status)] if status else []
        try:
            page = book.events(states=states, channel=channel, query=query, limit=limit, cursor=cursor)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--cursor") from error
        if as_json:
            listed = [event_data(event, book.attempts(event.id)) for event in page.events]
            show_json({"events": listed, "cursor": page.cursor})
        else:
            _table(page.events, "no events")
            if page.cursor:
                click.echo(f"more: --cursor {page.cursor}")


@click.command()
@click.argument("event")
@_JSON
def show(event: str, *, as_json: bool) -> None:
    """Show one event: its draft, each attempt, each change of state."""
    with plain_errors():
        book = ledger()
        found = book.event(event)
        if as_json:
            show_json(event_data(found, book.attempts(found.id)))
            return
        ticket = f"#{found.ticket_number} ({found.ticket_id})" if found.ticket_id else "none"
        for label, value in (
            ("event", f"{found.id}  {found.marker}"),
            ("channel", f"{found.channel} ({found.source})"),
            ("state", f"{found.state}  {found.reason}"),
            ("received", f"{found.received:%Y-%m-%d %H:%M:%S} UTC, repeated {found.repeats} times"),
            ("sender", f"{found.name} <{found.email}>"),
            ("subject", found.subject),
            ("ticket", ticket),
            *(
                ("second", f"#{one.number} ({one.id}) {_closed(closed=one.closed)}")
                for one in found.extra_tickets
            ),
        ):
            click.echo(f"{label:9} {value}")
        for attempt in book.attempts(found.id):
            click.echo(
                f"attempt   {attempt.at:%H:%M:%S} {attempt.outcome} {attempt.status or ''} {attempt.error}"
            )
        for step in book.history(found.id):
            click.echo(f"history   {step.at:%H:%M:%S} {step.origin} -> {step.target} {step.why}")
        if found.draft:
            click.echo(f"\n{found.draft['text']}")


@click.command()
@click.argument("event", nargs=-1, required=True)
@_CONFIRM
def replay(event: tuple[str, ...], *, confirm: bool) -> None:
    """Send events again: dead letters, and what was held, ignored or discarded."""
    _operate(event, "replay", confirmed=confirm)


@click.command()
@click.argument("event", nargs=-1, required=True)
def discard(event: tuple[str, ...]) -> None:
    """Give events up: they file nothing."""
    _operate(event, "discard", confirmed=False)


@click.group(invoke_without_command=True)
@click.option("--channel", default="", help="Only this channel.")
@click.option("--reason", default="", help="Only with this in the reason, or this code.")
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True)
@_JSON
@click.pass_context
def dead(context: click.Context, channel: str, reason: str, limit: int, *, as_json: bool) -> None:
    """List dead letters, or `dead replay` and `dead discard` all that fit."""
    context.obj = (channel, reason)
    if context.invoked_subcommand is not None:
        return
    with plain_errors():
        book = ledger()
        page = dead_letters(book, channel=channel, reason=reason, limit=limit)
        if as_json:
            show_json({"events": [event_data(one, book.attempts(one.id)) for one in page.events]})
        else:
            _table(page.events, "no dead letters")


@dead.command("replay")
@_CONFIRM
@click.pass_obj
def replay_all(chosen: tuple[str, str], *, confirm: bool) -> None:
    """Replay every dead letter that fits."""
    _bulk("replay", chosen, confirmed=confirm)


@dead.command("discard")
@click.pass_obj
def discard_all(chosen: tuple[str, str]) -> None:
    """Discard every dead letter that fits."""
    _bulk("discard", chosen, confirmed=False)


def _bulk(operation: Operation, chosen: tuple[str, str], *, confirmed: bool) -> None:
    with plain_errors():
        channel, reason = chosen
        done = bulk(ledger(), operation, channel=channel, reason=reason, by="cli", confirmed=confirmed)
        click.echo(f"{operation}: {done}")


def _operate(events: Iterable[str], operation: Operation, *, confirmed: bool) -> None:
    with plain_errors():
        book: Ledger = ledger()
        for event in events:
            state = book.operate(event, operation, "cli", confirmed=confirmed).state
            click.echo(f"{event} {state}")


def _table(listed: Sequence[Event], none: str) -> None:
    if not listed:
        click.echo(none, err=True)
    for event in listed:
        ticket = f"#{event.ticket_number}" if event.ticket_number is not None else "-"
        about = event.reason or event.subject
        click.echo(
            f"{event.id}  {event.received:%Y-%m-%d %H:%M:%S}  {event.state:10}  {event.channel:16}  "
            f"{ticket:6}  {event.email}  {about[:80]}"
        )


def _closed(*, closed: bool) -> str:
    return "closed by the bridge" if closed else "left open, for its text differs: please look"
