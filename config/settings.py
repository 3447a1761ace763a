"""The only reader of the environment: what it says, and everything that is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from config import values
from config.errors import ConfigError
from config.store import StoreAddress
from config.variables import VARIABLES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from config.secrets import Secret
    from config.variables import Variable


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
