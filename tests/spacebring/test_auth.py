"""Credentials: the headers they make, and that they are never shown."""

from __future__ import annotations

import pytest
from requests import PreparedRequest, Request

from workers.spacebring.auth import BasicAuth, BearerAuth, SpacebringAuth


def signed(auth: SpacebringAuth) -> PreparedRequest:
    return Request("GET", "https://api.example.com/", auth=auth).prepare()


def test_a_bearer_token_goes_with_the_network() -> None:
    headers = signed(BearerAuth("tok", "net")).headers
    assert headers["Authorization"] == "Bearer tok"
    assert headers["spacebring-network-id"] == "net"


def test_basic_credentials_are_encoded_as_in_the_manual() -> None:
    # The manual's own example, https://www.spacebring.com/docs/api-reference/authentication
    headers = signed(BasicAuth("client id", "client secret")).headers
    assert headers["Authorization"] == "Basic Y2xpZW50IGlkOmNsaWVudCBzZWNyZXQ="
    assert "spacebring-network-id" not in headers


def test_basic_credentials_may_name_the_network() -> None:
    assert signed(BasicAuth("id", "secret", "net")).headers["spacebring-network-id"] == "net"


@pytest.mark.parametrize("auth", [BearerAuth("hush-hush", "net"), BasicAuth("hush-hush", "hush-hush", "net")])
def test_nothing_secret_is_in_the_repr(auth: SpacebringAuth) -> None:
    assert "hush" not in repr(auth)
    assert "net" in repr(auth)


@pytest.mark.parametrize("bad", ["", " x", "x\n", "a\r\nb", "a\x00b", "schl\u00fcssel"])
def test_credentials_that_no_header_can_carry_are_refused_unshown(bad: str) -> None:
    for make in (
        lambda: BearerAuth(bad, "net"),
        lambda: BearerAuth("tok", bad),
        lambda: BasicAuth(bad, "secret"),
        lambda: BasicAuth("id", bad),
        lambda: BasicAuth("id", "secret", bad),
    ):
        with pytest.raises(ValueError, match="copy it again") as caught:
            make()
        assert not bad.strip() or bad not in str(caught.value).replace("x", "")


def test_a_client_id_with_a_colon_is_refused() -> None:
    with pytest.raises(ValueError, match="colon"):
        BasicAuth("a:b", "secret")
