"""The OAuth2 tokens for Spacebring, kept encrypted in Redis where every process finds them.

Web side and CLI write them after a log-in, workers renew them. The key is derived from BRIDGE_SECRET_KEY
(HKDF, https://www.rfc-editor.org/rfc/rfc5869), the cipher is Fernet
(https://cryptography.io/en/latest/fernet/). Every change but a person's log-in is a compare-and-set: who read
an older state cannot overwrite a newer one, whatever the lock around it does.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from service.core.errors import TokensUnreadable
from service.core.store import PREFIX

if TYPE_CHECKING:
    from redis import Redis

    from config.secrets import Secret

KEY = f"{PREFIX}oauth"
LOCK = f"{PREFIX}oauth:lock"
LOGIN_SECONDS = 600
BY_CLI = "bridge login"
BY_DASHBOARD = "the dashboard"
BY_ENVIRONMENT = "SPACEBRING_REFRESH_TOKEN"

# Renewed before it ends, so that no request is under way with a token that ends meanwhile.
_EARLY = 60.0
_EARLY_SHARE = 0.1

_REPLACE = """
if (redis.call('HGET', KEYS[1], 'tokens') or '') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'tokens', ARGV[2])
redis.call('HDEL', KEYS[1], 'refused')
if ARGV[3] ~= '' then redis.call('HSET', KEYS[1], 'seed', ARGV[3]) end
return 1
"""
# Beside the tokens: a note must not make them other ones, or who renewed them and is late could not store
# what it got.
_REFUSE = """
if (redis.call('HGET', KEYS[1], 'tokens') or '') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'refused', ARGV[2])
return 1
"""


@dataclass(frozen=True)
class Tokens:
    """What a log-in gave, as last renewed. Times are seconds since 1970; `access` is empty before the first.

    `origin` says what connected us.
    """

    refresh: str = field(repr=False)
    connected: float
    origin: str
    access: str = field(default="", repr=False)
    renewed: float = 0.0
    expires: float = 0.0
    scope: str = ""

    def fresh(self, now: float) -> bool:
        """Whether the access token may still be used for a request that begins now."""
        early = min(_EARLY, _EARLY_SHARE * (self.expires - self.renewed))
        return bool(self.access) and now < self.expires - early

    def granted(self, access: str, refresh: str, *, now: float, seconds: float, scope: str) -> Tokens:
        """Give the tokens after Spacebring granted new ones; no new refresh token keeps the old one."""
        return replace(
            self,
            access=access,
            refresh=refresh or self.refresh,
            renewed=now,
            expires=now + seconds,
            scope=scope or self.scope,
        )


@dataclass(frozen=True)
class Snapshot:
    """What was stored at one moment, still encrypted; `seed` marks the environment's token it grew from.

    `refused` is what Spacebring said when it last refused to renew these tokens.
    """

    sealed: bytes
    seed: str
    refused: str = ""


@dataclass(frozen=True)
class PendingLogin:
    """A log-in that was begun: what its end needs, and who began it."""

    redirect_uri: str
    origin: str
    verifier: str = field(repr=False)


@dataclass(frozen=True)
class Begun:
    """Where to send the person who logs in, and the state that must come back."""

    url: str
    state: str


class Connector(Protocol):
    """Walks the authorization-code flow; the part that speaks to Spacebring is given from outside."""

    def begin(self, redirect_uri: str, *, origin: str, pkce: bool = True) -> Begun:
        """Begin a log-in that comes back to `redirect_uri`."""
        ...

    def finish(self, state: str, code: str, *, begun_here: bool) -> None:
        """Exchange the code and store the tokens; raises LoginRefused.

        `begun_here` says that whoever brings the code has shown to be the one who began; otherwise only a
        log-in that the command line began is taken.
        """
        ...


class TokenStore:
    """Keeps the tokens, and the log-ins that were begun, encrypted with a key made of `secret_key`."""

    def __init__(self, redis: Redis, secret_key: Secret) -> None:
        # redis-py types its answers for both of its clients at once.
        self._redis: Any = redis
        self._replace = redis.register_script(_REPLACE)
        self._refuse = redis.register_script(_REFUSE)
        derived = HKDF(SHA256(), 32, None, b"spacebring-bridge oauth tokens 1").derive(secret_key.bytes)
        self._cipher = Fernet(base64.urlsafe_b64encode(derived))

    def snapshot(self) -> Snapshot:
        """Give what is stored, without opening it."""
        sealed, seed, refused = self._redis.hmget(KEY, "tokens", "seed", "refused")
        return Snapshot(sealed or b"", (seed or b"").decode(), (refused or b"").decode())

    def open(self, snapshot: Snapshot) -> Tokens | None:
        """Decrypt a snapshot; None where nothing is stored. Raises TokensUnreadable."""
        if not snapshot.sealed:
            return None
        try:
            return Tokens(**json.loads(self._cipher.decrypt(snapshot.sealed)))
        except InvalidToken:
            raise TokensUnreadable(
                "The stored OAuth2 tokens cannot be read: BRIDGE_SECRET_KEY is not the one they were stored "
                "with. Set the former key again, or run `bridge login` to connect anew."
            ) from None

    def tokens(self) -> Tokens | None:
        """Give the tokens stored now; None where there are none. Raises TokensUnreadable."""
        return self.open(self.snapshot())

    def replace(self, snapshot: Snapshot, tokens: Tokens, *, seed: str = "") -> bool:
        """Store tokens in place of those of `snapshot`; False, and no change, if others are there by now."""
        return bool(self._replace(keys=[KEY], args=[snapshot.sealed, self._sealed(asdict(tokens)), seed]))

    def refuse(self, snapshot: Snapshot, said: str) -> bool:
        """Note that Spacebring refused to renew these tokens; False, and no note, if others are there."""
        return bool(self._refuse(keys=[KEY], args=[snapshot.sealed, said]))

    def put(self, tokens: Tokens, *, seed: str = "") -> None:
        """Store the tokens of a person's log-in, whatever was there."""
        fields = {"tokens": self._sealed(asdict(tokens)), **({"seed": seed} if seed else {})}
        with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.hset(KEY, mapping=fields)
            pipeline.hdel(KEY, "refused")
            pipeline.execute()

    def begin(self, state: str, pending: PendingLogin) -> None:
        """Remember a log-in for ten minutes."""
        self._redis.set(_login_key(state), self._sealed(asdict(pending)), ex=LOGIN_SECONDS)

    def pending(self, state: str) -> bool:
        """Say whether a log-in with this state still waits for its end."""
        return bool(self._redis.exists(_login_key(state)))

    def take(self, state: str) -> PendingLogin | None:
        """Give a log-in that was begun, once only; None where there is none, or too late."""
        sealed = self._redis.getdel(_login_key(state))
        try:
            return PendingLogin(**json.loads(self._cipher.decrypt(sealed))) if sealed else None
        except InvalidToken:
            return None

    def _sealed(self, document: dict[str, Any]) -> bytes:
        return self._cipher.encrypt(json.dumps(document).encode())


def is_stored(redis: Redis) -> bool:
    """Say whether tokens are stored at all, which takes no key."""
    return bool(redis.hexists(KEY, "tokens"))


def seed_mark(token: Secret) -> str:
    """Give what is remembered of the environment's refresh token: enough to notice that it was changed."""
    return hashlib.sha256(token.bytes).hexdigest()


def _login_key(state: str) -> str:
    # Hashed: who reads the keys of the store must not be able to end the log-in.
    return f"{PREFIX}oauth:login:{hashlib.sha256(state.encode('utf-8', 'replace')).hexdigest()}"
