"""`bridge login`: connect to Spacebring by OAuth2."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import click
from authlib.oauth2.rfc6749.errors import MismatchingStateException, MissingCodeException
from authlib.oauth2.rfc6749.parameters import parse_authorization_code_response

from cli.context import configuration, plain_errors, settings, store
from cli.up import lives
from cli.wsgi import connect_spacebring
from service.core.errors import ConfigError, LoginRefused, TokensUnreadable
from service.core.outgoing.reading import readable
from service.core.tokens import BY_CLI, LOGIN_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from config.settings import Settings
    from service.core.tokens import TokenStore

CALLBACK = "/spacebring/callback"
_LOOK_AGAIN = 0.5
_NO_REDIRECT = (
    "No redirect URI: set BRIDGE_PUBLIC_URL (the dashboard's callback page is used then), or give "
    "--redirect-uri, the address that Spacebring knows for your client"
)


@click.command()
@click.option("--redirect-uri", help="Where Spacebring sends you back to; it must know it for your client.")
@click.option(
    "--paste", is_flag=True, help="Paste the address you come back to, also where the web side runs."
)
@click.option("--no-pkce", is_flag=True, help="Without PKCE, where Spacebring refuses the log-in with it.")
def login(redirect_uri: str | None, *, paste: bool, no_pkce: bool) -> None:
    """Connect to Spacebring by OAuth2: a person logs in there, the bridge keeps the tokens, encrypted."""
    with plain_errors():
        found = settings()
        redis = store(found)
        config = configuration(found)
        walk = connect_spacebring(found, config, redis)
        target = redirect_uri or _callback(found)
        begun = walk.begin(target, origin=BY_CLI, pkce=not no_pkce)
        click.echo("Open this address, log in to Spacebring and consent:\n")
        click.echo(f"  {begun.url}\n")
        if paste or redirect_uri or not _dashboard_answers(found):
            code = _pasted(begun.state)
            walk.finish(begun.state, code, begun_here=True)
        else:
            click.echo("Waiting for the dashboard to be called back (Ctrl-C to stop, --paste to go without).")
            _await(walk.store, begun.state, within=2 * config.spacebring.timeout)
        click.echo("Spacebring is connected. Workers use the new tokens at once.")


def _callback(found: Settings) -> str:
    if found.public_url is None:
        raise ConfigError([_NO_REDIRECT])
    return f"{found.public_url}{CALLBACK}"


def _dashboard_answers(found: Settings) -> bool:
    """Say whether the callback page can take the person who comes back."""
    return found.admin_password is not None and lives(f"{found.public_url}/livez")


def _pasted(state: str) -> str:
    click.echo(
        "You are sent back to an address that begins with the redirect URI; the page itself need not load."
    )
    return pasted_code(click.prompt("Paste that whole address here").strip(), state)


def pasted_code(text: str, state: str) -> str:
    """Give the code out of a pasted address, whose state must be ours; raises LoginRefused.

    A code alone is taken too: whoever runs the command has brought it here by hand.
    """
    if "?" not in text and "://" not in text:
        return text
    try:
        return str(parse_authorization_code_response(text, state)["code"])
    except MismatchingStateException:
        raise LoginRefused(
            "That address belongs to another log-in: its state is not that of the address above. Begin again."
        ) from None
    except (MissingCodeException, ValueError):
        raise LoginRefused(f"That address holds no code.{_said(text)} Begin again.") from None


def _said(text: str) -> str:
    try:
        answer = parse_qs(urlsplit(text).query)
    except ValueError:
        return ""
    said = answer.get("error_description") or answer.get("error")
    return f" Spacebring said: {readable(said[0], 200)}." if said else ""


def _await(
    tokens: TokenStore, state: str, *, within: float, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Wait until the dashboard has ended the log-in; raises LoginRefused where it came to nothing."""
    before = _connected(tokens)
    ends = time.monotonic() + LOGIN_SECONDS
    while time.monotonic() < ends:
        if not tokens.pending(state):
            # Called back: what is left is the exchange of the code.
            ends = min(ends, time.monotonic() + within)
        if _connected(tokens) != before:
            return
        sleep(_LOOK_AGAIN)
    raise LoginRefused("The log-in came to nothing: the dashboard's page Spacebring says why. Begin again.")


def _connected(tokens: TokenStore) -> float | None:
    try:
        found = tokens.tokens()
    except TokensUnreadable:
        return None
    return None if found is None else found.connected
