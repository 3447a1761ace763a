"""The stored tokens: encrypted, compared before they are replaced, log-ins that end once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from config.secrets import Secret
from service.core.errors import TokensUnreadable
from service.core.tokens import BY_CLI, KEY, LOGIN_SECONDS, PendingLogin, Tokens, TokenStore, is_stored

if TYPE_CHECKING:
    from redis import Redis

TOKENS = Tokens(
    "refresh-1", 1_000.0, BY_CLI, access="access-1", renewed=1_000.0, expires=4_600.0, scope="support"
)
PENDING = PendingLogin("https://bridge.example/cb", BY_CLI, "a-verifier")


@pytest.fixture
def store(redis: Redis) -> TokenStore:
    return TokenStore(redis, Secret("key"))


def test_what_was_put_is_found_by_every_store_with_the_key(store: TokenStore, redis: Redis) -> None:
    empty = (store.tokens(), is_stored(redis))

    store.put(TOKENS)

    assert empty == (None, False)
    assert TokenStore(redis, Secret("key")).tokens() == TOKENS
    assert is_stored(redis) is True


def test_another_key_opens_nothing_and_says_what_to_do(store: TokenStore, redis: Redis) -> None:
    store.put(TOKENS)

    with pytest.raises(TokensUnreadable, match="run `bridge login`"):
        TokenStore(redis, Secret("other")).tokens()


def test_only_who_saw_the_latest_replaces_it(store: TokenStore) -> None:
    empty = store.snapshot()
    newer, newest = replace(TOKENS, access="access-2"), replace(TOKENS, access="access-3")

    planted = store.replace(empty, TOKENS, seed="mark")
    again = store.replace(empty, newer)
    seen = store.snapshot()
    renewed = store.replace(seen, newest)

    assert (planted, again, renewed) == (True, False, True)
    assert store.tokens() == newest
    assert store.snapshot().seed == "mark"


def test_a_refusal_is_noted_beside_the_tokens_until_there_are_others(store: TokenStore) -> None:
    store.put(TOKENS)
    seen = store.snapshot()

    noted = store.refuse(seen, "no")
    late = store.replace(seen, replace(TOKENS, access="access-2"))
    after = store.snapshot().refused
    lost = store.refuse(seen, "no")
    store.refuse(store.snapshot(), "again")
    store.put(TOKENS)

    assert (noted, late, after, lost) == (True, True, "", False)
    assert store.snapshot().refused == ""


def test_a_log_in_replaces_whatever_is_there_and_keeps_the_mark(store: TokenStore, redis: Redis) -> None:
    redis.hset(KEY, mapping={"tokens": "rubbish", "seed": "mark"})

    store.put(TOKENS)
    kept = store.snapshot().seed
    store.put(TOKENS, seed="new")

    assert store.tokens() == TOKENS
    assert (kept, store.snapshot().seed) == ("mark", "new")


@pytest.mark.parametrize(
    ("tokens", "now", "fresh"),
    [
        (TOKENS, 4_539.0, True),
        (TOKENS, 4_540.0, False),
        (replace(TOKENS, expires=1_100.0), 1_089.0, True),
        (replace(TOKENS, expires=1_100.0), 1_090.0, False),
        (replace(TOKENS, access=""), 0.0, False),
    ],
)
def test_a_token_is_renewed_a_minute_early_or_a_tenth_of_its_life(
    tokens: Tokens, now: float, *, fresh: bool
) -> None:
    assert tokens.fresh(now) is fresh


def test_a_grant_without_a_refresh_token_or_scope_keeps_the_old_ones() -> None:
    kept = TOKENS.granted("access-2", "", now=2_000, seconds=60, scope="")
    changed = kept.granted("access-3", "refresh-3", now=3_000, seconds=60, scope="feed")

    assert (kept.refresh, kept.scope, kept.access, kept.expires) == (
        "refresh-1",
        "support",
        "access-2",
        2_060,
    )
    assert (changed.refresh, changed.scope) == ("refresh-3", "feed")


def test_a_log_in_that_was_begun_ends_once(store: TokenStore, redis: Redis) -> None:
    store.begin("state", PENDING)
    waits = store.pending("state")
    (key,) = redis.keys("bridge:oauth:login:*")
    lives = redis.ttl(key)

    taken = store.take("state")

    assert (waits, taken) == (True, PENDING)
    assert 0 < lives <= LOGIN_SECONDS
    assert b"state" not in key
    assert (store.take("state"), store.pending("state")) == (None, False)


def test_a_log_in_of_another_key_is_none(store: TokenStore, redis: Redis) -> None:
    TokenStore(redis, Secret("other")).begin("state", PENDING)

    assert store.take("state") is None


def test_no_repr_shows_a_secret() -> None:
    assert "access-1" not in repr(TOKENS)
    assert "refresh-1" not in repr(TOKENS)
    assert "a-verifier" not in repr(PENDING)
