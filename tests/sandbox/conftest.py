from collections.abc import Iterator

import pytest

from sandbox.app import create_app
from sandbox.server import running
from tests.sandbox.client import Client, options


@pytest.fixture
def client() -> Iterator[Client]:
    with running(create_app(options())) as url:
        yield Client(url)
