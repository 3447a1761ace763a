"""OAuth2 against the sandbox over HTTP and a real store: renewal, rotation, one renewer, what is refused."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
import requests
from redis.exceptions import ConnectionError as RedisConnectionError

from config.secrets import Secret
from sandbox.app import create_app
from sandbox.options import DEFAULT_NETWORK_ID, SandboxOptions
from sandbox.server import running
from service.core.store import connect
from service.core.tokens import BY_ENVIRONMENT, KEY, LOCK, Snapshot, Tokens, TokenStore
from tests.oauth import CLIENT, DRAFT, LOCATION, SECRET, Connection, answered, consent
from workers.spacebring.auth import BasicAuth
from workers.spacebring.client import SpacebringClient
from workers.spacebring.errors import CredentialsError, TemporaryError
from workers.spacebring.limiter import Slot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis import Redis

    from tests.conftest import Valkey
    from workers.spacebring.oauth import OAuth


@pytest.fixture(params=[True, False], ids=["rotating", "lasting"])
def connection(redis: Redis, request: pytest.FixtureRequest) -> Iterator[Connection]:
    options = SandboxOptions(locations={LOCATION: "Downtown"}, rate=0, rotate_refresh=request.param)
    with running(create_app(options)) as base:
        yield Connection(base, redis)


@pytest.fixture
def client(connection: Connection) -> Iterator[Callable[[OAuth], SpacebringClient]]:
    made: list[SpacebringClient] = []

    def make(auth: OAuth) -> SpacebringClient:
        made.append(SpacebringClient(connection.base, auth, timeout=5))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_a_stored_access_token_serves_until_it_ends(
    connection: Connection, client: Callable[..., SpacebringClient]
) -> None:
    connection.connect()
    connection.asked()

    client(connection.auth()).create_ticket(DRAFT)
    client(connection.auth()).locations()

    assert connection.tickets() == 1
    assert connection.asked() == 0


def test_an_access_token_is_renewed_before_it_ends(connection: Connection) -> None:
    first = connection.connect()
    moments = iter([first.expires - 61, first.expires - 59, first.expires - 59, first.expires - 59])
    auth = connection.auth(clock=lambda: next(moments))

    before, after = auth.authorization(), auth.authorization()

    assert before == f"Bearer {first.access}"
    assert after == f"Bearer {connection.tokens().access}" != before


def test_a_new_refresh_token_replaces_the_old_one_and_none_keeps_it(connection: Connection) -> None:
    first = connection.connect()

    connection.auth(clock=connection.outlive()).authorization()
    rotated = connection.tokens().refresh != first.refresh
    connection.auth(clock=connection.outlive()).authorization()

    assert connection.refused() == ""
    assert connection.asked() == 3
    assert rotated is (connection.tokens().refresh != first.refresh)


def test_a_401_renews_once_asks_for_leave_again_and_repeats(
    connection: Connection, client: Callable[..., SpacebringClient]
) -> None:
    connection.connect()
    connection.asked()
    connection.expire()
    leave: list[str] = []

    def slot() -> Slot:
        leave.append("paced")
        return Slot(lambda: None, lambda: leave.append("place kept"))

    filing = client(connection.auth(slots=slot))
    filing.create_ticket(DRAFT, last_check=lambda: leave.append("checked"))

    assert leave == ["checked", "paced", "place kept", "checked"]
    assert (connection.tickets(), connection.asked()) == (1, 1)


def test_a_401_that_stays_is_given_back_after_one_renewal(
    connection: Connection, client: Callable[..., SpacebringClient]
) -> None:
    connection.connect()
    connection.asked()
    connection.fault(kind="status", status=401, path="/support")

    with pytest.raises(CredentialsError) as caught:
        client(connection.auth()).create_ticket(DRAFT)

    assert caught.value.status == 401
    assert (connection.tickets(), connection.asked()) == (0, 1)


def test_a_401_that_has_another_reason_does_not_use_up_tokens(
    connection: Connection, client: Callable[..., SpacebringClient]
) -> None:
    connection.connect()
    connection.asked()
    connection.fault(kind="status", status=401, path="/support")
    filing = client(connection.auth())

    for _ in range(3):
        with pytest.raises(CredentialsError):
            filing.create_ticket(DRAFT)

    assert connection.asked() == 1


def test_a_401_of_a_token_that_another_process_has_renewed_is_repeated_with_that(
    connection: Connection,
) -> None:
    old = f"Bearer {connection.connect().access}"
    connection.auth(clock=connection.outlive()).authorization()
    connection.asked()

    assert connection.auth().renew(old) is True
    assert connection.asked() == 0


def test_a_last_check_that_forbids_the_repeat_sends_nothing(
    connection: Connection, client: Callable[..., SpacebringClient]
) -> None:
    connection.connect()
    connection.expire()
    allowed = iter([None, ValueError("the lease is over")])

    def check() -> None:
        if error := next(allowed):
            raise error

    with pytest.raises(ValueError, match="the lease is over"):
        client(connection.auth()).create_ticket(DRAFT, last_check=check)

    assert connection.tickets() == 0


def test_many_at_once_make_one_call_for_tokens(connection: Connection, valkey: Valkey) -> None:
    connection.connect()
    connection.asked()
    connection.fault(kind="latency", seconds=0.3, path="/oauth2/token")
    first, together = connection.tokens(), threading.Barrier(8)
    seen: list[bool] = []

    def work() -> None:
        with connect(valkey.url) as redis:
            auth = connection.auth(redis)
            together.wait()
            seen.append(auth.renew(f"Bearer {first.access}"))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert seen == [True] * 8
    assert connection.asked() == 1


def test_a_refusal_says_to_log_in_again_is_remembered_and_heals_by_a_log_in(
    connection: Connection, client: Callable[..., SpacebringClient]
) -> None:
    connection.connect()
    connection.expire(refresh=True)
    worker = client(connection.auth())

    with pytest.raises(CredentialsError, match="run `bridge login`") as caught:
        worker.create_ticket(DRAFT)
    remembered = connection.refused()
    connection.connect()
    worker.create_ticket(DRAFT)

    assert "invalid_grant" in str(caught.value) or "unknown or used" in str(caught.value)
    assert "unknown or used" in remembered
    assert connection.refused() == ""
    assert connection.tickets() == 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_client_that_is_refused_pauses_everything_and_not_one_location(
    connection: Connection, status: int
) -> None:
    connection.connect()
    connection.fault(kind="status", status=status, path="/oauth2/token")

    with pytest.raises(CredentialsError) as caught:
        connection.auth(clock=connection.outlive()).authorization()

    assert caught.value.status == 401


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "reset"},
        {"kind": "status", "status": 503, "retry_after": 7},
        {"kind": "status", "status": 404},
        {"kind": "wrong_json"},
    ],
    ids=lambda fault: str(fault["kind"]),
)
def test_what_may_pass_is_temporary_and_keeps_the_tokens(
    connection: Connection, fault: dict[str, object]
) -> None:
    first = connection.connect()
    connection.fault(path="/oauth2/token", **fault)

    with pytest.raises(TemporaryError) as caught:
        connection.auth(clock=connection.outlive()).authorization()

    assert caught.value.retry_after == fault.get("retry_after")
    assert connection.tokens() == first
    assert first.refresh not in str(caught.value)


def test_the_environments_token_is_planted_once_and_again_only_when_it_changes(
    connection: Connection,
) -> None:
    first = connection.connect().refresh
    connection.store.put(Tokens("nothing good", 0, "somebody"), seed="other")

    connection.auth(seed=Secret(first)).authorization()
    planted = connection.tokens()
    connection.auth(seed=Secret(first), clock=connection.outlive()).authorization()
    renewed = connection.tokens()
    with pytest.raises(CredentialsError):
        connection.auth(seed=Secret("another")).authorization()

    assert planted.origin == BY_ENVIRONMENT
    assert renewed.connected == planted.connected
    assert connection.tokens().refresh == "another"


def test_a_log_in_is_not_overwritten_by_the_environments_token(connection: Connection) -> None:
    seed = Secret("the environment's")
    login = connection.login(seed=seed)
    begun = login.begin("https://bridge.example/cb", origin="test")

    login.finish(begun.state, answered(consent(begun.url))["code"], begun_here=True)

    assert connection.auth(seed=seed).authorization() == f"Bearer {connection.tokens().access}"


def test_basic_serves_until_somebody_logs_in(
    connection: Connection, client: Callable[..., SpacebringClient]
) -> None:
    auth = connection.auth(basic=BasicAuth(CLIENT, SECRET, DEFAULT_NETWORK_ID))
    worker = client(auth)

    worker.locations()
    with pytest.raises(CredentialsError, match="run `bridge login`") as caught:
        worker.create_ticket(DRAFT)
    connection.connect()
    worker.create_ticket(DRAFT)

    assert caught.value.status == 403
    assert connection.tickets() == 1
    assert auth.hint == ""


def test_basic_that_is_refused_is_not_repeated(connection: Connection) -> None:
    auth = connection.auth(basic=BasicAuth(CLIENT, "wrong"))

    assert auth.renew(auth.authorization()) is False
    assert auth.tokens() is None


def test_without_tokens_or_a_network_a_person_is_told_what_to_do(connection: Connection) -> None:
    with pytest.raises(CredentialsError, match="No OAuth2 tokens are stored: run `bridge login`"):
        connection.auth().authorization()
    connection.connect()
    with pytest.raises(CredentialsError, match="SPACEBRING_NETWORK_ID is missing"):
        connection.auth(network_id=None).authorization()


def test_tokens_of_another_key_are_a_matter_for_a_person(connection: Connection, redis: Redis) -> None:
    TokenStore(redis, Secret("another key")).put(connection.connect())

    with pytest.raises(CredentialsError, match="BRIDGE_SECRET_KEY is not the one"):
        connection.auth().authorization()


def test_a_store_that_is_away_sends_nothing(connection: Connection, valkey: Valkey) -> None:
    with connect(f"{valkey.url}-gone") as away, pytest.raises(TemporaryError, match="Redis is away"):
        connection.auth(away).authorization()


def test_who_waits_too_long_for_the_lock_gives_up(connection: Connection, redis: Redis) -> None:
    connection.connect()
    redis.set(LOCK, "somebody")
    auth = connection.auth(
        clock=connection.outlive(), endpoint=connection.endpoint(timeout=0.1), patience=0.1
    )

    with pytest.raises(TemporaryError, match="renewing our access for too long"):
        auth.authorization()


class Unwritable(TokenStore):
    """A store that loses some writes, or whose answers to them are lost."""

    def __init__(self, redis: Redis, times: int, *, written: bool = False) -> None:
        super().__init__(redis, Secret("a-key-for-the-tests"))
        self.times = times
        self._written = written

    def replace(self, snapshot: Snapshot, tokens: Tokens, *, seed: str = "") -> bool:
        self.times -= 1
        if self.times < 0:
            return super().replace(snapshot, tokens, seed=seed)
        if self._written:
            super().replace(snapshot, tokens, seed=seed)
        raise RedisConnectionError("lost")


@pytest.mark.parametrize("written", [True, False])
def test_new_tokens_are_kept_also_when_redis_stumbles(connection: Connection, *, written: bool) -> None:
    connection.connect()
    connection.asked()
    store = Unwritable(connection.redis, 2, written=written)
    slept: list[float] = []

    given = connection.auth(store=store, clock=connection.outlive(), sleep=slept.append).authorization()

    assert given == f"Bearer {connection.tokens().access}"
    assert connection.asked() == 1
    assert slept == [0.2, 0.5]


def test_tokens_that_could_not_be_kept_are_not_used_but_kept_at_the_next_try(connection: Connection) -> None:
    first = connection.connect()
    connection.asked()
    store = Unwritable(connection.redis, 4)
    auth = connection.auth(store=store, clock=connection.outlive(), sleep=lambda _: None)

    with pytest.raises(TemporaryError, match="Redis is away"):
        auth.authorization()
    unchanged = connection.tokens()
    given = auth.authorization()

    assert unchanged == first
    assert given == f"Bearer {connection.tokens().access}"
    assert connection.asked() == 1


class Overtaken(TokenStore):
    """A store into which something comes while tokens are asked for."""

    def __init__(self, redis: Redis, then: Callable[[], object]) -> None:
        super().__init__(redis, Secret("a-key-for-the-tests"))
        self._then = then

    def replace(self, snapshot: Snapshot, tokens: Tokens, *, seed: str = "") -> bool:
        self._then()
        return super().replace(snapshot, tokens, seed=seed)

    def refuse(self, snapshot: Snapshot, said: str) -> bool:
        self._then()
        return super().refuse(snapshot, said)


def test_a_log_in_during_a_renewal_counts(connection: Connection) -> None:
    connection.connect()
    auth = connection.auth(
        store=Overtaken(connection.redis, connection.connect), clock=connection.outlive(-10)
    )

    given = auth.authorization()

    assert given == f"Bearer {connection.tokens().access}"
    assert requests.get(
        f"{connection.base}/locations/v1",
        headers={"Authorization": given, "spacebring-network-id": DEFAULT_NETWORK_ID},
        timeout=5,
    ).ok


def test_a_log_in_during_a_refused_renewal_counts_at_the_next_try(connection: Connection) -> None:
    connection.connect()
    connection.expire(refresh=True)
    auth = connection.auth(
        store=Overtaken(connection.redis, connection.connect), clock=connection.outlive(-10)
    )

    with pytest.raises(TemporaryError, match="connected anew"):
        auth.authorization()

    assert connection.auth().authorization() == f"Bearer {connection.tokens().access}"


def test_who_is_stopped_while_it_renews_stores_what_it_got_when_it_wakes(
    connection: Connection, redis: Redis
) -> None:
    connection.connect()

    def meanwhile() -> None:
        # The lock of the stopped one has run out, and its refresh token is used where they rotate.
        redis.delete(LOCK)
        with suppress(CredentialsError):
            connection.auth(clock=connection.outlive(-10)).authorization()

    stopped = connection.auth(store=Overtaken(redis, meanwhile), clock=connection.outlive(-10))
    given = stopped.authorization()

    assert given == f"Bearer {connection.tokens().access}"
    assert connection.refused() == ""
    assert connection.auth().authorization() == given


def test_tokens_that_are_removed_meanwhile(connection: Connection, redis: Redis) -> None:
    first = connection.connect()
    removing = connection.auth(
        store=Overtaken(redis, lambda: redis.delete(KEY)), clock=connection.outlive()
    ).authorization()
    with pytest.raises(CredentialsError, match="were removed"):
        connection.auth()._renewed(first.access)

    assert removing != f"Bearer {first.access}"


def test_nothing_secret_is_shown(connection: Connection) -> None:
    tokens = connection.connect()
    auth = connection.auth(basic=BasicAuth(CLIENT, SECRET))
    auth.authorization()

    shown = auth.redact(f"{tokens.access} {tokens.refresh} {SECRET}")

    assert shown == "[secret] [secret] [secret]"
    assert tokens.access not in repr((auth, tokens))
    assert tokens.refresh not in repr((auth, tokens))


def test_nothing_secret_lies_in_the_store(connection: Connection, redis: Redis) -> None:
    tokens = connection.connect()

    stored = redis.hgetall(KEY)

    assert stored
    assert tokens.access not in repr(stored)
    assert tokens.refresh not in repr(stored)
