"""The pages for somebody who posted a form in a browser: they need nothing from elsewhere."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from flask import Response, render_template

if TYPE_CHECKING:
    from service.core.errors import RequestError


def thanks(reference: str) -> Response:
    """Say that a form has come, and under which reference."""
    return _page("thanks.html", 200, reference=reference)


def refused(error: RequestError, status: int) -> Response:
    """Say why a form was not taken, and what its sender can do about it."""
    return _page("refused.html", status, error=error)


def _page(template: str, status: int, **context: object) -> Response:
    nonce = secrets.token_urlsafe(16)
    response = Response(render_template(template, nonce=nonce, **context), status=status)
    response.content_type = "text/html; charset=utf-8"
    response.headers.update(
        {
            # The style of the page itself, and nothing else. It may stand in a frame: forms do.
            "Content-Security-Policy": (
                f"default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'"
            ),
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
            "X-Robots-Tag": "noindex",
        }
    )
    return response
