"""The commands about channels: channels, capture, preview, send."""

from __future__ import annotations

import base64
import shutil
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlsplit

import click
import requests

from cli.context import AWAY, REFUSED, configuration, plain_errors, settings, show_json
from config.schema import MAX_CAPTURES
from service.core import signing
from service.core.capture import parse_http
from service.core.captures import CAPTURES, Captures
from service.core.errors import ConfigError, RequestError, UnmappableError, UnreadableError
from service.core.mapping.draft import as_payload
from service.core.mapping.mapper import map_event
from service.core.memory import Forgetful
from service.core.request import Headers
from service.core.wiring import open_doors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from config.settings import Settings
    from service.core.request import InboundRequest
    from service.core.signing import Verified
    from service.core.source import Part
    from service.core.wiring import Door

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_TIMEOUT = 30
_POLL = 0.05
# Apps that a vendor makes of a text.
_DEPLOY = Path(__file__).resolve().parent.parent / "deploy"


@dataclass(frozen=True)
class Preview:
    """What one event of a captured request would become, or why it would be a dead letter."""

    keys: list[str]
    draft: Mapping[str, str] = field(default_factory=dict)
    why: Mapping[str, str] = field(default_factory=dict)
    ignored: str = ""
    error: str = ""


@click.command()
@_JSON
def channels(*, as_json: bool) -> None:
    """List the channels with the URL to paste at each vendor."""
    with plain_errors():
        found = settings()
        listed = [_listed(door, _base(found)) for door in open_doors(configuration(found)).values()]
        if as_json:
            show_json({"channels": listed})
            return
        rows = [(one["name"], one["source"], _to_paste(one)) for one in listed]
        widths = [max(map(len, column), default=0) for column in zip(*rows, strict=True)]
        for one, row in zip(listed, rows, strict=True):
            cells = (f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
            click.echo("   ".join([*cells, ", ".join(one["locks"])]))
        if any("token" in one["locks"] for one in listed):
            click.echo(
                "\nInstead of <token> goes the channel's token, which is not shown here; a sender that can"
            )
            click.echo("set headers may send it as X-Bridge-Token or as a bearer token instead.")
        for one in listed:
            if one["manifest"]:
                click.echo(f"\nThe app of {one['name']}, to paste at {one['label']}:\n\n{one['manifest']}")
        if found.public_url is None:
            click.echo("Set BRIDGE_PUBLIC_URL to see the URLs as vendors must have them.", err=True)


def _to_paste(one: dict[str, Any]) -> str:
    return f"{one['url']}/<token>" if "token" in one["locks"] else str(one["url"])


def _listed(door: Door, base: str) -> dict[str, Any]:
    url = f"{base}/hooks/{door.channel.name}"
    template = _DEPLOY / f"{door.source.name}-manifest.yaml"
    return {
        "name": door.channel.name,
        "source": door.source.name,
        "label": door.source.label,
        "url": url,
        "locks": _locks(door),
        "manifest": template.read_text("utf-8").replace("{url}", url) if template.is_file() else None,
    }


@click.command()
@click.argument("channel")
@click.option("--count", type=click.IntRange(1, MAX_CAPTURES), default=1, help="How many requests.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Where to, instead of BRIDGE_DATA."
)
@click.option("--wait", type=click.FloatRange(0), default=3600, help="Seconds after which it gives up.")
def capture(channel: str, count: int, out: Path | None, wait: float) -> None:
    """Keep the channel's next requests as fixture files, secrets and people replaced.

    A request counts once its locks have held. Read a file before you share it: what people write in their
    own words stays. The web side must run on the same BRIDGE_DATA.
    """
    with plain_errors():
        found = settings()
        _door(open_doors(configuration(found)), channel)
        captures = Captures(found.data / CAPTURES)
        missing = captures.want(channel, count)
        click.echo(f"waiting for {count} at {_base(found)}/hooks/{channel}", err=True)
        until = time.monotonic() + wait
        try:
            while missing and time.monotonic() < until:
                if missing[0].exists():
                    click.echo(_moved(missing.pop(0), out))
                else:
                    time.sleep(_POLL)
        finally:
            captures.enough(channel)
        if missing:
            click.echo(f"error: {len(missing)} did not come within {wait:g} s", err=True)
            raise SystemExit(AWAY)


def _moved(path: Path, out: Path | None) -> Path:
    """Put a capture where it is wanted, under its channel's name; a copy, since its number is taken."""
    if out is None:
        return path
    out.mkdir(parents=True, exist_ok=True)
    target = out / f"{path.parent.name}-{path.name}"
    shutil.copyfile(path, target)
    return target


@click.command()
@click.argument("channel")
@click.argument("file", type=click.File("rb"))
@_JSON
def preview(channel: str, file: BinaryIO, *, as_json: bool) -> None:
    """Show the ticket that a captured request would become, and why. Nothing is kept.

    Nothing is sent either, but what a worker would ask the vendor's API for the rest.
    """
    with plain_errors():
        found = settings()
        config = configuration(found)
        door = _door(open_doors(config), channel)
        verified = signing.from_ledger(parse_http(file.read()))
        limit = config.spacebring.text_limit
        previews = [_preview(door, verified, part, limit) for part in door.source.identify(verified)]
        if as_json:
            show_json({"previews": [vars(one) for one in previews]})
        else:
            _show_previews(previews)
        if any(one.error for one in previews):
            raise SystemExit(REFUSED)


def _preview(door: Door, verified: Verified, part: Part, text_limit: int) -> Preview:
    """Show one event of a request: a broken one keeps no other from being seen."""
    keys = [key.value for key in part.keys]
    try:
        event = door.source.parse(verified, part)
        if not event.ignore:
            event = door.source.complete(verified, part, event, Forgetful())
        mapped = map_event(
            event,
            channel=door.channel,
            marker="sb-preview000",
            source_label=door.source.label,
            text_limit=text_limit,
            find_requester=None,
        )
    except (UnreadableError, UnmappableError) as error:
        return Preview(keys, error=str(error))
    return Preview(keys, as_payload(mapped.draft), dict(mapped.why), event.ignore)


@click.command()
@click.argument("channel")
@click.argument("file", type=click.File("rb"))
@click.option(
    "--key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Your own private key, where the vendor signs with one (sendgrid, ses).",
)
def send(channel: str, file: BinaryIO, key: Path | None) -> None:
    """Sign a captured request as the vendor would now, and post it to the running bridge.

    Where only the vendor can sign, the request is posted with the signature it has; to sign it anew, make
    a key pair, put its public half into a trial channel, and give the private one with --key.
    """
    with plain_errors():
        found = settings()
        door = _door(open_doors(configuration(found)), channel)
        url = f"{_base(found)}/hooks/{channel}"
        request = replace(parse_http(file.read()), url=url)
        signed = _unlock(request, door, None if key is None else key.read_bytes())
        try:
            answer = requests.request(
                signed.method,
                signed.url,
                headers=dict(signed.headers),
                data=signed.body,
                timeout=_TIMEOUT,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            click.echo(f"error: nothing answers at {url}: {type(error).__name__}", err=True)
            raise SystemExit(AWAY) from error
        click.echo(f"{answer.status_code} {answer.text}")
        if not answer.ok:
            raise SystemExit(REFUSED)


def _unlock(request: InboundRequest, door: Door, key: bytes | None) -> InboundRequest:
    """Put our own locks' keys into the request, then let the source sign it; `key` is for one of its own.

    Raises ConfigError where such a key opens nothing.
    """
    dropped = {"host", "content-length", "authorization", "x-bridge-token", "connection", "accept"}
    pairs = [pair for pair in request.headers if pair[0].lower() not in dropped]
    # Not the page that a form shows to people: what became of it, or each field that is wrong.
    pairs.append(("Accept", "application/json"))
    locks = door.source.options.locks
    if locks.tokens:
        pairs.append(("X-Bridge-Token", locks.tokens[0].decode()))
    unlocked = replace(request, headers=Headers.of(pairs))
    unlocked = _signed(unlocked, door, key)
    if locks.basic:
        header = f"Basic {base64.b64encode(locks.basic[0]).decode()}"
        unlocked = replace(unlocked, headers=Headers.of([*unlocked.headers, ("Authorization", header)]))
    if key is not None:
        try:
            door.source.verify(unlocked)
        except RequestError as error:
            why = f"--key: channel {door.channel.name} does not take what it signs: {error}"
            raise ConfigError([f"{why}; its `{door.source.locked_by}` must be the public half"]) from error
    return unlocked


def _signed(request: InboundRequest, door: Door, key: bytes | None) -> InboundRequest:
    source, secrets = door.source, door.source.options.locks.secrets
    if not source.locked_by:
        if key is not None:
            raise ConfigError([f"--key: {source.label} does not sign with a key pair"])
        return source.sign(request, secrets[0]) if secrets else request
    if key is not None:
        return source.sign(request, key)
    click.echo(
        f"note: only {source.label} can sign; this is posted with the signature it has. To sign it here: "
        f"make a key pair, put the public half into `{source.locked_by}` of a trial channel, and give the "
        f"private one with --key (docs/sources/{source.name}.md)",
        err=True,
    )
    return request


def _show_previews(previews: list[Preview]) -> None:
    if not previews:
        click.echo("nothing to keep: this request makes no event")
    for place, one in enumerate(previews, 1):
        if len(previews) > 1:
            click.echo(f"\nEVENT {place} of {len(previews)}")
        if one.error:
            click.echo(f"DEAD LETTER: {one.error}")
            continue
        if one.ignored:
            click.echo(f"IGNORED: {one.ignored}")
        for name, value in one.draft.items():
            if name != "text":
                click.echo(f"{name:17} {value}")
        for name, reason in one.why.items():
            click.echo(f"why {name:13} {reason}")
        click.echo(f"\n{one.draft['text']}")


def _door(doors: Mapping[str, Door], channel: str) -> Door:
    if channel not in doors:
        raise ConfigError([f"No channel {channel!r}; there are: {', '.join(sorted(doors))}"])
    return doors[channel]


def _locks(door: Door) -> list[str]:
    locks = door.source.options.locks
    signed = locks.secrets or door.source.options.topics
    named = {"signature": signed, "basic": locks.basic, "token": locks.tokens}
    return [name for name, values in named.items() if values] or ["public"]


def _base(found: Settings) -> str:
    base = found.public_url or f"http://127.0.0.1:{found.port}"
    return urlsplit(base).geturl().rstrip("/")
