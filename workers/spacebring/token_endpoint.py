"""Spacebring's OAuth2 endpoints: where a person consents, and where codes and refresh tokens become tokens.

https://www.spacebring.com/docs/api-reference/authentication: `/oauth2/authorize` and `/oauth2/token`, the
client's id and secret in the form. Undocumented there, but harmless where it is ignored: `state`, PKCE
(https://www.rfc-editor.org/rfc/rfc7636), and the redirect URI in the exchange, which
https://www.rfc-editor.org/rfc/rfc6749#section-4.1.3 asks for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

import requests
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load, validate
from urllib3.exceptions import HTTPError

from service.core.outgoing.body import BODY_LIMIT, whole
from service.core.outgoing.reading import error_message, readable, retry_after
from service.core.outgoing.transport import Call, Session, StoppedError
from workers.spacebring import answers
from workers.spacebring.answers import Failure
from workers.spacebring.auth import REDACTED
from workers.spacebring.client import checked_base_url
from workers.spacebring.errors import CredentialsError, SpacebringError, TemporaryError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from config.secrets import Secret
    from service.core.outgoing.body import Answer
    from workers.spacebring.limiter import Slot

AUTHORIZE = "/oauth2/authorize"
TOKEN = "/oauth2/token"  # noqa: S105 - a path
# Just what the bridge does: file and list tickets, find members by their address, list locations.
SCOPE = "support community.readonly locations.readonly"
_FORM = "application/x-www-form-urlencoded"
_OK, _UNAUTHORIZED, _FORBIDDEN = 200, 401, 403
_REFUSED = frozenset({400, _UNAUTHORIZED, _FORBIDDEN})
_DEFAULT_LIFE = 3600
_LONGEST_LIFE = 365 * 24 * 3600
# As for any header value (`workers.spacebring.auth`): it goes into one.
_HEADER_TEXT = validate.Regexp(r"[!-~]+\Z")


@dataclass(frozen=True)
class Grant:
    """What the token endpoint gave. `refresh` is empty where the old refresh token stays good."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    seconds: float
    scope: str


class _GrantSchema(Schema):
    class Meta:
        unknown = EXCLUDE

    access = fields.String(data_key="access_token", required=True, validate=_HEADER_TEXT)
    refresh = fields.String(data_key="refresh_token", load_default="", allow_none=True)
    seconds = fields.Float(
        data_key="expires_in",
        load_default=_DEFAULT_LIFE,
        allow_none=True,
        validate=validate.Range(1, _LONGEST_LIFE),
    )
    scope = fields.String(load_default="", allow_none=True)

    @post_load
    def _make(self, data: Mapping[str, object], **_: object) -> Grant:
        found = {name: value for name, value in data.items() if value is not None}
        return Grant(**{"refresh": "", "seconds": _DEFAULT_LIFE, "scope": "", **found})  # type: ignore[arg-type] # the schema has checked the types


class TokenEndpoint:
    """Asks for tokens as one client; each call is bounded by `timeout`, like any other to Spacebring.

    `base_url` as for the client, else ValueError. `slots` is called before each request, outside its time,
    for the slot of the shared rate limiter that it is made in.
    """

    def __init__(
        self,
        base_url: str,
        client_id: str,
        client_secret: Secret,
        *,
        timeout: float = 10.0,
        connect_timeout: float = 3.05,
        slots: Callable[[], Slot] | None = None,
    ) -> None:
        self._base_url = checked_base_url(base_url)
        self._client_id = client_id
        self._client_secret = client_secret
        self.timeout = timeout
        self._connect_timeout = connect_timeout
        self._slots = slots

    def authorization_url(self, redirect_uri: str, state: str, verifier: str) -> str:
        """Give the URL where a person consents; with a `verifier`, the code will need it (PKCE, S256)."""
        challenge = (
            {"code_challenge": create_s256_code_challenge(verifier), "code_challenge_method": "S256"}
            if verifier
            else {}
        )
        url: str = prepare_grant_uri(
            self._base_url + AUTHORIZE,
            self._client_id,
            "code",
            redirect_uri=redirect_uri,
            scope=SCOPE,
            state=state,
            **challenge,
        )
        return url

    def exchange(self, code: str, redirect_uri: str, verifier: str) -> Grant:
        """Exchange a code for tokens; CredentialsError if it is refused, else TemporaryError."""
        more = {"code": code, "code_verifier": verifier}
        return self._ask([code, verifier], "authorization_code", redirect_uri=redirect_uri, **more)

    def refresh(self, refresh: str) -> Grant:
        """Renew the access token; CredentialsError if it is refused, else TemporaryError."""
        return self._ask([refresh], "refresh_token", refresh_token=refresh)

    def _ask(self, hidden: Sequence[str], grant_type: str, **more: str) -> Grant:
        secret = self._client_secret.reveal()
        more |= {"client_id": self._client_id, "client_secret": secret}
        form = prepare_token_request(grant_type, **more)

        def redact(text: str) -> str:
            for value in sorted(filter(None, [secret, *hidden]), key=len, reverse=True):
                text = text.replace(value, REDACTED).replace(quote(value, safe=""), REDACTED)
            return text

        if self._slots is None:
            answer = self._post(form, redact, None)
        else:
            with self._slots() as slot:
                answer = self._post(form, redact, slot.start)
        if answer.status != _OK:
            raise _refusal(answer, redact)
        try:
            grant: Grant = _GrantSchema().loads(answer.body.decode())
        except (ValidationError, ValueError, RecursionError) as error:
            # The cause would show the body, and with it a token.
            kind = type(error).__name__
            raise TemporaryError(
                f"Spacebring granted tokens, but the answer is not readable ({kind})",
                status=answer.status,
                retry_after=None,
                failure=Failure.UNREADABLE,
            ) from None
        return grant

    def _post(self, form: str, redact: Callable[[str], str], last_check: Callable[[], None] | None) -> Answer:
        call = Call(self.timeout, self._connect_timeout, last_check)
        with Session(None) as session, call.active():
            request = requests.Request(
                "POST", self._base_url + TOKEN, data=form, headers={"Content-Type": _FORM}
            )
            try:
                response = session.send(
                    session.prepare_request(request),
                    timeout=(self._connect_timeout, self.timeout),
                    allow_redirects=False,
                    stream=True,
                )
            except StoppedError as stopped:
                raise stopped.forbidden from None
            except (requests.RequestException, HTTPError) as error:
                row = answers.classify_exception(error)
                detail = redact(readable(str(list(answers.unwrapped(error))[-1]), BODY_LIMIT))
                raise TemporaryError(
                    f"Spacebring could not be asked for a token: {row.label}: {detail}",
                    status=None,
                    retry_after=None,
                    failure=row.failure,
                ) from error
            return whole(response)


def _refusal(answer: Answer, redact: Callable[[str], str]) -> SpacebringError:
    message = error_message(answer.status, answer.body, redact=redact)
    asked = retry_after(answer.headers.get("Retry-After"))
    if answer.status not in _REFUSED:
        row = answers.classify_status(answer.status)
        return TemporaryError(
            f"Spacebring gave no token ({answer.status}): {message}",
            status=answer.status,
            retry_after=asked,
            failure=row.failure,
        )
    # 403 would mean one location elsewhere; here it is all of them.
    status = _UNAUTHORIZED if answer.status == _FORBIDDEN else answer.status
    return CredentialsError(message, status=status, retry_after=asked, failure=Failure.UNAUTHORIZED)
