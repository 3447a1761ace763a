"""The vendors that are called back, served from their fixtures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.vendor_api import VendorStandIn, vendors_running

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def served_vendors() -> Iterator[VendorStandIn]:
    with vendors_running() as stand_in:
        yield stand_in


@pytest.fixture
def vendors(served_vendors: VendorStandIn) -> VendorStandIn:
    for noted in (served_vendors.calls, served_vendors.faults, served_vendors.instead):
        noted.clear()
    served_vendors.answers = None
    return served_vendors
