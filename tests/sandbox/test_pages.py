import re

import pytest

from sandbox.pages import PRESETS
from tests.sandbox.client import ADA, BOB, FAULTS, HARBOUR, Client


def _switch(client: Client, name: str, to: str = "on", **headers: str) -> int:
    own = {"Origin": client.url, "Sec-Fetch-Site": "same-origin"}
    form = {"switch": name, "to": to}
    return client.call("POST", "/faults", data=form, headers=headers or own).status_code


def test_the_page_says_that_nothing_reaches_spacebring(client: Client) -> None:
    page = client.call("GET", "/", headers={}).text
    assert "This is the sandbox." in page
    assert "Nothing on this page reaches Spacebring" in page
    assert "No ticket yet." in page


def test_the_page_shows_the_newest_ticket_first(client: Client) -> None:
    client.file(text="the earlier", userRefRequester=ADA.user)
    client.file(text="the later")
    page = client.call("GET", "/").text
    assert page.index("the later") < page.index("the earlier")
    assert "#1" in page
    assert "#2" in page
    assert "2 filed" in page


def test_the_page_shows_a_hundred_tickets_and_says_how_many_there_are(client: Client) -> None:
    for _ in range(101):
        client.file()
    page = client.call("GET", "/").text
    assert page.count("<article") == 100
    assert "100 newest of 101" in page


def test_nothing_that_a_sender_or_the_configuration_writes_is_markup(client: Client) -> None:
    client.file(text="<script>alert(1)</script>\"'&", locationRef=HARBOUR)
    client.file(userRefRequester=BOB.user)
    client.faults({"kind": "reset", "path": "/<script>"})
    page = client.call("GET", "/").text
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&amp;" in page
    assert "Harbour &lt;i&gt;&amp; Docks&lt;/i&gt;" in page
    assert "Bob &lt;b&gt;Bold&lt;/b&gt;" in page


@pytest.mark.parametrize("path", ["/", "/livez", "/static/sandbox.css", "/locations/v1", "/nowhere"])
def test_every_answer_forbids_scripts_frames_and_sniffing(client: Client, path: str) -> None:
    headers = client.call("GET", path).headers
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'; ")
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_the_page_needs_only_what_the_sandbox_serves(client: Client) -> None:
    page = client.call("GET", "/").text
    wanted = re.findall(r'(?:href|src|action)="([^"]*)"', page)
    assert all(path.startswith("/") for path in wanted)
    for path in set(wanted) - {"/faults"}:
        assert client.call("GET", path).status_code == 200


@pytest.mark.parametrize("name", PRESETS)
def test_each_common_fault_is_switched_on_and_off_by_the_page(client: Client, name: str) -> None:
    assert _switch(client, name) == 303
    [fault] = client.call("GET", FAULTS).json()["faults"]
    assert fault["kind"] == PRESETS[name].fault.kind
    assert "Struck 0 of 0." in client.call("GET", "/").text
    assert _switch(client, name, "off") == 303
    assert client.call("GET", FAULTS).json()["faults"] == []


def test_a_fault_switched_on_by_the_page_strikes_and_shows_its_count(client: Client) -> None:
    _switch(client, "refused")
    assert client.file().status_code == 400
    assert "Struck 1 of 1." in client.call("GET", "/").text


def test_switching_one_fault_leaves_the_others_on_until_all_are_switched_off(client: Client) -> None:
    client.faults({"kind": "reset", "path": "/elsewhere"})
    _switch(client, "down")
    _switch(client, "slow")
    _switch(client, "down", "off")
    kinds = [fault["kind"] for fault in client.call("GET", FAULTS).json()["faults"]]
    assert kinds == ["reset", "latency"]
    assert "/elsewhere" in client.call("GET", "/").text
    assert _switch(client, "all") == 303
    assert client.call("GET", FAULTS).json()["faults"] == []


def test_a_fault_that_the_page_does_not_have_is_answered_400(client: Client) -> None:
    assert _switch(client, "meteor") == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Language": "en"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
    ],
)
def test_a_form_sent_from_anywhere_else_is_refused(client: Client, headers: dict[str, str]) -> None:
    assert _switch(client, "down", **headers) == 403
    assert client.call("GET", FAULTS).json()["faults"] == []


@pytest.mark.parametrize("own", ["Origin", "Sec-Fetch-Site"])
def test_either_header_of_a_browser_vouches_for_the_form(client: Client, own: str) -> None:
    headers = {"Origin": client.url} if own == "Origin" else {"Sec-Fetch-Site": "same-origin"}
    assert _switch(client, "down", **headers) == 303
