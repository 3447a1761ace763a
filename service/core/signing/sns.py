"""Amazon SNS: messages signed by RSA, the key in a certificate that is fetched, or pinned.

Anybody can have Amazon sign a message of a topic of theirs: the topic counts as much as the signature.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.x509 import Certificate, load_pem_x509_certificate

from service.core.errors import ConfigError, Unauthorized, Unavailable, UnreadableError
from service.core.json_body import read_object
from service.core.signing.keys import private_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.core.fetch import Fetch
    from service.core.request import InboundRequest

_T = TypeVar("_T")

_HOST = re.compile(r"sns\.[a-z0-9-]{3,40}\.amazonaws\.com(?:\.cn)?")
_HASHES = {"1": SHA1, "2": SHA256}
_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_SIGNED = {
    "Notification": _NOTIFICATION,
    "SubscriptionConfirmation": _CONFIRMATION,
    "UnsubscribeConfirmation": _CONFIRMATION,
}
_MAX_URL = 2048
_MAX_CERTIFICATE = 32_768
_MAX_CACHED = 16
# After a failure nobody asks for that certificate again for so many seconds; SNS sends again after 20.
_SPARED = 15.0


def is_amazons(url: str) -> bool:
    """Say whether the URL leads to SNS itself, by https and nothing odd: nobody sends us elsewhere."""
    if len(url) > _MAX_URL or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" and _HOST.fullmatch(parts.netloc) is not None


class SnsScheme:
    """Holds the topics that are ours and the certificates known so far; `pinned` is one as PEM.

    The dates of a pinned certificate are not looked at: who pins it, trusts it.
    """

    def __init__(self, topics: Sequence[str], pinned: str, fetch: Fetch) -> None:
        self._topics = frozenset(topics)
        self._fetch = fetch
        self._known: dict[str, Certificate] = {}
        self._failed: dict[str, float] = {}
        try:
            self._pinned = _certificate(pinned.encode()) if pinned else None
        except ValueError as error:
            raise ConfigError(["certificate: not an X.509 certificate with an RSA key, in PEM"]) from error

    def check(self, request: InboundRequest, secrets: Sequence[bytes], now: float) -> None:
        """Raise Unauthorized unless Amazon signed the message, and for a topic of ours.

        Raises Unavailable where the certificate cannot be fetched.
        """
        del secrets
        try:
            message = read_object(request.body)
        except UnreadableError as error:
            raise Unauthorized("topic", "The body is not a message of SNS") from error
        if _text(message, "TopicArn") not in self._topics:
            raise Unauthorized("topic", "The topic is not among the channel's topics")
        hashed = _HASHES.get(_text(message, "SignatureVersion"))
        signature = _decoded(_text(message, "Signature"))
        if hashed is None or not signature:
            raise Unauthorized("signature", "The signature is missing, or of an unknown version")
        key = self._key(_text(message, "SigningCertURL"), now)
        try:
            key.verify(signature, canonical(message), PKCS1v15(), hashed())
        except InvalidSignature as error:
            raise Unauthorized("signature", "The signature is wrong") from error

    def sign(self, message: dict[str, Any], secret: bytes) -> str:
        """Give the signature by a private key of our own: Amazon keeps the real ones."""
        key = private_key(secret)
        if not isinstance(key, RSAPrivateKey):
            raise UnreadableError("not a private key of RSA, as PEM or as base64 of DER")
        hashed = _HASHES.get(_text(message, "SignatureVersion"), SHA256)
        return base64.b64encode(key.sign(canonical(message), PKCS1v15(), hashed())).decode()

    def _key(self, url: str, now: float) -> RSAPublicKey:
        if self._pinned is not None:
            return _rsa(self._pinned)
        if not is_amazons(url) or not urlsplit(url).path.endswith(".pem"):
            raise Unauthorized("address", "The certificate's address is not one of Amazon's")
        certificate = self._known.get(url) or self._fetched(url, now)
        moment = datetime.fromtimestamp(now, UTC)
        if not certificate.not_valid_before_utc <= moment <= certificate.not_valid_after_utc:
            raise Unauthorized("signature", "The certificate is not valid now")
        return _rsa(certificate)

    def _fetched(self, url: str, now: float) -> Certificate:
        # Anybody can write messages for a topic whose name they know: none of them is worth a second wait.
        if 0 <= now - self._failed.get(url, -_SPARED) < _SPARED:
            raise Unavailable("The certificate of the signature could not be had just now")
        try:
            certificate = _certificate(self._fetch(url, limit=_MAX_CERTIFICATE))
        except (ValueError, Unavailable) as error:
            _room_in(self._failed)[url] = now
            raise Unavailable("The certificate of the signature cannot be had") from error
        _room_in(self._known)[url] = certificate
        return certificate


def _room_in(known: dict[str, _T]) -> dict[str, _T]:
    if len(known) >= _MAX_CACHED:
        known.clear()
    return known


def canonical(message: dict[str, Any]) -> bytes:
    """Give what is signed of a message: names and values by line; a subject only where there is one."""
    names = _SIGNED.get(_text(message, "Type"), ())
    present = (name for name in names if name != "Subject" or message.get("Subject") is not None)
    return "".join(f"{name}\n{_text(message, name)}\n" for name in present).encode()


def _text(message: dict[str, Any], name: str) -> str:
    value = message.get(name)
    return value if isinstance(value, str) else ""


def _decoded(value: str) -> bytes:
    try:
        return base64.b64decode(value.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return b""


def _certificate(pem: bytes) -> Certificate:
    """Read a certificate; raises ValueError where it is none, or its key is not RSA."""
    certificate = load_pem_x509_certificate(pem)
    _rsa(certificate)
    return certificate


def _rsa(certificate: Certificate) -> RSAPublicKey:
    try:
        key = certificate.public_key()
    except UnsupportedAlgorithm as error:
        raise ValueError("the certificate's key is of an unknown kind") from error
    if not isinstance(key, RSAPublicKey):
        raise ValueError("the certificate's key is not RSA")  # noqa: TRY004 - it is read, and wrong
    return key
