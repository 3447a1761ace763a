"""Amazon's signature: the certificate's way, the versions, and what a stranger may write."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from service.core.capture import ORIGIN
from service.core.errors import ConfigError, Unauthorized, Unavailable, UnreadableError
from service.core.request import Headers, InboundRequest
from service.core.signing import Locks, verify
from service.core.signing.sns import SnsScheme, canonical, is_amazons

NOW = 1_795_478_400.0
TOPIC = "arn:aws:sns:eu-west-1:111111111111:inbound"
URL = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-made-up.pem"
KEY = rsa.generate_private_key(65537, 2048)


def pem(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey, *, until: int = 2027) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(until, 1, 1, tzinfo=UTC))
        .sign(key, SHA256() if isinstance(key, rsa.RSAPrivateKey) else None)
    )
    return certificate.public_bytes(Encoding.PEM)


def private(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return base64.b64encode(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))


def unknown(certificate: bytes) -> bytes:
    """Give the certificate with a key of a kind that nobody knows."""
    body = base64.b64decode(b"".join(certificate.splitlines()[1:-1]))
    changed = body.replace(bytes.fromhex("2a864886f70d010101"), bytes.fromhex("2a864886f70d010163"))
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(changed) + b"-----END CERTIFICATE-----\n"


class Net:
    """Stands where the network is."""

    def __init__(self, content: bytes = b"") -> None:
        self.content = content
        self.asked: list[str] = []

    def __call__(self, url: str, *, limit: int) -> bytes:
        assert limit
        self.asked.append(url)
        if not self.content:
            raise Unavailable("away")
        return self.content


def message(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON is any
    given = {
        "Type": "Notification",
        "MessageId": "made-up-1",
        "TopicArn": TOPIC,
        "Message": "höllo",
        "Timestamp": "2026-11-24T00:00:00.000Z",
        "SignatureVersion": "2",
        "SigningCertURL": URL,
        **changes,
    }
    return {"Signature": SnsScheme((), "", Net()).sign(given, private(KEY)), **given}


def check(scheme: SnsScheme, body: object, now: float = NOW) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = InboundRequest("POST", f"{ORIGIN}/hooks/x", Headers(), raw)
    verify(request, Locks(), scheme, clock=lambda: now, keyless=True)


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("subject", [None, "", "Mail"])
def test_both_versions_hold_with_or_without_a_subject(version: str, subject: str | None) -> None:
    check(SnsScheme((TOPIC,), pem(KEY).decode(), Net()), message(SignatureVersion=version, Subject=subject))


def test_the_string_that_is_signed_is_as_amazon_writes_it() -> None:
    confirmation = message(Type="SubscriptionConfirmation", SubscribeURL="https://x", Token="t")

    assert canonical(confirmation).decode() == (
        "Message\nhöllo\nMessageId\nmade-up-1\nSubscribeURL\nhttps://x\nTimestamp\n2026-11-24T00:00:00.000Z\n"
        f"Token\nt\nTopicArn\n{TOPIC}\nType\nSubscriptionConfirmation\n"
    )


def test_a_certificate_is_fetched_once() -> None:
    net = Net(pem(KEY))
    scheme = SnsScheme((TOPIC,), "", net)

    check(scheme, message())
    check(scheme, message())

    assert net.asked == [URL]


def test_only_so_many_certificates_are_kept() -> None:
    net = Net(pem(KEY))
    scheme = SnsScheme((TOPIC,), "", net)

    for number in (*range(17), 0):
        check(scheme, message(SigningCertURL=URL.replace("made-up", str(number))))

    assert len(net.asked) == 18


@pytest.mark.parametrize(
    "content",
    [b"", b"no certificate", pem(ed25519.Ed25519PrivateKey.generate()), unknown(pem(KEY))],
    ids=["none", "rubbish", "ed25519", "unknown"],
)
def test_a_certificate_that_cannot_be_had_is_no_refusal(content: bytes) -> None:
    with pytest.raises(Unavailable):
        check(SnsScheme((TOPIC,), "", Net(content)), message())


def test_a_certificate_that_could_not_be_had_is_not_asked_for_again_at_once() -> None:
    net = Net()
    scheme = SnsScheme((TOPIC,), "", net)

    for later in (0, 14.9, 15, 16):
        with pytest.raises(Unavailable):
            check(scheme, message(), now=NOW + later)
    assert net.asked == [URL] * 2

    net.content = pem(KEY)
    with pytest.raises(Unavailable):
        check(scheme, message(), now=NOW + 29)
    check(scheme, message(), now=NOW + 30)
    assert net.asked == [URL] * 3


def test_a_clock_that_was_set_back_keeps_no_certificate_away() -> None:
    net = Net()
    scheme = SnsScheme((TOPIC,), "", net)
    with pytest.raises(Unavailable):
        check(scheme, message())
    net.content = pem(KEY)

    check(scheme, message(), now=NOW - 3600)


def test_only_so_many_failures_are_remembered() -> None:
    net = Net()
    scheme = SnsScheme((TOPIC,), "", net)

    for number in (*range(17), 0):
        with pytest.raises(Unavailable):
            check(scheme, message(SigningCertURL=URL.replace("made-up", str(number))))

    assert len(net.asked) == 18


def test_a_certificate_is_good_for_its_time_only() -> None:
    with pytest.raises(Unauthorized, match="not valid now"):
        check(SnsScheme((TOPIC,), "", Net(pem(KEY))), message(), now=NOW + 366 * 86_400)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        [],
        {},
        message(TopicArn="arn:aws:sns:eu-west-1:222222222222:theirs"),
        message(TopicArn=[TOPIC]),
        message(SignatureVersion="3"),
        message(SignatureVersion=2),
        {**message(), "Message": "another"},
        {**message(), "Signature": ""},
        {**message(), "Signature": "*"},
        {**message(), "Signature": "é"},
        {**message(), "Signature": ["AAAA"]},
        {**message(), "Signature": "AAAA"},
        {**message(), "Subject": "added"},
        {**message(), "Type": "SubscriptionConfirmation"},
        {**message(), "Type": "Unknown"},
    ],
)
def test_what_amazon_did_not_sign_for_us_is_refused_and_fetches_nothing(body: object) -> None:
    with pytest.raises(Unauthorized):
        check(SnsScheme((TOPIC,), pem(KEY).decode(), Net()), body)


HOSTILE = [
    "",
    "http://sns.eu-west-1.amazonaws.com/a.pem",
    "https://sns.eu-west-1.amazonaws.com.example.com/a.pem",
    "https://example.com/sns.eu-west-1.amazonaws.com/a.pem",
    "https://sns.eu-west-1.amazonaws.com:8443/a.pem",
    "https://user@sns.eu-west-1.amazonaws.com/a.pem",
    "https://example.com\\@sns.eu-west-1.amazonaws.com/a.pem",
    "https://sns.amazonaws.com/a.pem",
    "https://sns.eu-west-1.s3.amazonaws.com/a.pem",
    "https://sns.eu-west-1.amazonaws.com /a.pem",
    "https://sns.eu-west-1.amazonaws.com/a\r\nHost: x.pem",
    "https://sns.eu-west-1.amazonaws.çom/a.pem",
    "https://[sns.eu-west-1.amazonaws.com/a.pem",
    "https://sns.eu-west-1.amazonaws.com/" + "a" * 3000 + ".pem",
    "file:///etc/a.pem",
]


@pytest.mark.parametrize("url", [*HOSTILE, "https://sns.eu-west-1.amazonaws.com/a.txt?b.pem"])
def test_no_certificate_is_fetched_from_elsewhere(url: str) -> None:
    net = Net(pem(KEY))

    with pytest.raises(Unauthorized):
        check(SnsScheme((TOPIC,), "", net), message(SigningCertURL=url))
    assert net.asked == []


@pytest.mark.parametrize("url", HOSTILE)
def test_only_sns_itself_is_amazons(url: str) -> None:
    assert is_amazons("https://sns.cn-north-1.amazonaws.com.cn/?Action=ConfirmSubscription")
    assert not is_amazons(url)


@pytest.mark.parametrize(
    "pinned",
    ["no certificate", pem(ed25519.Ed25519PrivateKey.generate()).decode()],
    ids=["rubbish", "ed25519"],
)
def test_what_is_pinned_is_a_certificate_with_an_rsa_key(pinned: str) -> None:
    with pytest.raises(ConfigError, match=r"certificate: not an X\.509 certificate with an RSA key"):
        SnsScheme((TOPIC,), pinned, Net())


def test_only_an_rsa_key_signs() -> None:
    with pytest.raises(UnreadableError, match="not a private key of RSA"):
        SnsScheme((), "", Net()).sign(message(), private(ed25519.Ed25519PrivateKey.generate()))
