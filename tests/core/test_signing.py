"""The schemes by themselves: known answers, and what a stranger may put into a header."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from service.core.capture import ORIGIN
from service.core.errors import Unauthorized, UnreadableError
from service.core.request import Headers, InboundRequest
from service.core.signing import Locks, Signed, Window, verify
from service.core.signing.ecdsa import EcdsaScheme
from service.core.signing.jws import JwsScheme
from service.core.signing.plain import BodyScheme
from service.core.signing.stamped import StampedScheme
from service.core.signing.standard import STANDARD_WEBHOOKS, sign_standard

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

    from service.core.signing import Scheme

SECRET = b"test-secret-0123456789"
BODY = '{"hello":"wörld"}'.encode()
SPEC_SECRET = b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SPEC_TIME = 1614265330
SPEC_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
JWS = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJuZXRsaWZ5Iiwic2hhMjU2IjoiMTVmZTkzNmQ1YTVjNGE1NjRjOGRjOTAwMj"
    "I4MDAwOTI2M2MwY2MwYmQwZjI4ZTE2NjUyNTI5YTlmODNiMmQyMyJ9.qFNjda91CJ7qnz5JxVO2mT_Vm-Dcgwi1n9MkH_SF3Qw"
)
NETLIFY = JwsScheme("X-Webhook-Signature", "netlify")


def request(body: bytes, **headers: str) -> InboundRequest:
    pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return InboundRequest("POST", f"{ORIGIN}/hooks/x", Headers.of(pairs), body)


def holds(scheme: Scheme, given: InboundRequest, *secrets: bytes, now: float) -> bool:
    try:
        verify(given, Locks(secrets=secrets), scheme, clock=lambda: now)
    except Unauthorized:
        return False
    return True


def spec(**changes: str) -> InboundRequest:
    headers = {
        "webhook_id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook_timestamp": str(SPEC_TIME),
        "webhook_signature": SPEC_SIGNATURE,
    }
    return request(b'{"test": 2432232314}', **{**headers, **changes})


def test_the_vector_of_standard_webhooks_holds() -> None:
    assert holds(STANDARD_WEBHOOKS, spec(), SPEC_SECRET, now=SPEC_TIME)


def test_the_other_vector_of_standard_webhooks_holds() -> None:
    given = request(
        BODY,
        webhook_id="msg_1",
        webhook_timestamp="1700000000",
        webhook_signature="v1,C4Qc+WH3b2qGpDQ+AxnZKUQ+4desqd+6DRZceXGPJfw=",
    )

    assert holds(STANDARD_WEBHOOKS, given, b"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3", now=1_700_000_000)


def test_svix_has_names_of_its_own() -> None:
    given = spec()
    renamed = Headers.of((name.replace("webhook", "svix"), value) for name, value in given.headers)

    assert holds(STANDARD_WEBHOOKS, replace(given, headers=renamed), SPEC_SECRET, now=SPEC_TIME)


@pytest.mark.parametrize(
    "signatures",
    [
        f"v1,AAAA {SPEC_SIGNATURE}",
        f"{SPEC_SIGNATURE} v1a,AAAA",
        f"v2,AAAA  garbage {SPEC_SIGNATURE}",
    ],
)
def test_one_of_several_signatures_is_enough(signatures: str) -> None:
    assert holds(
        STANDARD_WEBHOOKS, spec(webhook_signature=signatures), b"b2xkIGtleQ==", SPEC_SECRET, now=SPEC_TIME
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"webhook_id": ""},
        {"webhook_id": "msg.1"},
        {"webhook_id": "msg_\xe9"},
        {"webhook_timestamp": ""},
        {"webhook_timestamp": "hello"},
        {"webhook_timestamp": "1614265330.0"},
        {"webhook_timestamp": "\udcff"},
        {"webhook_signature": ""},
        {"webhook_signature": "garbage"},
        {"webhook_signature": "v1,"},
        {"webhook_signature": "v1,a"},
        {"webhook_signature": "v1,\udcff\xe9"},
        {"webhook_signature": SPEC_SIGNATURE.replace("v1", "v2")},
        {"webhook_signature": "v1,AAAA " * 32 + SPEC_SIGNATURE},
    ],
)
def test_what_is_missing_or_malformed_is_refused(changes: dict[str, str]) -> None:
    assert not holds(STANDARD_WEBHOOKS, spec(**changes), SPEC_SECRET, now=SPEC_TIME)


@pytest.mark.parametrize(("seconds", "taken"), [(-301, False), (-300, True), (300, True), (301, False)])
def test_the_time_is_within_five_minutes(seconds: int, taken: bool) -> None:  # noqa: FBT001
    assert holds(STANDARD_WEBHOOKS, spec(), SPEC_SECRET, now=SPEC_TIME + seconds) is taken


@pytest.mark.parametrize("secret", [b"whsec_", b"whsec_*", b"", b"whsec_c29tZXRoaW5n"])
def test_a_secret_that_is_none_opens_nothing(secret: bytes) -> None:
    empty = base64.b64encode(hmac.new(b"", b"msg_1.1614265330.", hashlib.sha256).digest()).decode()
    forged = request(
        b"", webhook_id="msg_1", webhook_timestamp=str(SPEC_TIME), webhook_signature=f"v1,{empty}"
    )

    assert not holds(STANDARD_WEBHOOKS, forged, secret, now=SPEC_TIME)


def test_a_secret_that_is_no_base64_is_the_key_itself() -> None:
    signed = sign_standard(request(BODY), SECRET, SPEC_TIME)

    assert holds(STANDARD_WEBHOOKS, signed, SECRET, now=SPEC_TIME)
    assert signed.headers.get("webhook-id").startswith("msg_")


def test_the_vector_of_netlify_holds_and_is_what_we_sign() -> None:
    assert holds(NETLIFY, request(BODY, X_Webhook_Signature=JWS), b"another", SECRET, now=0)
    assert NETLIFY.sign(BODY, SECRET) == JWS


def jws(head: bytes, claims: bytes) -> str:
    signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in (head, claims))
    mac = hmac.new(SECRET, signed, hashlib.sha256).digest()
    return f"{signed.decode()}.{base64.urlsafe_b64encode(mac).decode()}"


DIGEST = hashlib.sha256(BODY).hexdigest()
CLAIMS = json.dumps({"iss": "netlify", "sha256": DIGEST}).encode()


def test_a_token_need_not_say_who_made_it() -> None:
    token = jws(b'{"alg":"HS256"}', json.dumps({"sha256": DIGEST}).encode())

    assert holds(NETLIFY, request(BODY, X_Webhook_Signature=token), SECRET, now=0)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "..",
        "a.b",
        f"{JWS}.x",
        JWS[:-1],
        "\xe9.\xe9.\xe9",
        "a" * 5000,
        jws(b'{"alg":"none"}', CLAIMS),
        jws(b'{"alg":["HS256"]}', CLAIMS),
        jws(b"\xff", CLAIMS),
        jws(b"[]", CLAIMS),
        jws(b'{"alg":"HS256"}', b"{}"),
        jws(b'{"alg":"HS256"}', b"not JSON"),
        jws(b'{"alg":"HS256"}', json.dumps({"iss": "other", "sha256": DIGEST}).encode()),
        jws(b'{"alg":"HS256"}', json.dumps({"iss": "netlify", "sha256": 1}).encode()),
        jws(b'{"alg":"HS256"}', json.dumps({"iss": "netlify", "sha256": "0" * 64}).encode()),
    ],
)
def test_a_token_that_is_not_of_this_body_is_refused(token: str) -> None:
    assert not holds(NETLIFY, request(BODY, X_Webhook_Signature=token), SECRET, now=0)


def test_a_token_of_odd_length_that_is_signed_is_refused() -> None:
    mac = hmac.new(SECRET, b"a.b", hashlib.sha256).digest()
    token = f"a.b.{base64.urlsafe_b64encode(mac).decode()}"

    assert not holds(NETLIFY, request(BODY, X_Webhook_Signature=token), SECRET, now=0)


def read(given: InboundRequest) -> Signed:
    stamp = given.headers.get("Stamp")
    return Signed([given.headers.get("Sign")], stamp.encode() + given.body, stamp)


def public(key: PublicKeyTypes) -> bytes:
    return base64.b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def private(key: PrivateKeyTypes) -> bytes:
    return base64.b64encode(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))


P256 = ec.generate_private_key(ec.SECP256R1())
ECDSA = EcdsaScheme(read, Window(back=60, ahead=60))


def test_ecdsa_holds_with_the_key_as_der_or_as_pem() -> None:
    given = request(b"\xff body", Stamp="1000", Sign=ECDSA.sign(b"1000\xff body", private(P256)))
    pem = P256.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    own = P256.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    assert holds(ECDSA, request(b"", Stamp="1000", Sign=ECDSA.sign(b"1000", own)), pem, now=1000)
    assert holds(ECDSA, given, b"rubbish", public(P256.public_key()), now=1000)
    assert holds(ECDSA, given, pem, now=1000)
    assert not holds(ECDSA, given, pem, now=1061)
    assert not holds(ECDSA, replace(given, body=b"another"), pem, now=1000)


@pytest.mark.parametrize("signature", ["", "*", "AAAA", "\xe9", "MEUCIQ=="])
def test_a_malformed_ecdsa_signature_is_refused(signature: str) -> None:
    given = request(b"body", Stamp="1000", Sign=signature)

    assert not holds(ECDSA, given, public(P256.public_key()), now=1000)


@pytest.mark.parametrize(
    "key", [ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()], ids=["p384", "ed"]
)
def test_only_keys_on_p256_hold(key: ec.EllipticCurvePrivateKey) -> None:
    signature = base64.b64encode(P256.sign(b"1000", ec.ECDSA(SHA256()))).decode()

    assert not holds(ECDSA, request(b"", Stamp="1000", Sign=signature), public(key.public_key()), now=1000)


@pytest.mark.parametrize(
    "secret",
    [b"rubbish", public(P256.public_key()), private(ed25519.Ed25519PrivateKey.generate())],
    ids=["rubbish", "public", "ed25519"],
)
def test_what_is_no_private_key_of_ecdsa_does_not_sign(secret: bytes) -> None:
    with pytest.raises(UnreadableError, match="not a private key on the curve P-256"):
        ECDSA.sign(b"", secret)


STAMPED = StampedScheme("Acme-Signature", "v1")
STAMPED_TIME = 1_700_000_000
STAMPED_HEX = "71d073cc8fc60e47adb1c7f8c7998a06ebd40f0d7a67ff6672b54b164a63672f"


@pytest.mark.parametrize(
    "header",
    [
        f"t={STAMPED_TIME},v1={STAMPED_HEX}",
        f"v1={STAMPED_HEX}, t={STAMPED_TIME}",
        f"t={STAMPED_TIME},v1={'0' * 64},v1={STAMPED_HEX},v0=x",
    ],
)
def test_time_and_signature_in_one_header_hold_in_any_order(header: str) -> None:
    assert holds(STAMPED, request(BODY, Acme_Signature=header), SECRET, now=STAMPED_TIME)


@pytest.mark.parametrize(
    "header",
    [
        "",
        STAMPED_HEX,
        f"v1={STAMPED_HEX}",
        f"t={STAMPED_TIME},v={STAMPED_HEX}",
        f"t={STAMPED_TIME + 1},v1={STAMPED_HEX}",
        f"t=\ud800,v1={STAMPED_HEX}",
        f"t={STAMPED_TIME}{',v1=0' * 9},v1={STAMPED_HEX}",
    ],
)
def test_a_header_with_another_time_word_or_too_many_parts_does_not_hold(header: str) -> None:
    assert not holds(STAMPED, request(BODY, Acme_Signature=header), SECRET, now=STAMPED_TIME)


@pytest.mark.parametrize(("late", "held"), [(301, False), (300, True), (-300, True), (-301, False)])
def test_a_stamped_header_holds_for_five_minutes_either_way(late: int, held: bool) -> None:  # noqa: FBT001
    signed = STAMPED.sign(request(BODY, acme_signature="old"), SECRET, STAMPED_TIME)

    assert signed.headers.all("Acme-Signature") == [f"t={STAMPED_TIME},v1={STAMPED_HEX}"]
    assert holds(STAMPED, signed, SECRET, now=STAMPED_TIME + late) is held


@pytest.mark.parametrize(("prefix", "encoding"), [("", "hex"), ("sha256=", "hex"), ("sha256=", "base64")])
def test_a_signature_of_the_body_holds_for_that_body_behind_its_prefix_only(
    prefix: str, encoding: Literal["hex", "base64"]
) -> None:
    scheme = BodyScheme("Acme-Signature", prefix, encoding)
    digest = hmac.new(SECRET, BODY, hashlib.sha256)
    expected = digest.hexdigest() if encoding == "hex" else base64.b64encode(digest.digest()).decode()

    signed = scheme.sign(request(BODY, acme_signature="old"), SECRET)

    assert signed.headers.all("Acme-Signature") == [prefix + expected]
    assert holds(scheme, signed, b"older", SECRET, now=0)
    assert not holds(scheme, replace(signed, body=b"x"), SECRET, now=0)
    assert not holds(scheme, request(BODY), SECRET, now=0)
    assert holds(scheme, request(BODY, Acme_Signature=expected), SECRET, now=0) is (not prefix)
