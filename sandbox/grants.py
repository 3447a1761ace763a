"""The codes and tokens that the sandbox has given by OAuth2."""

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any

from sandbox.options import SandboxOptions
from sandbox.store import Store

_CODE_SECONDS = 600
_DOCUMENT = "oauth"
_EMPTY: dict[str, dict[str, Any]] = {"codes": {}, "access": {}, "refresh": {}}


class GrantError(Exception):
    """A code or refresh token that is not good; the message is for the one who asks."""


class Grants:
    """The codes and tokens that were given; kept with the tickets, so that a restart forgets none."""

    def __init__(self, store: Store, options: SandboxOptions, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._options = options
        self._clock = clock
        self._lock = threading.Lock()

    def code(self, redirect_uri: str, scope: str, challenge: str) -> str:
        """Give a new code for who has consented."""
        made = secrets.token_urlsafe(16)
        with self._lock:
            held = self._held()
            ends = self._clock() + _CODE_SECONDS
            held["codes"][made] = [ends, redirect_uri, scope, challenge]
            self._keep(held)
        return made

    def exchange(self, code: str, redirect_uri: str | None, verifier: str) -> dict[str, Any]:
        """Give tokens for a code, once; raises GrantError."""
        with self._lock:
            held = self._held()
            ends, wanted_uri, scope, challenge = held["codes"].pop(code, [0, "", "", ""])
            self._keep(held)
            if ends < self._clock():
                raise GrantError("The code is unknown, used or too old")
            # Spacebring does not list it among the parameters; where it is sent, it has to be right.
            if redirect_uri not in {None, wanted_uri}:
                raise GrantError("The redirect URI is not the one that the code was given for")
            if challenge and not hmac.compare_digest(_challenge(verifier), challenge.encode()):
                raise GrantError("The code verifier does not fit the challenge")
            return self._grant(held, scope, None)

    def refresh(self, refresh: str) -> dict[str, Any]:
        """Give a new access token, and where they rotate a new refresh token; raises GrantError."""
        with self._lock:
            held = self._held()
            scope = held["refresh"].get(refresh)
            if scope is None:
                raise GrantError("The refresh token is unknown or used")
            if self._options.rotate_refresh:
                del held["refresh"][refresh]
                return self._grant(held, scope, None)
            return self._grant(held, scope, refresh)

    def accepts(self, access: str | None) -> bool:
        """Say whether this access token is good now."""
        with self._lock:
            ends: float = self._held()["access"].get(access or "", 0)
        return self._clock() < ends

    def expire(self, *, refresh: bool) -> None:
        """End all access tokens now, and with `refresh` all refresh tokens."""
        with self._lock:
            held = self._held()
            held["access"] = {}
            if refresh:
                held["refresh"] = {}
            self._keep(held)

    def _grant(self, held: dict[str, Any], scope: str, refresh: str | None) -> dict[str, Any]:
        access, now = secrets.token_urlsafe(24), self._clock()
        held["access"] = {known: ends for known, ends in held["access"].items() if now < ends}
        held["access"][access] = now + self._options.access_life
        answer = {
            "access_token": access,
            "expires_in": self._options.access_life,
            "scope": scope,
            "token_type": "Bearer",
        }
        if refresh is None:
            answer["refresh_token"] = refresh = secrets.token_urlsafe(24)
            held["refresh"][refresh] = scope
        self._keep(held)
        return answer

    def _held(self) -> dict[str, Any]:
        held: dict[str, Any] = json.loads(self._store.document(_DOCUMENT) or json.dumps(_EMPTY))
        return held

    def _keep(self, held: dict[str, Any]) -> None:
        self._store.keep(_DOCUMENT, json.dumps(held))


def _challenge(verifier: str) -> bytes:
    digest = hashlib.sha256(verifier.encode(errors="replace")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=")
