"""The commands about channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from config.channels import load_config
from config.settings import load_settings
from sandbox.server import running
from service.app import create_app
from service.core.capture import parse_http
from service.core.errors import UnreadableError
from tests.cli.conftest import CONFIG, FORM, printed
from tests.fixtures_http import FIXTURES, cases, load_channel
from tests.vendor_api import vendors_running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from click.testing import Result
    from redis import Redis

MAIL = (
    b"POST /hooks/mail HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n"
    b"recipient=help%40mg.example&from=Ann+%3Cann%40example.com%3E&subject=Door&body-plain=It+is+stuck"
    b"&timestamp=1&token=x&signature=y"
)


@pytest.fixture
def served(environment: pytest.MonkeyPatch, redis: Redis) -> Iterator[str]:
    settings = load_settings({})
    config = load_config(CONFIG, environ={})
    with running(create_app(settings, config, redis)) as base:
        environment.setenv("BRIDGE_PUBLIC_URL", base)
        yield base


def test_channels_prints_the_slack_app_with_its_url(
    bridge: Callable[..., Result], environment: pytest.MonkeyPatch
) -> None:
    slack = '[[channels]]\nname = "desk"\nsource = "slack"\nsecret = "key-for-tests"\n'
    environment.setenv("BRIDGE_CONFIG", CONFIG + slack)
    environment.setenv("BRIDGE_PUBLIC_URL", "https://bridge.example")

    shown, listed = bridge("channels").stdout, printed(bridge("channels", "--json"))["channels"]

    assert "The app of desk, to paste at Slack" in shown
    assert shown.count('url: "https://bridge.example/hooks/desk"') == 3
    assert [one["manifest"] is None for one in listed] == [one["source"] != "slack" for one in listed]
    assert "{url}" not in shown


def captured(tmp_path: Path, raw: bytes) -> str:
    path = tmp_path / "request.http"
    path.write_bytes(raw)
    return str(path)


def test_channels_prints_the_url_and_lock_of_each(bridge: Callable[..., Result]) -> None:
    result = bridge("channels")

    lines = result.stdout.splitlines()
    website, mail = (next(line for line in lines if line.startswith(name)) for name in ("website", "mail"))
    assert website.split() == ["website", "form", "http://127.0.0.1:8000/hooks/website", "public"]
    assert mail.endswith("signature, basic, token")
    assert website.index("http://") == mail.index("http://")
    assert website.index("public") == mail.index("signature")
    assert "BRIDGE_PUBLIC_URL" in result.stderr


def test_channels_shows_where_the_token_goes_and_not_what_it_is(
    bridge: Callable[..., Result], environment: pytest.MonkeyPatch
) -> None:
    token = 'token = "token-for-tests-0001"'
    hook = f'[[channels]]\nname = "a-rather-long-name-of-a-channel"\nsource = "standardwebhooks"\n{token}\n'
    environment.setenv("BRIDGE_CONFIG", CONFIG + hook)

    result = bridge("channels")

    assert (
        "standardwebhooks   http://127.0.0.1:8000/hooks/a-rather-long-name-of-a-channel/<token>   token"
        in (result.stdout)
    )
    assert "Instead of <token> goes the channel's token" in result.stdout
    assert "token-for-tests" not in result.output


def test_channels_says_nothing_of_tokens_where_there_are_none(
    bridge: Callable[..., Result], environment: pytest.MonkeyPatch
) -> None:
    head, _, rest = CONFIG.partition("[[channels]]")
    first = rest.partition("[[channels]]")[0]
    environment.setenv("BRIDGE_CONFIG", f"{head}[[channels]]{first}")

    assert "<token>" not in bridge("channels").stdout


def test_channels_gives_json_with_the_public_url(
    bridge: Callable[..., Result], environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("BRIDGE_PUBLIC_URL", "https://bridge.example")

    result = bridge("channels", "--json")

    assert printed(result)["channels"][0]["url"] == "https://bridge.example/hooks/website"
    assert "BRIDGE_PUBLIC_URL" not in bridge("channels").stderr


def test_preview_shows_the_ticket_and_why(bridge: Callable[..., Result], tmp_path: Path) -> None:
    result = bridge("preview", "website", captured(tmp_path, FORM))

    assert result.exit_code == 0
    assert "Cold room" in result.output
    assert "why type" in result.output
    assert result.output.endswith("Ref: sb-preview000\n")


def test_preview_looks_nobody_up_and_says_that_delivery_will(
    bridge: Callable[..., Result], tmp_path: Path
) -> None:
    result = bridge("preview", "website", captured(tmp_path, FORM))

    assert (
        "why requester     channel default: not known yet, the sender's address is looked up at delivery"
        in (result.output)
    )
    assert "not known to Spacebring" not in result.output


def test_preview_gives_json(bridge: Callable[..., Result], tmp_path: Path) -> None:
    (shown,) = printed(bridge("preview", "website", captured(tmp_path, FORM), "--json"))["previews"]

    assert shown["draft"]["type"] == "other"


def test_preview_says_what_would_be_ignored(bridge: Callable[..., Result], tmp_path: Path) -> None:
    spam = FORM + b"&_gotcha=buy"

    assert "IGNORED: " in bridge("preview", "website", captured(tmp_path, spam)).output


def test_preview_of_a_request_that_makes_no_event_says_so(
    bridge: Callable[..., Result], environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    typeform = '[[channels]]\nname = "asked"\nsource = "typeform"\nsecret = "key-for-tests"\n'
    environment.setenv("BRIDGE_CONFIG", CONFIG + typeform)
    raw = b'POST /hooks/asked HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{"event_type": "other"}'

    assert "nothing to keep" in bridge("preview", "asked", captured(tmp_path, raw)).output


def test_preview_shows_every_event_of_a_batch_and_what_is_wrong_with_a_broken_one(
    bridge: Callable[..., Result], environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    brevo = '[[channels]]\nname = "mails"\nsource = "brevo"\nbasic = "user:password"\n'
    environment.setenv("BRIDGE_CONFIG", CONFIG + brevo)
    items = b'{"items": [{"Subject": "One"}, [], {}, {"From": 1}, {"Subject": "Two"}]}'
    file = captured(tmp_path, b"POST /hooks/mails HTTP/1.1\r\nContent-Type: application/json\r\n\r\n" + items)

    shown, listed = bridge("preview", "mails", file), bridge("preview", "mails", file, "--json")

    assert (shown.exit_code, listed.exit_code) == (1, 1)
    assert "EVENT 1 of 5\nlocationRef" in shown.output
    wrong = "DEAD LETTER: not as documented"
    assert f"EVENT 2 of 5\n{wrong}: item 2 of 5 must be an object, not a list\n" in shown.output
    assert f"EVENT 4 of 5\n{wrong} (item 4 of 5): From: Must be an object.\n" in shown.output
    assert shown.output.endswith("Ref: sb-preview000\n")
    assert [bool(one["error"]) for one in printed(listed)["previews"]] == [False, True, True, True, False]


def test_preview_of_an_unknown_channel_names_the_known(bridge: Callable[..., Result], tmp_path: Path) -> None:
    result = bridge("preview", "nowhere", captured(tmp_path, FORM))

    assert result.exit_code == 1
    assert "mail, website" in result.output


def test_preview_of_something_else_says_what_a_capture_is(
    bridge: Callable[..., Result], tmp_path: Path
) -> None:
    result = bridge("preview", "website", captured(tmp_path, b"hello"))

    assert result.exit_code == 1
    assert "not a captured request" in result.output


def test_send_opens_every_lock_of_the_channel(
    bridge: Callable[..., Result], served: str, tmp_path: Path
) -> None:
    result = bridge("send", "mail", captured(tmp_path, MAIL))

    assert '200 {"status":"accepted"' in result.output


def test_send_shows_no_page_but_what_became_of_it(
    bridge: Callable[..., Result], served: str, tmp_path: Path
) -> None:
    page = FORM.replace(b"\r\n\r\n", b"\r\nAccept: text/html\r\n\r\n")

    taken = bridge("send", "website", captured(tmp_path, page))
    refused = bridge("send", "website", captured(tmp_path, page.replace(b"ann%40", b"ann")))

    assert '200 {"status":"accepted"' in taken.output
    assert '"field":"email"' in refused.output


@pytest.fixture
def foreign(environment: pytest.MonkeyPatch, redis: Redis) -> Iterator[None]:
    """Serve channels of the vendors that sign with a key pair, with keys of our own in the vendors' place."""
    text = CONFIG
    for name in ("sendgrid", "ses"):
        lines = (FIXTURES / name / "channel.toml").read_text("utf-8").splitlines(keepends=True)
        text += "[[channels]]\n" + "".join(line for line in lines if not line.startswith(("now =", "key =")))
    environment.setenv("BRIDGE_CONFIG", text)
    with running(create_app(load_settings({}), load_config(text, environ={}), redis)) as base:
        environment.setenv("BRIDGE_PUBLIC_URL", base)
        yield


@pytest.mark.parametrize(("name", "detail"), [("sendgrid", "forged__unsigned"), ("ses", "forged__message")])
@pytest.mark.usefixtures("foreign")
def test_send_signs_with_a_key_of_ours_in_the_place_of_the_vendors(
    name: str, detail: str, bridge: Callable[..., Result], tmp_path: Path
) -> None:
    case, key = str(FIXTURES / name / f"{detail}.http"), tmp_path / "trial.key"
    key.write_bytes(load_channel(name).key)

    bare, signed = bridge("send", name, case), bridge("send", name, case, "--key", str(key))

    assert bare.exit_code == 1
    assert "can sign; this is posted with the signature it has" in bare.stderr
    assert f"docs/sources/{name}.md" in bare.stderr
    assert '200 {"status":"accepted"' in signed.output
    assert signed.stderr == ""


@pytest.mark.parametrize(
    ("name", "half"), [("sendgrid", "its `secret` must be"), ("ses", "its `certificate` must be")]
)
@pytest.mark.usefixtures("foreign")
def test_send_says_where_the_other_half_of_a_key_belongs(
    name: str, half: str, bridge: Callable[..., Result], tmp_path: Path
) -> None:
    case, key = next(case for case in cases(name) if case.outcome == "accepted"), tmp_path / "trial.key"
    made = (
        ec.generate_private_key(ec.SECP256R1())
        if name == "sendgrid"
        else rsa.generate_private_key(65537, 2048)
    )
    key.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    result = bridge("send", name, str(case.path), "--key", str(key))

    assert result.exit_code == 1
    assert half in result.output


@pytest.mark.usefixtures("foreign")
def test_send_takes_no_key_for_a_vendor_that_has_none_and_nothing_that_is_none(
    bridge: Callable[..., Result], tmp_path: Path
) -> None:
    case = str(FIXTURES / "sendgrid" / "forged__unsigned.http")

    other = bridge("send", "website", captured(tmp_path, FORM), "--key", captured(tmp_path, FORM))
    none = bridge("send", "sendgrid", case, "--key", captured(tmp_path, FORM))

    assert "does not sign with a key pair" in other.output
    assert "not a private key on the curve P-256" in none.output


def test_send_reports_a_refusal(bridge: Callable[..., Result], served: str, tmp_path: Path) -> None:
    result = bridge("send", "website", captured(tmp_path, FORM.replace(b"x-www-form-urlencoded", b"pdf")))

    assert result.exit_code == 1
    assert '415 {"title"' in result.output


def test_send_without_a_running_bridge_is_exit_code_three(
    bridge: Callable[..., Result], environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment.setenv("BRIDGE_PUBLIC_URL", "http://127.0.0.1:9")

    assert bridge("send", "website", captured(tmp_path, FORM)).exit_code == 3


def test_a_capture_may_end_its_lines_with_a_line_feed_alone() -> None:
    request = parse_http(b"POST /hooks/mail/tok?a=b HTTP/1.1\nX-A: 1\n\nbody")

    assert (request.path_token, request.body, request.headers.get("x-a")) == ("tok", b"body", "1")


@pytest.mark.parametrize(
    "raw", [b"", b"POST /x\r\n\r\n", b"POST x HTTP/1.1\r\n\r\n", b"POST /x HTTP/1.1\r\nno\r\n\r\n"]
)
def test_what_is_no_request_is_refused(raw: bytes) -> None:
    with pytest.raises(UnreadableError):
        parse_http(raw)


def test_preview_asks_the_vendor_for_what_the_webhook_leaves_out(
    bridge: Callable[..., Result], environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    channel = (FIXTURES / "resend" / "channel.toml").read_text("utf-8").replace("now = ", "capture = 0 # ")
    raw = (FIXTURES / "resend" / "accepted__raw.http").read_bytes()

    with vendors_running() as vendors:
        own = channel.replace("http://127.0.0.1:1", vendors.url("resend"))
        environment.setenv("BRIDGE_CONFIG", f"{CONFIG}\n[[channels]]\n{own}")
        shown = bridge("preview", "resend", captured(tmp_path, raw))
        vendors.fail(401, b'{"message": "API key is invalid"}')
        refused = bridge("preview", "resend", captured(tmp_path, raw))
        unasked = bridge("preview", "resend", str(FIXTURES / "resend" / "ignored__bounce.http"))

    assert "Printer im Büro\n\nIt burns. Grüße, Ann" in shown.output
    assert refused.exit_code == 1
    assert "error: Resend refuses our api_token (401): API key is invalid." in refused.output
    assert "IGNORED: bounce" in unasked.output
    assert len(vendors.calls) == 3


@pytest.mark.parametrize("name", ["resend", "surveymonkey"])
def test_send_signs_as_the_vendor_that_is_called_back_does(
    bridge: Callable[..., Result], environment: pytest.MonkeyPatch, redis: Redis, name: str
) -> None:
    table = (FIXTURES / name / "channel.toml").read_text("utf-8").replace("now = ", "capture = 0 # ")
    text = f"{CONFIG}\n[[channels]]\n{table}"
    environment.setenv("BRIDGE_CONFIG", text)
    (path, *_) = sorted(FIXTURES.glob(f"{name}/accepted__*.http"))

    with running(create_app(load_settings({}), load_config(text, environ={}), redis)) as base:
        environment.setenv("BRIDGE_PUBLIC_URL", base)
        result = bridge("send", name, str(path))

    assert '200 {"status":"accepted"' in result.output
