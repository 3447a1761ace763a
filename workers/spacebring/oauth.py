"""OAuth2 as credentials of the client: access tokens out of the store, renewed by one process at a time.

The order that keeps a rotated refresh token: ask, persist, then use. A process that dies between the answer
and the write loses the new refresh token; where Spacebring rotates them, a person has to log in again. That
cannot be closed from this side of the wire (docs/connect-spacebring.md).
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from config.logging import get_logger
from service.core.errors import TokensUnreadable
from service.core.outgoing.reading import readable
from service.core.tokens import BY_ENVIRONMENT, LOCK, Snapshot, Tokens, seed_mark
from workers.spacebring.answers import Failure
from workers.spacebring.auth import SpacebringAuth
from workers.spacebring.errors import CredentialsError, TemporaryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from redis import Redis

    from config.secrets import Secret
    from service.core.tokens import TokenStore
    from workers.spacebring.auth import BasicAuth
    from workers.spacebring.limiter import Slot
    from workers.spacebring.token_endpoint import TokenEndpoint

_log = get_logger("oauth")
CONNECT = "run `bridge login`, or connect on the dashboard's Spacebring page"
_LOOK_AGAIN = 0.05
_SAVE_PAUSES = (0.2, 0.5, 1.0)
# A token that was got for a 401 and is refused too, so many seconds later, is refused for another reason.
_IN_VAIN = 60.0


class OAuth(SpacebringAuth):
    """Bearer tokens from the store. Read anew for each request, so a log-in elsewhere counts at once.

    `seed` is the refresh token of the environment: it is planted where the store was not yet grown from it.
    `basic` serves as long as no tokens are stored. `slots` gives the shared limiter's slot for a request
    that is repeated, `patience` is how many seconds to wait for another process that renews. Not shared
    between threads.
    """

    def __init__(
        self,
        store: TokenStore,
        redis: Redis,
        endpoint: TokenEndpoint,
        network_id: str | None,
        *,
        seed: Secret | None = None,
        basic: BasicAuth | None = None,
        slots: Callable[[], Slot] | None = None,
        patience: float | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(network_id)
        self._store = store
        self._endpoint = endpoint
        self._seed = seed
        self._basic = basic
        self._slots = slots
        self._clock = clock
        self._sleep = sleep
        # Asking may take the limiter's wait and a whole call; who waits gives up before the job's end.
        self._patience = endpoint.timeout + 5 if patience is None else patience
        self._lock = redis.lock(LOCK, timeout=2 * endpoint.timeout + 10, sleep=_LOOK_AGAIN)
        self._unsaved: tuple[Snapshot, Tokens] | None = None
        self._used: Tokens | None = None
        self._after_401 = ""

    @property
    def hint(self) -> str:  # type: ignore[override] # what a person should know depends on what is stored
        """Say what should be known when creating a ticket is refused."""
        return self._basic.hint if self._basic is not None and self._used is None else ""

    def authorization(self) -> str:
        """Return the value of the Authorization header, with an access token that is still good.

        Raises CredentialsError where a person has to log in, TemporaryError where it may work later;
        nothing has been sent then.
        """
        with self._readable_store():
            _, tokens = self._current()
            if tokens is None:
                self._used = None
                return self._without_tokens()
            if self.network_id is None:
                raise _refused("SPACEBRING_NETWORK_ID is missing: OAuth2 works for one network only, name it")
            if not tokens.fresh(self._clock()):
                tokens = self._renewed(tokens.access)
            self._used = tokens
            return _bearer(tokens)

    def renew(self, refused: str) -> bool:
        """Get another access token than the one `refused`, and a turn; say whether there is one.

        Raises as above: a 401 has proved that nothing was done.
        """
        with self._readable_store():
            _, tokens = self._current()
            if tokens is None:
                return False
            if _bearer(tokens) == refused:
                if refused == self._after_401 and self._clock() - tokens.renewed < _IN_VAIN:
                    # A new token was refused as well: to renew again at each probe would mend nothing.
                    return False
                self._after_401 = _bearer(self._renewed(tokens.access))
            if self._slots is not None:
                # Only the wait for it: the repeated request has the place of the first.
                self._slots().release()
            return True

    def secrets(self) -> Sequence[str]:
        """Return every text that must never be shown."""
        basic = [] if self._basic is None else self._basic.secrets()
        used = [] if self._used is None else [self._used.access, self._used.refresh]
        return [*basic, *filter(None, used)]

    def tokens(self) -> Tokens | None:
        """Give the tokens as they are stored, after the environment's have been planted; raises as above."""
        with self._readable_store():
            return self._current()[1]

    def _without_tokens(self) -> str:
        if self._basic is None:
            raise _refused(f"No OAuth2 tokens are stored: {CONNECT}")
        return self._basic.authorization()

    def _current(self) -> tuple[Snapshot, Tokens | None]:
        snapshot = self._store.snapshot()
        mark = seed_mark(self._seed) if self._seed is not None else snapshot.seed
        if self._seed is not None and snapshot.seed != mark:
            planted = Tokens(self._seed.reveal(), self._clock(), BY_ENVIRONMENT)
            # Refused if another process was faster: then its tokens count.
            self._store.replace(snapshot, planted, seed=mark)
            snapshot = self._store.snapshot()
        return snapshot, self._store.open(snapshot)

    def _renewed(self, old: str) -> Tokens:
        """Give tokens with another access token than `old`: another process's, or new ones."""
        with self._alone():
            snapshot, tokens = self._current()
            if tokens is None:
                raise _refused(f"The OAuth2 tokens were removed: {CONNECT}")
            if tokens.access != old and tokens.fresh(self._clock()):
                return tokens
            if self._unsaved is not None and self._unsaved[0].sealed == snapshot.sealed:
                return self._save(*self._unsaved)
            return self._ask(snapshot, tokens)

    def _ask(self, snapshot: Snapshot, tokens: Tokens) -> Tokens:
        try:
            grant = self._endpoint.refresh(tokens.refresh)
        except CredentialsError as error:
            said = readable(str(error), 200)
            if self._store.refuse(snapshot, said):
                raise CredentialsError(
                    f"Spacebring refuses to renew our access ({said}): {CONNECT}",
                    status=error.status,
                    retry_after=error.retry_after,
                    failure=error.failure,
                ) from error
            # Somebody logged in meanwhile: the next request takes what is there now.
            raise TemporaryError(
                "Spacebring was connected anew meanwhile", status=None, retry_after=None
            ) from error
        granted = tokens.granted(
            grant.access, grant.refresh, now=self._clock(), seconds=grant.seconds, scope=grant.scope
        )
        _log.info("access renewed", seconds=round(grant.seconds), rotated=bool(grant.refresh))
        return self._save(snapshot, granted)

    def _save(self, snapshot: Snapshot, granted: Tokens) -> Tokens:
        """Persist, then give the tokens; what cannot be persisted is kept for the next try, and not used."""
        self._unsaved = (snapshot, granted)
        for pause in _SAVE_PAUSES:
            try:
                saved = self._store.replace(snapshot, granted)
                break
            except RedisError:
                self._sleep(pause)
        else:
            saved = self._store.replace(snapshot, granted)
        self._unsaved = None
        if saved:
            return granted
        current = self._current()[1]
        # Written by the try whose answer was lost, or a person's log-in: that one counts.
        return granted if current is None else current

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the lock over all processes; TemporaryError if another holds it for too long."""
        if not self._lock.acquire(blocking_timeout=self._patience):
            raise TemporaryError(
                "another process has been renewing our access for too long", status=None, retry_after=None
            )
        try:
            yield
        finally:
            # Lost after a stop of this process: the store's compare-and-set has kept the order.
            with contextlib.suppress(RedisError):
                self._lock.release()

    @contextlib.contextmanager
    def _readable_store(self) -> Iterator[None]:
        try:
            yield
        except TokensUnreadable as error:
            raise _refused(str(error)) from error
        except RedisError as error:
            raise TemporaryError(
                f"the tokens could not be read or kept: Redis is away ({type(error).__name__})",
                status=None,
                retry_after=None,
            ) from error


def _bearer(tokens: Tokens) -> str:
    return f"Bearer {tokens.access}"


def _refused(message: str) -> CredentialsError:
    return CredentialsError(message, status=None, retry_after=None, failure=Failure.UNAUTHORIZED)
