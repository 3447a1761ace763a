import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.app import create_app
from sandbox.limits import limiter
from sandbox.server import running
from tests.sandbox.client import TICKETS, Client, options


class _Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def _admitted(clock: _Clock, steps: list[float], *, rate: int, strict: bool) -> list[float]:
    limit = limiter(rate, strict=strict, clock=clock)
    admitted = []
    for step in steps:
        clock.now += step
        if limit.take():
            admitted.append(clock.now)
    return admitted


@given(st.lists(st.sampled_from([0.0, 0.125, 0.25, 0.5, 1.0]), max_size=60), st.integers(1, 4))
def test_a_sliding_window_never_lets_more_than_its_rate_into_any_second(
    steps: list[float], rate: int
) -> None:
    admitted = _admitted(_Clock(), steps, rate=rate, strict=True)
    assert all(sum(start <= at < start + 1 for at in admitted) <= rate for start in admitted)


@given(st.lists(st.sampled_from([0.0, 0.125, 0.25, 0.5, 1.0]), max_size=60), st.integers(1, 4))
def test_a_token_bucket_never_lets_more_through_than_its_rate_and_a_burst(
    steps: list[float], rate: int
) -> None:
    admitted = _admitted(_Clock(), steps, rate=rate, strict=False)
    for first, start in enumerate(admitted):
        for last, end in enumerate(admitted[first:], first):
            assert last - first + 1 <= rate + (end - start) * rate


@pytest.mark.parametrize("strict", [False, True])
def test_a_quiet_second_makes_room_for_a_full_burst(strict: bool) -> None:  # noqa: FBT001 - a parameter
    steps = [0.0] * 5 + [1.0] + [0.0] * 5
    assert len(_admitted(_Clock(), steps, rate=3, strict=strict)) == 6


def test_a_rate_of_zero_is_no_limit() -> None:
    assert len(_admitted(_Clock(), [0.0] * 100, rate=0, strict=False)) == 100


def test_beyond_the_rate_the_api_answers_429_and_counts_it() -> None:
    with running(create_app(options(rate=1, strict_window=True))) as url:
        client = Client(url)
        statuses = [client.file().status_code for _ in range(20)]
        refused = client.call("GET", "/sandbox/requests").json()
    assert statuses[0] == 201
    assert refused["limited"] == statuses.count(429) > 0
    assert refused["total"] == 20
    assert {(found["path"], found["status"]) for found in refused["counts"]} == {
        (TICKETS, 201),
        (TICKETS, 429),
    }


def test_a_429_has_a_message_and_files_nothing() -> None:
    with running(create_app(options(rate=1, strict_window=True))) as url:
        client = Client(url)
        answers = [client.file() for _ in range(20)]
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert refused.json().keys() == {"message", "type"}
        assert client.filed() == sum(answer.status_code == 201 for answer in answers)
