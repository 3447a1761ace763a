"""The calls for tokens: what is sent, what is taken for a grant, and what is never shown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from config.secrets import Secret
from workers.spacebring.errors import CredentialsError, TemporaryError
from workers.spacebring.limiter import LimiterBusyError, Slot
from workers.spacebring.token_endpoint import SCOPE, Grant, TokenEndpoint, _GrantSchema

if TYPE_CHECKING:
    from tests.spacebring.conftest import Peer

CLIENT_SECRET = "shh/client+secret"


def endpoint(peer: Peer, **more: float) -> TokenEndpoint:
    return TokenEndpoint(peer.url, "client", Secret(CLIENT_SECRET), **{"timeout": 5.0, **more})  # type: ignore[arg-type] # as the parameters


def form(request: bytes) -> dict[str, list[str]]:
    return parse_qs(request.partition(b"\r\n\r\n")[2].decode())


def test_the_address_of_consent_holds_state_scope_and_challenge(peer: Peer) -> None:
    url = urlsplit(endpoint(peer).authorization_url("https://b.example/cb?x=1", "st", "v" * 43))
    bare = parse_qs(urlsplit(endpoint(peer).authorization_url("https://b.example/cb", "st", "")).query)

    assert url.path == "/oauth2/authorize"
    asked = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert asked.pop("code_challenge")
    assert asked == {
        "response_type": "code",
        "client_id": "client",
        "redirect_uri": "https://b.example/cb?x=1",
        "scope": SCOPE,
        "state": "st",
        "code_challenge_method": "S256",
    }
    assert "code_challenge" not in bare


def test_a_code_goes_with_client_verifier_and_redirect(peer: Peer) -> None:
    peer.answers(200, b'{"access_token": "a", "refresh_token": "r", "expires_in": 60, "scope": "support"}')
    paced: list[str] = []

    slot = Slot(lambda: paced.append("start"), lambda: paced.append("release"))
    tokens = TokenEndpoint(peer.url, "client", Secret(CLIENT_SECRET), slots=lambda: slot)
    grant = tokens.exchange("co/de", "https://b.example/cb", "ver")

    assert grant == Grant("a", "r", 60, "support")
    assert paced == ["start", "release"]
    assert peer.requests[0].startswith(b"POST /oauth2/token ")
    assert b"Authorization" not in peer.requests[0]
    assert form(peer.requests[0]) == {
        "grant_type": ["authorization_code"],
        "client_id": ["client"],
        "client_secret": [CLIENT_SECRET],
        "code": ["co/de"],
        "redirect_uri": ["https://b.example/cb"],
        "code_verifier": ["ver"],
    }


@pytest.mark.parametrize("more", [{}, {"refresh_token": None, "expires_in": None, "scope": None}])
def test_what_a_grant_leaves_out_has_the_documented_default(peer: Peer, more: dict[str, None]) -> None:
    peer.answers(200, json.dumps({"access_token": "a", **more}).encode())

    assert endpoint(peer).refresh("r") == Grant("a", "", 3600, "")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        b'{"access_token": ""}',
        b'{"access_token": "line\\nbreak-secret"}',
        b'{"access_token": "a", "expires_in": 0}',
        b'{"access_token": "a", "expires_in": "soon-secret"}',
    ],
)
def test_a_grant_that_cannot_be_read_is_temporary_and_not_shown(peer: Peer, body: bytes) -> None:
    peer.answers(200, body)

    with pytest.raises(TemporaryError, match="not readable") as caught:
        endpoint(peer).refresh("r")

    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_what_the_peer_echoes_is_not_shown(peer: Peer) -> None:
    peer.answers(400, b'{"error_description": "bad the-refresh-token of shh%2Fclient%2Bsecret"}')

    with pytest.raises(CredentialsError) as caught:
        endpoint(peer).refresh("the-refresh-token")

    assert str(caught.value) == "bad [secret] of [secret]"


def test_a_call_for_tokens_ends_in_time(peer: Peer) -> None:
    peer.handler = lambda exchange: exchange.drip(b"HTTP/1.1 200 OK\r\nX: ")

    with pytest.raises(TemporaryError, match="could not be asked for a token"):
        endpoint(peer, timeout=0.3).refresh("r")


def test_a_limiter_that_says_no_at_the_last_moment_sends_nothing(peer: Peer) -> None:
    peer.answers(200, b"{}")

    def start() -> None:
        raise LimiterBusyError("held back", status=None, retry_after=9)

    slot = Slot(start, lambda: None)
    with pytest.raises(LimiterBusyError, match="held back"):
        TokenEndpoint(peer.url, "client", Secret(CLIENT_SECRET), slots=lambda: slot).refresh("r")

    assert peer.requests == []


def test_a_redirect_carries_nothing_on(peer: Peer) -> None:
    peer.answers(307, b"", f"Location: {peer.url}/elsewhere")

    with pytest.raises(TemporaryError, match="gave no token"):
        endpoint(peer).refresh("r")

    assert len(peer.requests) == 1


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["access_token", "refresh_token", "expires_in", "scope", "x"]), inner
            )
        ),
    )
)
def test_any_document_is_a_grant_with_a_token_for_a_header_or_is_refused(document: object) -> None:
    try:
        grant = _GrantSchema().load(document)  # type: ignore[arg-type] # whatever JSON may hold
    except ValidationError:
        return

    assert grant.access.isascii()
    assert grant.access.isprintable()
    assert grant.access
    assert grant.seconds > 0
