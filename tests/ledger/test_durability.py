"""What a 200 and a begun attempt are worth: on the disk, on a replica, or in the memory of a server."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from service.core.durability import Durability
from service.core.errors import NotDurable, StoreUnsuitable, Unavailable
from service.core.store import PREFIX, connect
from tests.conftest import Valkey, free_port, ledger_on, serving
from tests.ledger.conftest import SERVERS, needs_redis
from tests.ledger.steps import DRAFT, Steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis import Redis

    from service.core.durability import Mode

WITHIN = 0.5


@pytest.fixture
def start() -> Iterator[Callable[..., Valkey]]:
    """Start servers that end with the test; an append-only file is kept unless it is said otherwise."""
    with ExitStack() as servers:

        def start(binary: str | None = None, **options: str) -> Valkey:
            given = {"appendonly": "yes", "appendfsync": "everysec", **options}
            return servers.enter_context(serving(given, binary=binary))

        yield start


def steps(redis: Redis, wanted: Mode | None = None) -> Steps:
    durability = Durability(redis, wanted, within=WITHIN)
    return Steps(ledger_on(redis, durability=durability), redis)


def binaries() -> dict[str, str]:
    return {str(each.id): str(each.values[0]) for each in SERVERS}


def test_nothing_that_was_confirmed_is_lost_with_the_server(start: Callable[..., Valkey]) -> None:
    server = start()
    confirmed: set[str] = set()

    for again in range(8):
        with connect(server.url) as client, ThreadPoolExecutor(8) as pool:
            book = steps(client)
            run_id: Any = client.info("server")
            events = pool.map(
                lambda number, book=book, again=again: book.accept(f"{again}-{number}"), range(40)
            )
            # The kill comes right after the last of them was confirmed: nothing flushes in between.
            confirmed |= set(events)
            server.stop()
        server.start()
        with connect(server.url) as client:
            assert run_id["run_id"] != dict(client.info("server"))["run_id"]
            assert steps(client).index("events") == confirmed


def test_a_begun_attempt_survives_the_server(start: Callable[..., Valkey]) -> None:
    server = start()
    with connect(server.url) as client:
        event = steps(client).begin(steps(client).accept()).event.id
        server.stop()
    server.start()

    with connect(server.url) as client:
        assert steps(client).field(event, "begun") == "1"


def test_a_repeat_is_not_confirmed_before_its_original_is_safe(redis: Redis) -> None:
    first = steps(redis, "memory").accept("k")

    with pytest.raises(Unavailable, match="did not confirm"):
        steps(redis, "fsync").accept("k")

    # It wrote, on its own connection: a wait that follows no write would answer at once.
    assert steps(redis).field(first, "repeats") == "1"


def test_a_begin_that_is_repeated_writes_so_that_its_wait_is_one(start: Callable[..., Valkey]) -> None:
    with connect(start().url) as client:
        book = steps(client)
        claim = book.begin(book.accept())
        client.delete(f"{PREFIX}touched")

        assert book.ledger.begin(claim, DRAFT, {}) == 1
        assert client.exists(f"{PREFIX}touched")


@pytest.mark.parametrize("name", binaries())
def test_the_default_is_the_safest_that_the_server_can(start: Callable[..., Valkey], name: str) -> None:
    with connect(start(binaries()[name]).url) as client:
        plan = Durability(client).plan()
        assert (plan.mode, bool(plan.command)) == {"valkey": ("fsync", True), "redis": ("memory", False)}[
            name
        ]


@needs_redis
def test_a_server_that_always_fsyncs_needs_no_wait(start: Callable[..., Valkey]) -> None:
    with connect(start(shutil.which("redis-server"), appendfsync="always").url) as client:
        plan = Durability(client, "fsync").plan()
        assert (plan.command, plan.lacking, Durability(client).plan().mode) == ((), "", "fsync")
        assert steps(client, "fsync").accept()


@needs_redis
def test_an_older_server_that_fsyncs_now_and_then_lacks_what_it_takes(start: Callable[..., Valkey]) -> None:
    with connect(start(shutil.which("redis-server")).url) as client:
        durability = Durability(client, "fsync")
        with pytest.raises(StoreUnsuitable, match="no WAITAOF"):
            durability.refuse_lacking()


@needs_redis
def test_where_config_is_forbidden_nothing_is_assumed(start: Callable[..., Valkey]) -> None:
    server = start(shutil.which("redis-server"), appendfsync="always")
    with connect(server.url) as client:
        client.acl_setuser("default", enabled=True, commands=["-config"])
        assert "appendfsync is not `always`" in Durability(client, "fsync").plan().lacking


def test_without_an_append_only_file_fsync_is_refused_and_memory_is_the_default(redis: Redis) -> None:
    with pytest.raises(StoreUnsuitable, match="config set appendonly yes"):
        Durability(redis, "fsync").refuse_lacking()
    Durability(redis).refuse_lacking()
    assert Durability(redis).plan().mode == "memory"
    assert Durability(redis, "memory").plan().lacking == ""


def test_an_append_only_file_that_is_switched_off_is_noticed(start: Callable[..., Valkey]) -> None:
    with connect(start().url) as client:
        book = steps(client)
        book.accept("first")
        client.config_set("appendonly", "no")

        with pytest.raises(Unavailable, match="send this again") as raised:
            book.accept("second")

        assert raised.value.retry_after == 5
        assert isinstance(raised.value.__cause__, NotDurable)
        # What is in force now is asked anew.
        assert book.ledger.durability.plan().mode == "memory"
        assert book.accept("third")


def test_without_its_replica_nothing_is_accepted_and_nothing_may_be_sent(
    start: Callable[..., Valkey],
) -> None:
    with connect(start().url) as client:
        claim = steps(client).claim(steps(client).accept())
        alone = steps(client, "replica")
        alone.ledger.durability.refuse_lacking()

        assert "no replica is connected" in alone.ledger.durability.plan().lacking
        with pytest.raises(Unavailable, match=r"safe \(replica\)"):
            alone.accept()
        with pytest.raises(NotDurable):
            alone.ledger.begin(claim, DRAFT, {})


def test_with_a_replica_both_go_through(start: Callable[..., Valkey]) -> None:
    port = free_port()
    primary = start(port=str(port), **{"repl-diskless-sync-delay": "0"})
    start(replicaof=f"127.0.0.1 {port}", dbfilename="copy.rdb")
    with connect(primary.url) as client:
        wait: Any = client
        # Answers when the copy has caught up for the first time.
        client.set("written", "1")
        assert wait.execute_command("WAIT", 1, 0) == 1
        book = steps(client, "replica")

        claim = book.begin(book.accept())

        assert book.field(claim.event.id, "begun") == "1"
        assert book.ledger.durability.plan().lacking == ""


def test_scripts_that_the_server_has_forgotten_are_loaded_again(start: Callable[..., Valkey]) -> None:
    with connect(start().url) as client:
        book = steps(client)
        client.script_flush()

        assert book.state(book.accept()) == "queued"


def test_what_was_found_out_is_remembered_for_a_while(redis: Redis) -> None:
    now = [0.0]
    durability = Durability(redis, every=30, clock=lambda: now[0])
    assert durability.plan().mode == "memory"
    redis.config_set("appendonly", "yes")
    try:
        now[0] = 29
        assert durability.plan().mode == "memory"
        now[0] = 30
        assert durability.plan().mode == "fsync"
    finally:
        redis.config_set("appendonly", "no")
