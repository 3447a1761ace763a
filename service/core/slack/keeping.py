"""What of a request from Slack may be stored: without what anybody could write to people with.

A `response_url` and a step's own token are sealed for the answer; what cannot be read loses whatever looks
like either.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from service.core.errors import UnreadableError
from service.core.forms import decode, read_form
from service.core.json_body import read_object
from service.core.sealing import seal
from service.core.slack.steps import TOKEN
from service.core.slack.values import string, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.core.request import InboundRequest

_JSON = "application/json"
# Of a payload. The app's token is deprecated and never read.
_SECRETS = frozenset({"response_url", "response_urls", "token", TOKEN})
# As they stand in JSON, in a form, and in JSON in a form.
_QUOTE = rb"(?:\\?\"|%22|%5[Cc]%22)"
_COLON = rb"(?:[\s+]|%20)*(?::|%3[Aa])(?:[\s+]|%20)*"
_LEFT = (
    re.compile(
        rb"((?:response_url|bot_access_token|token)"
        + _QUOTE
        + _COLON
        + _QUOTE
        + rb")[^\"&]*?(?=%22|%5[Cc]%22|[\"&]|\Z)"
    ),
    re.compile(rb"((?:\A|&)(?:response_url|token)=)[^&]*"),
    re.compile(rb"(hooks\.slack\.com)[^\s\"&<>]*?(?=%22|%5[Cc]%22|[\s\"&<>]|\Z)"),
    re.compile(rb"(xox[a-z]-|xapp-|xwfp-)[\w-]+"),
)


def kept(request: InboundRequest, secrets: Sequence[bytes], now: float) -> InboundRequest:
    """Give the request as it may be stored; where there is no secret to seal with, nothing is sealed."""
    try:
        if request.content_type == _JSON:
            body = _event(request.body, secrets, now)
        else:
            pairs = [
                (name, _held(name, value, secrets, now))
                for name, value in read_form(request).fields
                if name != "token"
            ]
            body = urlencode(pairs).encode()
    except UnreadableError:
        body = request.body
        for pattern in _LEFT:
            body = pattern.sub(rb"\1", body)
    return replace(request, body=body)


def _event(body: bytes, secrets: Sequence[bytes], now: float) -> bytes:
    told = read_object(body)
    told.pop("token", None)
    inner = table(told, "event")
    if TOKEN in inner:
        told["event"] = {**inner, TOKEN: seal(string(inner, TOKEN), secrets, now)}
    return json.dumps(told).encode()


def _held(name: str, value: bytes, secrets: Sequence[bytes], now: float) -> bytes:
    if name == "response_url":
        return seal(decode(value), secrets, now).encode()
    if name != "payload":
        return value
    payload = read_object(value)
    return json.dumps({key: inner for key, inner in payload.items() if key not in _SECRETS}).encode()
