"""The sandbox's OAuth2: consent, codes, tokens, rotation, and what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from sandbox.app import DEFAULT_NETWORK_ID, create_app
from sandbox.server import running
from tests.oauth import answered, consent
from tests.sandbox.client import Client, options

if TYPE_CHECKING:
    from pathlib import Path

ASKED = {
    "client_id": "sandbox-client",
    "response_type": "code",
    "redirect_uri": "https://bridge.example/cb?kept=1",
    "scope": "support,locations.readonly",
    "state": "a <b>state</b>",
}
# https://www.rfc-editor.org/rfc/rfc7636#appendix-B
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = {
    "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    "code_challenge_method": "S256",
}


def authorize(client: Client, **changes: str) -> requests.Response:
    return requests.get(f"{client.url}/oauth2/authorize", params={**ASKED, **changes}, timeout=5)


def code(client: Client, **changes: str) -> str:
    return answered(consent(authorize(client, **changes).url))["code"]


def tokens(client: Client, **form: str) -> requests.Response:
    known = {"client_id": "sandbox-client", "client_secret": "sandbox-secret"}
    return requests.post(f"{client.url}/oauth2/token", data={**known, **form}, timeout=5)


def granted(client: Client) -> dict[str, Any]:
    answer: dict[str, Any] = tokens(client, grant_type="authorization_code", code=code(client)).json()
    return answer


def locations(client: Client, access: str) -> int:
    headers = {"Authorization": f"Bearer {access}", "spacebring-network-id": DEFAULT_NETWORK_ID}
    return requests.get(f"{client.url}/locations/v1", headers=headers, timeout=5).status_code


def test_consent_leads_back_with_a_code_and_the_state(client: Client) -> None:
    page = authorize(client)
    back = answered(consent(page.url))

    assert "form-action 'self' https://bridge.example" in page.headers["Content-Security-Policy"]
    assert "<b>state" not in page.text
    assert back["state"] == ASKED["state"]
    assert back["kept"] == "1"
    assert back["code"]


def test_no_consent_leads_back_with_an_error(client: Client) -> None:
    back = answered(consent(authorize(client, state="", redirect_uri="https://b.example/cb").url, "deny"))

    assert back["error"] == "access_denied"
    assert "state" not in back


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "somebody"},
        {"response_type": "token"},
        {"redirect_uri": ""},
        {"redirect_uri": "javascript://x/alert(1)"},
        {"redirect_uri": "https://b.example/#here"},
        {"redirect_uri": "https://["},
        {"code_challenge": "x", "code_challenge_method": "plain"},
    ],
)
def test_a_request_that_nobody_could_consent_to_is_400(client: Client, changes: dict[str, str]) -> None:
    asked = authorize(client, **changes)
    decided = requests.post(
        f"{client.url}/oauth2/authorize", data={**ASKED, **changes, "decision": "approve"}, timeout=5
    )

    assert (asked.status_code, decided.status_code) == (400, 400)


def test_a_code_gives_tokens_that_the_api_takes(client: Client) -> None:
    answer = granted(client)

    assert locations(client, answer["access_token"]) == 200
    assert answer["scope"] == "support locations.readonly"
    assert (answer["expires_in"], answer["token_type"]) == (3600, "Bearer")
    assert ("POST", "/oauth2/token", 200, 1) in client.outcomes()


def test_a_code_is_good_once_and_for_its_redirect_and_verifier_only(client: Client) -> None:
    def exchange(code: str, **more: str) -> tuple[int, str]:
        answer = tokens(client, grant_type="authorization_code", code=code, **more)
        return answer.status_code, answer.json().get("error", "")

    used, other, challenged, kept = (
        code(client),
        code(client),
        code(client, **CHALLENGE),
        code(client, **CHALLENGE),
    )

    assert exchange(used, redirect_uri=ASKED["redirect_uri"]) == (200, "")
    assert exchange(used) == (400, "invalid_grant")
    assert exchange(other, redirect_uri="https://evil.example") == (400, "invalid_grant")
    assert exchange(challenged, code_verifier="wrong") == (400, "invalid_grant")
    assert exchange(kept, code_verifier=VERIFIER) == (200, "")


@pytest.mark.parametrize(("rotate", "again"), [(True, 400), (False, 200)])
def test_a_refresh_token_dies_when_it_is_rotated(*, rotate: bool, again: int) -> None:
    with running(create_app(options(rotate_refresh=rotate))) as url:
        client = Client(url)
        refresh = granted(client)["refresh_token"]

        renewed = tokens(client, grant_type="refresh_token", refresh_token=refresh)
        repeated = tokens(client, grant_type="refresh_token", refresh_token=refresh)

        assert renewed.status_code == 200
        assert ("refresh_token" in renewed.json()) is rotate
        assert locations(client, renewed.json()["access_token"]) == 200
        assert repeated.status_code == again


def test_who_is_not_the_client_or_wants_another_grant_is_refused(client: Client) -> None:
    assert tokens(client, client_secret="wrong").status_code == 401
    assert tokens(client, grant_type="client_credentials").json() == {"error": "unsupported_grant_type"}


def test_tokens_can_be_ended(client: Client) -> None:
    answer = granted(client)

    client.call("POST", "/sandbox/oauth/expire")
    ended = locations(client, answer["access_token"])
    renewed = tokens(client, grant_type="refresh_token", refresh_token=answer["refresh_token"]).json()
    client.call("POST", "/sandbox/oauth/expire?refresh=1")

    assert ended == 401
    assert locations(client, renewed["access_token"]) == 401
    assert (
        tokens(client, grant_type="refresh_token", refresh_token=renewed["refresh_token"]).status_code == 400
    )


def test_an_access_token_ends_by_itself_and_outlives_a_restart(tmp_path: Path) -> None:
    chosen = options(access_life=1, data=tmp_path / "sandbox.db")
    with running(create_app(chosen)) as url:
        answer = granted(Client(url))

    with running(create_app(options(data=tmp_path / "sandbox.db"))) as url:
        client = Client(url)
        renewed = tokens(client, grant_type="refresh_token", refresh_token=answer["refresh_token"])

        assert answer["expires_in"] == 1
        assert renewed.status_code == 200
