"""Sources that sign by schemes of their own: their vendors' vectors, and the way out of `ses`."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from service.core.capture import ORIGIN
from service.core.errors import Unauthorized, Unavailable
from service.core.registry import discover
from service.core.request import Headers, InboundRequest
from service.core.signing import Locks, from_ledger
from service.core.source import SourceOptions
from tests.fixtures_http import FIXTURES, Case, load_channel
from tests.sources.test_contract import client_of, post

if TYPE_CHECKING:
    from redis import Redis

    from service.core.source import Source

BODY = '{"hello":"wörld"}'.encode()
AMAZON = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=made-up"


def posted(body: bytes, *headers: tuple[str, str]) -> InboundRequest:
    return InboundRequest("POST", f"{ORIGIN}/hooks/x", Headers.of(headers), body)


def test_webflows_signature_is_as_computed_elsewhere() -> None:
    options = SourceOptions("webflow", Locks(secrets=(b"test-secret-0123456789",)), {})
    signature = "b23da9fec82a20b006f523e7421fc3999afecfe3a8ff849c46ce16224576b99c"
    request = posted(BODY, ("x-webflow-timestamp", "1700000000000"), ("x-webflow-signature", signature))

    discover()["webflow"](options, clock=lambda: 1_700_000_000).verify(request)


@pytest.mark.parametrize(
    ("name", "body", "content_type"),
    [
        ("cloudflare", b"Subject: x\r\n\r\nx", "message/rfc822"),
        ("netlify", b"{}", "application/json"),
        ("standardwebhooks", b"{}", "application/json"),
        ("webflow", b"{}", "application/json"),
    ],
)
def test_what_names_no_id_is_known_by_its_content(name: str, body: bytes, content_type: str) -> None:
    request = posted(body, ("Content-Type", content_type))

    parts = discover()[name](SourceOptions(name, Locks(), {})).identify(from_ledger(request))

    assert [part.keys[0].content for part in parts] == [True]


class Net:
    """Stands where the network is."""

    def __init__(self, *, away: bool = False) -> None:
        self.away = away
        self.asked: list[str] = []

    def __call__(self, url: str, *, limit: int) -> bytes:
        assert limit
        self.asked.append(url)
        if self.away:
            raise Unavailable("away")
        return b""


def ses(net: Net) -> Source:
    channel = load_channel("ses")
    return discover()["ses"](replace(channel.options, fetch=net), clock=channel.clock)


def subscription(source: Source, url: str) -> InboundRequest:
    message = {
        "Type": "SubscriptionConfirmation",
        "MessageId": "made-up",
        "Token": "made-up",
        "TopicArn": source.options.topics[0],
        "Message": "You have chosen to subscribe",
        "SubscribeURL": url,
        "Timestamp": "2026-11-24T00:00:00.000Z",
        "SignatureVersion": "1",
    }
    return source.sign(posted(json.dumps(message).encode()), load_channel("ses").key)


def test_a_subscription_to_a_topic_of_ours_is_confirmed() -> None:
    net = Net()
    source = ses(net)

    reply = source.handshake(source.verify(subscription(source, AMAZON)))

    assert reply is not None
    assert (reply.status, net.asked) == (200, [AMAZON])


def test_a_subscription_that_cannot_be_confirmed_is_to_be_sent_again() -> None:
    source = ses(Net(away=True))
    verified = source.verify(subscription(source, AMAZON))

    with pytest.raises(Unavailable):
        source.handshake(verified)


def test_what_amazon_is_to_send_again_is_no_4xx_and_what_is_not_is_none_of_503(redis: Redis) -> None:
    """SNS takes a 4xx for handled; a signature that does not hold may be a pinned certificate's fault."""
    client = client_of("ses", redis)
    codes = {
        detail: post(client, Case(FIXTURES / "ses" / f"{detail}.http").request).status_code
        for detail in ("forged__message", "forged__topic_of_others", "forged__subscription_elsewhere")
    }

    assert list(codes.values()) == [503, 401, 401]


def test_no_subscription_leads_elsewhere() -> None:
    net = Net()
    source = ses(net)
    verified = source.verify(subscription(source, "https://example.com/?x=amazonaws.com"))

    with pytest.raises(Unauthorized):
        source.handshake(verified)
    assert net.asked == []


@pytest.mark.parametrize("body", [b'{"Message": "{\\"notificationType\\": \\"Received\\"}"}'])
def test_a_mail_of_ses_without_ids_is_known_by_its_content(body: bytes) -> None:
    parts = ses(Net()).identify(from_ledger(posted(body)))

    assert [part.keys[0].content for part in parts] == [True]


@pytest.mark.parametrize("kind", ["", "certificate"])
def test_ses_asks_for_amazons_certificate_unless_one_is_pinned(kind: str) -> None:
    net = Net(away=True)
    channel = load_channel("ses")
    pinned = channel.options.certificate if kind else ""
    source = discover()["ses"](replace(channel.options, fetch=net, certificate=pinned), clock=channel.clock)
    message = json.loads(subscription(source, AMAZON).body) | {
        "SigningCertURL": "https://sns.eu-west-1.amazonaws.com/made-up.pem"
    }
    request = posted(json.dumps(message).encode())

    if kind:
        source.verify(request)
    else:
        with pytest.raises(Unavailable):
            source.verify(request)
    assert len(net.asked) == (0 if kind else 1)
