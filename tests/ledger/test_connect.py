"""Connections to real servers: encrypted, through Sentinels, and made anew when they break."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from config.store import StoreAddress
from service.core.store import connect
from tests.conftest import free_port, ledger_on, until
from tests.ledger.conftest import needs_redis
from tests.ledger.sentinel import failing_over, start
from tests.ledger.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="vk"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def encrypted(folder: Path) -> Iterator[tuple[str, Path]]:
    """Give the URL of a server with a self-signed certificate, and the certificate."""
    port, certificate, key = str(free_port()), folder / "own.pem", folder / "own.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=redis", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    options = {
        "tls-port": port,
        "tls-cert-file": str(certificate),
        "tls-key-file": str(key),
        "tls-auth-clients": "no",
    }
    server = start(folder, "tls", shutil.which("redis-server"), **options)
    yield f"rediss://127.0.0.1:{port}/0", certificate
    server.stop()


@needs_redis
def test_a_self_signed_certificate_is_refused_taken_as_it_is_or_verified(encrypted: tuple[str, Path]) -> None:
    url, certificate = encrypted

    with (
        connect(StoreAddress(url)) as strict,
        pytest.raises(RedisConnectionError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        strict.ping()
    for tls in ("insecure", str(certificate)):
        with connect(StoreAddress(url, tls)) as client:
            assert client.ping()


def test_a_url_alone_is_for_a_socket() -> None:
    with pytest.raises(ValueError, match="needs a StoreAddress"):
        connect("redis://127.0.0.1")


def test_encryption_through_sentinels_reaches_them_and_the_server() -> None:
    url = "rediss+sentinel://ada:pw@one,two:5/main/3?sentinel_password=q"
    pool: Any = connect(StoreAddress(url, "insecure")).connection_pool
    (one, two) = (each.connection_pool.connection_kwargs for each in pool.sentinel_manager.sentinels)

    own = pool.connection_kwargs
    assert (own["username"], own["password"], own["db"], own["ssl_cert_reqs"]) == ("ada", "pw", 3, "none")
    assert pool.connection_class.__name__ == "SentinelManagedSSLConnection"
    assert [(each["host"], each["port"], each["password"]) for each in (one, two)] == [
        ("one", 26379, "q"),
        ("two", 5, "q"),
    ]
    assert one["ssl_cert_reqs"] == "none"
    # Two silent ones take no longer than one server may.
    assert (own["socket_timeout"], one["socket_timeout"], two["socket_connect_timeout"]) == (5, 2.5, 2.5)


def test_a_server_that_comes_back_is_found_by_the_next_call(folder: Path) -> None:
    server = start(folder, "one")
    with connect(server.url) as client:
        client.ping()
        server.stop()
        with pytest.raises(RedisError):
            client.ping()
        server.start()

        assert client.ping()
        server.stop()


@pytest.mark.slow
def test_a_failover_is_followed_and_makes_what_came_before_uncertain(folder: Path) -> None:
    with failing_over(folder) as (primary, sentinels, address), connect(address) as client:
        told = sentinels.pubsub()
        told.psubscribe("+switch-master")
        steps = Steps(ledger_on(client), client)
        event = steps.accept()
        assert steps.take() == [event]
        waiting: Any = client
        assert waiting.execute_command("WAIT", 1, 0) == 1
        primary.stop()
        with pytest.raises(RedisError):
            client.ping()
        until(lambda: told.get_message(ignore_subscribe_messages=True))

        assert client.get("kept") == b"1"
        claim = steps.ledger.claim(event, "w")
        assert claim is not None
        assert claim.uncertain
        told.close()
