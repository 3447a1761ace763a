"""Speaks to a sandbox as the bridge would, over real HTTP."""

import dataclasses
import socket
from typing import Any

import requests

from sandbox.app import DEFAULT_NETWORK_ID, Membership, SandboxOptions

DOWNTOWN = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
HARBOUR = "7b0d3a52-19c1-4bb1-93a4-1f6f5d2a0c11"
ADA = Membership(
    "Ada@Example.com",
    "Ada Lovelace",
    DOWNTOWN,
    "0b0e7a3e-2a55-4a3e-9f6a-6f0a1c2d3e4f",
    "5f0c2b1e-6a0c-4a57-8f0e-2f4a52d5c9d1",
)
BOB = Membership(
    "bob@example.com",
    "Bob <b>Bold</b>",
    DOWNTOWN,
    "6d6e2f4e-74b6-4f0a-a1a5-3c1d5f4b8e22",
    "c2f8a1d0-4b1e-4f0c-9f3c-0d7c6b5a4e33",
)
BEARER = {"Authorization": "Bearer sandbox-token", "spacebring-network-id": DEFAULT_NETWORK_ID}
BASIC = ("sandbox-client", "sandbox-secret")
TICKETS = "/support/tickets/v1"
FAULTS = "/sandbox/faults"

_PLAIN = SandboxOptions(
    locations={DOWNTOWN: "Downtown", HARBOUR: "Harbour <i>& Docks</i>"}, memberships=(ADA, BOB), rate=0
)


def options(**changes: Any) -> SandboxOptions:  # noqa: ANN401 - as the fields
    """Give options with two locations, two members and no limit, but for the changes."""
    return dataclasses.replace(_PLAIN, **changes)


def ticket(**changes: object) -> dict[str, Any]:
    """Give the body that files a ticket, but for the changes."""
    return {"ticket": {"locationRef": DOWNTOWN, "type": "internet", "text": "No Wi-Fi", **changes}}


def answers(url: str) -> bool:
    """Say whether a sandbox serves at this URL."""
    try:
        return requests.get(f"{url}/livez", timeout=5).ok
    except requests.ConnectionError:
        return False


class Client:
    """One sandbox at a base URL."""

    def __init__(self, url: str) -> None:
        self.url = url

    def call(self, method: str, path: str, **more: Any) -> requests.Response:  # noqa: ANN401 - as requests
        """Send a request as the administrator."""
        return requests.request(
            method, self.url + path, **{"headers": BEARER, "timeout": 10, "allow_redirects": False, **more}
        )

    def file(self, **changes: object) -> requests.Response:
        """File a ticket."""
        return self.call("POST", TICKETS, json=ticket(**changes))

    def filed(self) -> int:
        """Count the tickets held."""
        return len(self.call("GET", "/sandbox/tickets").json()["tickets"])

    def faults(self, document: object) -> requests.Response:
        """Switch faults on."""
        return self.call("PUT", FAULTS, json=document)

    def struck(self) -> int:
        """Count how often the first fault struck."""
        count: int = self.call("GET", FAULTS).json()["faults"][0]["struck"]
        return count

    def outcomes(self) -> list[tuple[str, str, int | str, int]]:
        """Give the counts of requests by method, path and outcome."""
        counts = self.call("GET", "/sandbox/requests").json()["counts"]
        return [(found["method"], found["path"], found["status"], found["count"]) for found in counts]

    def socket(self) -> socket.socket:
        """Open a bare connection."""
        host, _, port = self.url.removeprefix("http://").partition(":")
        return socket.create_connection((host, int(port)), timeout=10)
