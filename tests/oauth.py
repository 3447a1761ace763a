"""A sandbox with OAuth2, and the way of a person through its page of consent."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import requests

from config.secrets import Secret
from config.settings import Settings
from sandbox.options import DEFAULT_NETWORK_ID
from service.core.tokens import BY_CLI, TokenStore
from workers.spacebring.login import Login
from workers.spacebring.oauth import OAuth
from workers.spacebring.token_endpoint import TokenEndpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from redis import Redis

    from service.core.tokens import Tokens

LOCATION = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
CLIENT, SECRET = "sandbox-client", "sandbox-secret"
KEY = Secret("a-key-for-the-tests")
REDIRECT = "https://bridge.example/spacebring/callback"
DRAFT = {"locationRef": LOCATION, "type": "other", "text": "Cold room"}


def settings(base: str, **changes: object) -> Settings:
    """Give settings with the sandbox's client, but for the changes."""
    given: dict[str, object] = {
        "spacebring_url": base,
        "network_id": DEFAULT_NETWORK_ID,
        "client_id": CLIENT,
        "client_secret": Secret(SECRET),
        "secret_key": KEY,
    }
    return Settings(**{**given, **changes})  # type: ignore[arg-type] # as the fields


def consent(url: str, decision: str = "approve") -> str:
    """Open the page of consent, press a button, and give the address that one is sent back to."""
    page = requests.get(url, timeout=5)
    page.raise_for_status()
    fields = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page.text)
    form = {name: unescape(value) for name, value in fields}
    answer = requests.post(
        url.partition("?")[0], data={**form, "decision": decision}, timeout=5, allow_redirects=False
    )
    return answer.headers["Location"]


def answered(address: str) -> Mapping[str, str]:
    """Give the query of an address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


@dataclass
class Connection:
    """A sandbox, a store, and the parts that speak to them."""

    base: str
    redis: Redis

    @property
    def store(self) -> TokenStore:
        return TokenStore(self.redis, KEY)

    def endpoint(self, **more: object) -> TokenEndpoint:
        secret = more.pop("secret", SECRET)
        return TokenEndpoint(self.base, CLIENT, Secret(str(secret)), **{"timeout": 5, **more})  # type: ignore[arg-type] # as the parameters

    def auth(self, redis: Redis | None = None, **more: object) -> OAuth:
        store = more.pop("store", None) or TokenStore(redis or self.redis, KEY)
        network = more.pop("network_id", DEFAULT_NETWORK_ID)
        endpoint = more.pop("endpoint", None) or self.endpoint()
        return OAuth(store, redis or self.redis, endpoint, network, **more)  # type: ignore[arg-type] # same

    def login(self, **more: object) -> Login:
        return Login(self.store, self.endpoint(), **more)  # type: ignore[arg-type] # same

    def connect(self) -> Tokens:
        """Log in as a person does, and give the tokens stored."""
        login = self.login()
        begun = login.begin(REDIRECT, origin=BY_CLI)
        login.finish(begun.state, answered(consent(begun.url))["code"], begun_here=True)
        return self.tokens()

    def tokens(self) -> Tokens:
        found = self.store.tokens()
        assert found is not None
        return found

    def refused(self) -> str:
        return self.store.snapshot().refused

    def outlive(self, seconds: float = 7200) -> Callable[[], float]:
        """Give a clock by which every access token stored has ended."""
        ends = self.tokens().expires
        return lambda: ends + seconds

    def expire(self, *, refresh: bool = False) -> None:
        query = "?refresh=1" if refresh else ""
        requests.post(f"{self.base}/sandbox/oauth/expire{query}", timeout=5).raise_for_status()

    def fault(self, **fault: object) -> None:
        requests.put(
            f"{self.base}/sandbox/faults", json=[fault] if fault else [], timeout=5
        ).raise_for_status()

    def asked(self) -> int:
        """Count the calls for tokens since the last count."""
        counts = requests.get(f"{self.base}/sandbox/requests", timeout=5).json()["counts"]
        requests.delete(f"{self.base}/sandbox/requests", timeout=5)
        return sum(found["count"] for found in counts if found["path"] == "/oauth2/token")

    def tickets(self) -> int:
        return len(requests.get(f"{self.base}/sandbox/tickets", timeout=5).json()["tickets"])
