"""Where Redis is, read from a URL."""

from __future__ import annotations

import string
from urllib.parse import quote

import certifi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.channels import load_config
from config.errors import ConfigError
from config.settings import Settings, load_settings
from config.store import SentinelAddress, StoreAddress, parse_sentinel
from config.values import InvalidValueError

WORDS = st.text(min_size=1, max_size=20)
NAMES = st.text(string.ascii_letters + string.digits + "-.", min_size=1, max_size=20)
HOSTS = st.lists(st.tuples(NAMES, st.integers(1, 65_535)), min_size=1, max_size=4)


@given(HOSTS, WORDS, st.integers(0, 9999), WORDS, WORDS)
def test_a_sentinel_url_gives_back_what_was_put_into_it(
    hosts: list[tuple[str, int]], service: str, db: int, user: str, password: str
) -> None:
    where = ",".join(f"{host}:{port}" for host, port in hosts)
    login = f"{quote(user, safe='')}:{quote(password, safe='')}"

    found = parse_sentinel(f"redis+sentinel://{login}@{where}/{quote(service, safe='')}/{db}")

    assert found == SentinelAddress(tuple(hosts), service, db, user, password)


@given(st.text(max_size=60))
def test_whatever_else_is_refused_or_understood(text: str) -> None:
    try:
        found = parse_sentinel(f"redis+sentinel://{text}")
    except InvalidValueError:
        return
    assert found.hosts
    assert found.service


def test_what_is_left_out_has_a_default() -> None:
    assert parse_sentinel("rediss+sentinel://one,[::1]/main") == SentinelAddress(
        (("one", 26379), ("::1", 26379)), "main"
    )


def test_sentinels_may_have_a_login_of_their_own() -> None:
    found = parse_sentinel("redis+sentinel://:pw@one/main?sentinel_username=u&sentinel_password=p%40")

    assert (found.username, found.password) == (None, "pw")
    assert (found.sentinel_username, found.sentinel_password) == ("u", "p@")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis+sentinel://one", "redis+sentinel://host:26379"),
        ("redis+sentinel://one:x/main", "redis+sentinel://host:26379"),
        ("redis+sentinel://one:70000/main", "redis+sentinel://host:26379"),
        ("redis+sentinel://one,/main", "redis+sentinel://host:26379"),
        ("redis+sentinel://one/main/zero", "redis+sentinel://host:26379"),
        ("redis+sentinel://one/ma in", "redis+sentinel://host:26379"),
        ("redis+sentinel://:hunter2@one/main?ssl=1", "sentinel_password and sentinel_username"),
    ],
)
def test_a_wrong_sentinel_url_is_named_without_its_password(url: str, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_settings({"REDIS_URL": url})

    (problem,) = raised.value.problems
    assert problem.startswith("REDIS_URL: ")
    assert said in problem
    assert "hunter2" not in problem


def test_a_sentinel_url_stays_as_it_is() -> None:
    url = "redis+sentinel://one:26379,two/main/1"

    assert load_settings({"REDIS_URL": url}).redis_url == url


def test_the_settings_name_the_store_with_its_certificate_and_without_its_password() -> None:
    found = load_settings({"REDIS_URL": "rediss://:hunter2@h", "REDIS_TLS": "insecure"})

    assert found.store == StoreAddress("rediss://:hunter2@h", "insecure")
    assert "hunter2" not in repr(found.store)
    assert Settings().store is None


def test_a_certificate_that_is_not_there_is_a_problem() -> None:
    with pytest.raises(ConfigError, match="is neither verify nor insecure, and no file"):
        load_settings({"REDIS_TLS": "/no/ca.pem"})


def test_a_durability_that_does_not_exist_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"'fsnyc' is no durability.*fsync"):
        load_config('[ledger]\ndurability = "fsnyc"\n', environ={})
    assert load_config('[ledger]\ndurability = "replica"\n', environ={}).ledger.durability == "replica"


def test_a_path_of_certificates_is_taken() -> None:
    found = load_settings({"REDIS_URL": "rediss://h", "REDIS_TLS": certifi.where()})

    assert found.store == StoreAddress("rediss://h", certifi.where())
