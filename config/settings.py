"""The only reader of the environment: every variable, what it means, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from config.secrets import Secret


@dataclass(frozen=True)
class Settings:
    """What the environment says. Values that may hold a password stay out of the `repr`."""

    redis_url: str | None = field(default=None, repr=False)
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
    sandbox_port: int = 8001
    log_format: Literal["auto", "json", "console"] = "auto"

    @property
    def has_credentials(self) -> bool:
        """Whether we can log in to Spacebring: a token and its network, or a client's id and secret."""
        return (self.token is not None and self.network_id is not None) or (
            self.client_id is not None and self.client_secret is not None
        )


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Read the settings from `environ`; raises ConfigError with everything that is wrong."""
    raise NotImplementedError
