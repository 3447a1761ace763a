"""Scripts of the channel's own sites may post and read the answer; others may not read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from config.channels import load_config
from config.settings import load_settings
from service.app import create_app

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from redis import Redis

CONFIG = """
[spacebring]
location = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
[[channels]]
name = "website"
source = "form"
public = true
origins = ["https://www.example.com"]
[[channels]]
name = "api"
source = "json"
token = "token-for-tests-0001"
"""
SITE = {"Origin": "https://www.example.com"}


@pytest.fixture
def client(redis: Redis) -> FlaskClient:
    return create_app(load_settings({}), load_config(CONFIG, environ={}), redis).test_client()


def test_a_browser_that_asks_for_an_allowed_site_may_post(client: FlaskClient) -> None:
    answer = client.options("/hooks/website", headers={**SITE, "Access-Control-Request-Method": "POST"})

    assert (answer.status_code, answer.data) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == "https://www.example.com"
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    assert "Content-Type" in answer.headers["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert answer.headers["Vary"] == "Origin"


@pytest.mark.parametrize(
    ("channel", "origin"),
    [
        ("website", "https://www.example.com.evil.example"),
        ("website", "null"),
        ("website", ""),
        ("api", "https://www.example.com"),
        ("api/token-for-tests-0001", "https://www.example.com"),
    ],
)
def test_a_browser_that_asks_for_another_site_is_told_nothing(
    client: FlaskClient, channel: str, origin: str
) -> None:
    answer = client.options(f"/hooks/{channel}", headers={"Origin": origin} if origin else {})

    assert answer.status_code == 204
    assert [name for name, _ in answer.headers if name.startswith("Access-Control")] == []


def test_a_preflight_of_a_channel_that_does_not_exist_is_404(client: FlaskClient) -> None:
    assert client.options("/hooks/nowhere", headers=SITE).status_code == 404


def test_a_slash_at_the_end_asks_for_the_same_channel(client: FlaskClient) -> None:
    plain = client.options("/hooks/website", headers=SITE)

    slashed = client.options("/hooks/website/", headers=SITE)

    assert (slashed.status_code, slashed.headers) == (204, plain.headers)


def test_a_script_of_an_allowed_site_reads_what_became_of_it_and_what_is_wrong(client: FlaskClient) -> None:
    wanted = {**SITE, "Accept": "application/json"}
    taken = client.post("/hooks/website", data={"message": "Cold"}, headers=wanted)
    refused = client.post("/hooks/website", data={"email": "nobody", "message": "Cold"}, headers=wanted)

    assert (taken.status_code, refused.status_code) == (200, 422)
    for answer in (taken, refused):
        assert answer.headers["Access-Control-Allow-Origin"] == "https://www.example.com"
        assert "X-Bridge-Event" in answer.headers["Access-Control-Expose-Headers"]


def test_a_script_of_another_site_posts_and_reads_nothing(client: FlaskClient) -> None:
    answer = client.post(
        "/hooks/website", data={"message": "Cold"}, headers={"Origin": "https://evil.example"}
    )

    assert answer.status_code == 200
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert answer.headers["Vary"] == "Origin"
