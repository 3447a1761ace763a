"""The authorization-code flow: a person consents at Spacebring, and the bridge gets its tokens."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

from service.core.errors import LoginRefused
from service.core.tokens import BY_CLI, Begun, PendingLogin, Tokens, seed_mark
from workers.spacebring.errors import SpacebringError

if TYPE_CHECKING:
    from collections.abc import Callable

    from config.secrets import Secret
    from service.core.tokens import TokenStore
    from workers.spacebring.token_endpoint import TokenEndpoint

# 256 bits; as a PKCE verifier 43 of its letters are the shortest that is allowed (RFC 7636, 4.1).
_BYTES = 32


class Login:
    """Begins and ends log-ins. `seed` is the refresh token of the environment, which a log-in overrides."""

    def __init__(
        self,
        store: TokenStore,
        endpoint: TokenEndpoint,
        *,
        seed: Secret | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self._endpoint = endpoint
        self._seed = "" if seed is None else seed_mark(seed)
        self._clock = clock

    def begin(self, redirect_uri: str, *, origin: str, pkce: bool = True) -> Begun:
        """Begin a log-in that comes back to `redirect_uri`; raises redis.RedisError."""
        state = secrets.token_urlsafe(_BYTES)
        verifier = secrets.token_urlsafe(_BYTES) if pkce else ""
        self.store.begin(state, PendingLogin(redirect_uri, origin, verifier))
        return Begun(self._endpoint.authorization_url(redirect_uri, state, verifier), state)

    def finish(self, state: str, code: str, *, begun_here: bool) -> None:
        """Exchange the code and store the tokens; raises LoginRefused, redis.RedisError.

        A log-in of the command line's ends wherever its state is brought: nobody else has seen the state.
        """
        pending = self.store.take(state)
        if pending is None or not (begun_here or pending.origin == BY_CLI):
            raise LoginRefused(
                "This log-in to Spacebring was not begun here, was ended already, or took more than ten "
                "minutes. Begin again."
            )
        try:
            grant = self._endpoint.exchange(code, pending.redirect_uri, pending.verifier)
        except SpacebringError as error:
            raise LoginRefused(f"Spacebring gave no tokens: {error}. Begin again.") from error
        if not grant.refresh:
            raise LoginRefused(
                "Spacebring gave an access token, but no refresh token: the bridge could not stay connected. "
                "Ask api@spacebring.com to allow refresh tokens for this client."
            )
        now = self._clock()
        tokens = Tokens(grant.refresh, now, pending.origin).granted(
            grant.access, grant.refresh, now=now, seconds=grant.seconds, scope=grant.scope
        )
        self.store.put(tokens, seed=self._seed)
