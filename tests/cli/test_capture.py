"""`bridge capture`: waits for a channel's next requests, as files."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
import requests

from config.channels import load_config
from config.settings import load_settings
from sandbox.server import running
from service.app import create_app
from service.core.capture import parse_http
from tests.cli.conftest import CONFIG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from click.testing import Result
    from redis import Redis


@pytest.fixture
def posting(environment: pytest.MonkeyPatch, redis: Redis, tmp_path: Path) -> Iterator[None]:
    """Somebody fills in the form again and again."""
    data = tmp_path / "data"
    app = create_app(load_settings({"BRIDGE_DATA": str(data)}), load_config(CONFIG, environ={}), redis)
    done = threading.Event()

    def post(base: str) -> None:
        while not done.wait(0.02):
            requests.post(
                f"{base}/hooks/website", data={"email": "zoe@x.example", "message": "Cold"}, timeout=5
            )

    with running(app) as base:
        thread = threading.Thread(target=post, args=(base,))
        thread.start()
        yield
        done.set()
        thread.join()


def named(result: Result) -> list[str]:
    """Give what the command printed, without the log of the web side in the same process."""
    return [line for line in result.stdout.splitlines() if line.startswith("/")]


def test_capture_writes_the_next_requests_and_ends(
    bridge: Callable[..., Result], posting: None, tmp_path: Path
) -> None:
    result = bridge("capture", "website", "--count", "2", "--out", str(tmp_path / "out"))

    files = sorted((tmp_path / "out").iterdir())
    assert result.exit_code == 0
    assert named(result) == [str(file) for file in files]
    assert [file.name for file in files] == ["website-0001.http", "website-0002.http"]
    assert b"zoe" not in parse_http(files[0].read_bytes()).body
    assert not (tmp_path / "data" / "captures" / "website" / "wanted").exists()


def test_capture_leaves_the_files_with_the_data_unless_told_otherwise(
    bridge: Callable[..., Result], posting: None, tmp_path: Path
) -> None:
    result = bridge("capture", "website")

    assert named(result) == [str(tmp_path / "data" / "captures" / "website" / "0001.http")]


def test_capture_gives_up_in_the_end_and_says_so(bridge: Callable[..., Result]) -> None:
    result = bridge("capture", "website", "--wait", "0.1")

    assert result.exit_code == 3
    assert "error: 1 did not come within 0.1 s" in result.stderr


def test_capture_of_an_unknown_channel_names_the_known(bridge: Callable[..., Result]) -> None:
    result = bridge("capture", "nowhere")

    assert result.exit_code == 1
    assert "mail, website" in result.output
