"""The only reader of the environment: every variable, what it means, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from config import values
from config.errors import ConfigError
from config.secrets import Secret
from config.store import StoreAddress, store_tls, store_url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LOG_FORMATS = ("auto", "json", "console")
MAX_PORT = 65_535
MAX_PROXIES = 9


@dataclass(frozen=True)
class Settings:
    """What the environment says. Values that may hold a password stay out of the `repr`."""

    redis_url: str | None = field(default=None, repr=False)
    redis_tls: str = "verify"
    port: int = 8000
    config: str = field(default="bridge.toml", repr=False)
    data: Path = Path("data")
    admin_password: Secret | None = None
    api_token: Secret | None = None
    secret_key: Secret | None = None
    public_url: str | None = None
    spacebring_url: str = "https://api.spacebring.com"
    network_id: str | None = None
    token: Secret | None = None
    client_id: str | None = None
    client_secret: Secret | None = None
    refresh_token: Secret | None = None
    sandbox_port: int = 8001
    log_format: Literal["auto", "json", "console"] = "auto"
    sentry_dsn: Secret | None = None
    trusted_proxies: int = 0
    data_persistent: bool = False

    @property
    def store(self) -> StoreAddress | None:
        """Where Redis is, or None where nothing says so."""
        return None if self.redis_url is None else StoreAddress(self.redis_url, self.redis_tls)

    @property
    def has_credentials(self) -> bool:
        """Whether we can log in to Spacebring: a token and its network, or a client's id and secret."""
        return (self.token is not None and self.network_id is not None) or (
            self.client_id is not None and self.client_secret is not None
        )


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


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Read the settings from `environ`; an empty variable counts as not set.

    Raises ConfigError with everything that is wrong, one line each, naming the variable.
    """
    found: dict[str, Any] = {}
    problems: list[str] = []
    for variable in VARIABLES:
        try:
            text = _text(variable, environ)
            if text:
                found[variable.field] = variable.read(text)
        except values.InvalidValueError as error:
            problems.append(f"{variable.name}: {error}")
    problems += _half_given(environ)
    if problems:
        raise ConfigError(problems)
    return Settings(**found)


def _text(variable: Variable, environ: Mapping[str, str]) -> str:
    text = _given(variable.name, environ)
    path = _given(f"{variable.name}_FILE", environ).strip() if variable.secret else ""
    if text and path:
        raise values.InvalidValueError(f"is set, and {variable.name}_FILE too; remove one of them")
    if not path:
        return text if variable.secret else text.strip()
    try:
        return values.read_secret_file(Path(path))
    except values.InvalidValueError as error:
        raise values.InvalidValueError(f"{variable.name}_FILE: {error}") from error


def _given(name: str, environ: Mapping[str, str]) -> str:
    text = environ.get(name, "")
    return text if text.strip() else ""


def _half_given(environ: Mapping[str, str]) -> list[str]:
    given = {
        variable.name
        for variable in VARIABLES
        if _given(variable.name, environ) or (variable.secret and _given(f"{variable.name}_FILE", environ))
    }
    token, network = "SPACEBRING_TOKEN" in given, "SPACEBRING_NETWORK_ID" in given
    client, secret = "SPACEBRING_CLIENT_ID" in given, "SPACEBRING_CLIENT_SECRET" in given
    refresh = "SPACEBRING_REFRESH_TOKEN" in given
    rules = (
        (
            token and not network,
            "SPACEBRING_NETWORK_ID: is missing; SPACEBRING_TOKEN works for one network only: name it",
        ),
        (
            client and not secret,
            "SPACEBRING_CLIENT_SECRET: is missing; set it, or remove SPACEBRING_CLIENT_ID",
        ),
        (
            secret and not client,
            "SPACEBRING_CLIENT_ID: is missing; set it, or remove SPACEBRING_CLIENT_SECRET",
        ),
        (
            refresh and not (client or secret),
            "SPACEBRING_CLIENT_ID: is missing; SPACEBRING_REFRESH_TOKEN needs the client's id and secret",
        ),
        (
            refresh and not network,
            "SPACEBRING_NETWORK_ID: is missing; OAuth2 works for one network only: name it",
        ),
        (
            refresh and token,
            "SPACEBRING_REFRESH_TOKEN: is set, and SPACEBRING_TOKEN too; remove one of them",
        ),
        (
            network and not (token or client or secret or refresh),
            "SPACEBRING_TOKEN: is missing; set it, or remove SPACEBRING_NETWORK_ID",
        ),
    )
    return [problem for broken, problem in rules if broken]
