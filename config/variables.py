"""Every variable of the environment: its name, what it means, and how its text is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from config import values
from config.secrets import Secret
from config.store import store_tls, store_url

if TYPE_CHECKING:
    from collections.abc import Callable

LOG_FORMATS = ("auto", "json", "console")
MAX_PORT = 65_535
MAX_PROXIES = 9


@dataclass(frozen=True)
class Variable:
    """A variable of the environment: `field` of Settings, `default` as it would be written.

    A secret one may also be given as `<name>_FILE`. `read` makes the value of the text, or raises
    InvalidValueError.
    """

    name: str
    field: str
    meaning: str
    default: str = ""
    secret: bool = False
    read: Callable[[str], object] = str


def _port(text: str) -> int:
    if not (
        text.isascii() and text.isdigit() and len(text) <= len(str(MAX_PORT)) and 0 < int(text) <= MAX_PORT
    ):
        raise values.InvalidValueError(f"{text!r} is not a port; give a whole number from 1 to {MAX_PORT}")
    return int(text)


def _log_format(text: str) -> str:
    if text not in LOG_FORMATS:
        raise values.InvalidValueError(f"{text!r} is no log format; give one of {', '.join(LOG_FORMATS)}")
    return text


def _proxies(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) == 1):
        raise values.InvalidValueError(
            f"{text!r} is no number of proxies; give a whole number from 0 to {MAX_PROXIES}"
        )
    return int(text)


def _yes_or_no(text: str) -> bool:
    if text not in {"true", "false"}:
        raise values.InvalidValueError(f"{text!r} is neither true nor false; give one of them")
    return text == "true"


def _dsn(text: str) -> Secret:
    from sentry_sdk.utils import BadDsn, Dsn  # noqa: PLC0415 - slow to import, and seldom needed

    try:
        Dsn(text.strip())
    except BadDsn as error:
        raise values.InvalidValueError(
            "is not a Sentry DSN; copy it from the project's settings, Client Keys (DSN)"
        ) from error
    return Secret(text.strip())


def _secret(text: str) -> Secret:
    return Secret(values.secret_text(text))


def _credential(text: str) -> Secret:
    return Secret(values.credential(text))


VARIABLES = (
    Variable(
        "REDIS_URL",
        "redis_url",
        "Redis or Valkey server: `redis://`, `rediss://` or `unix://`, or its Sentinels: "
        "`redis+sentinel://host,host/service`. Without it `bridge up` starts an embedded Valkey.",
        read=store_url,
    ),
    Variable(
        "REDIS_TLS",
        "redis_tls",
        "How the certificate of a `rediss://` server is checked: `verify`, `insecure` (self-signed, as "
        "Heroku's), or the path of a CA's certificate.",
        "verify",
        read=store_tls,
    ),
    Variable("PORT", "port", "Port of the web side.", "8000", read=_port),
    Variable(
        "BRIDGE_CONFIG", "config", "Path of the configuration file, or its whole TOML text.", "bridge.toml"
    ),
    Variable("BRIDGE_DATA", "data", "Directory of the embedded store and of the spool.", "data", read=Path),
    Variable(
        "BRIDGE_DATA_PERSISTENT",
        "data_persistent",
        "`true` where `BRIDGE_DATA` outlives a restart and a new release: while Redis is away, requests are "
        "then kept in a spool there. `bridge up` sets it.",
        "false",
        read=_yes_or_no,
    ),
    Variable(
        "BRIDGE_ADMIN_PASSWORD", "admin_password", "Password of the dashboard.", secret=True, read=_secret
    ),
    Variable("BRIDGE_API_TOKEN", "api_token", "Bearer token of the JSON API.", secret=True, read=_secret),
    Variable(
        "BRIDGE_SECRET_KEY",
        "secret_key",
        "Key that signs the dashboard's cookies and encrypts the OAuth2 tokens.",
        secret=True,
        read=_secret,
    ),
    Variable(
        "BRIDGE_PUBLIC_URL",
        "public_url",
        "Address under which senders reach the bridge; signatures over the URL use it. "
        "Without it, the request's own.",
        read=values.web_url,
    ),
    Variable(
        "SPACEBRING_URL",
        "spacebring_url",
        "Base of Spacebring's API: https, or http to this machine.",
        "https://api.spacebring.com",
        read=values.api_url,
    ),
    Variable(
        "SPACEBRING_NETWORK_ID",
        "network_id",
        "Your network's uuid; a token and OAuth2 need it.",
        read=values.uuid,
    ),
    Variable("SPACEBRING_TOKEN", "token", "Bearer token for Spacebring.", secret=True, read=_credential),
    Variable(
        "SPACEBRING_CLIENT_ID",
        "client_id",
        "Client id for Spacebring, instead of a token.",
        read=values.credential,
    ),
    Variable(
        "SPACEBRING_CLIENT_SECRET",
        "client_secret",
        "Client secret that belongs to the client id.",
        secret=True,
        read=_credential,
    ),
    Variable(
        "SPACEBRING_REFRESH_TOKEN",
        "refresh_token",
        "OAuth2 refresh token to begin with; `bridge login` gets one by itself.",
        secret=True,
        read=_secret,
    ),
    Variable("SANDBOX_PORT", "sandbox_port", "Port of the sandbox Spacebring.", "8001", read=_port),
    Variable(
        "LOG_FORMAT",
        "log_format",
        "`json`, `console`, or `auto`: console on a terminal, else JSON.",
        "auto",
        read=_log_format,
    ),
    Variable(
        "SENTRY_DSN",
        "sentry_dsn",
        "Sentry project that crashes are reported to: the error's type and where in the code, "
        "nothing of what a sender wrote.",
        secret=True,
        read=_dsn,
    ),
    Variable(
        "BRIDGE_TRUSTED_PROXIES",
        "trusted_proxies",
        "Proxies in front of the web side whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed; "
        "on Heroku `1`.",
        "0",
        read=_proxies,
    ),
)
