"""OAuth2 as Spacebring documents it for partners: a page to consent on, and codes and tokens.

https://www.spacebring.com/docs/api-reference/authentication. What it leaves open is decided by
https://www.rfc-editor.org/rfc/rfc6749 (errors, one use of a code), https://www.rfc-editor.org/rfc/rfc7636
(PKCE, S256) and the sandbox's options (rotation, life of an access token).
"""

from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import urlencode, urlsplit

from flask import Blueprint, Response, jsonify, redirect, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from sandbox.gate import guard, same
from sandbox.grants import GrantError
from sandbox.parts import parts

token = Blueprint("oauth", __name__)
consent = Blueprint("consent", __name__)
guard(token, credentials=False)


@consent.get("/oauth2/authorize")
def authorize() -> tuple[Response, int] | Response:
    """Show the page that asks for consent: 200, or 400 for a request that no consent could follow."""
    wrong = _wrong(request.args)
    if wrong:
        return jsonify(error="invalid_request", error_description=wrong), HTTPStatus.BAD_REQUEST
    page = Response(render_template("authorize.html", asked=request.args, scopes=_scopes(request.args)))
    # The form's redirect leads to the one who asked, which the policy of our pages would forbid.
    target = urlsplit(request.args["redirect_uri"])
    page.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none';"
        f" form-action 'self' {target.scheme}://{target.netloc}"
    )
    return page


@consent.post("/oauth2/authorize")
def decide() -> tuple[Response, int] | BaseResponse:
    """Send the person back, with a code if `decision` is `approve`: 302, or 400 as above."""
    wrong = _wrong(request.form)
    if wrong:
        return jsonify(error="invalid_request", error_description=wrong), HTTPStatus.BAD_REQUEST
    form = request.form
    if form.get("decision") == "approve":
        code = parts().grants.code(
            form["redirect_uri"], " ".join(_scopes(form)), form.get("code_challenge", "")
        )
        answer = {"code": code}
    else:
        answer = {"error": "access_denied", "error_description": "The person did not consent"}
    if form.get("state"):
        answer["state"] = form["state"]
    target = form["redirect_uri"]
    return redirect(f"{target}{'&' if '?' in target else '?'}{urlencode(answer)}")


@token.post("/oauth2/token")
def give_token() -> tuple[Response, int]:
    """Give tokens for a code or a refresh token: 200; 400, or 401 for a wrong client."""
    options, grants, form = parts().options, parts().grants, request.form
    known = same(form.get("client_id"), options.client_id) & same(
        form.get("client_secret"), options.client_secret
    )
    if not known:
        return jsonify(error="invalid_client"), HTTPStatus.UNAUTHORIZED
    try:
        if form.get("grant_type") == "authorization_code":
            answer = grants.exchange(
                form.get("code", ""), form.get("redirect_uri"), form.get("code_verifier", "")
            )
        elif form.get("grant_type") == "refresh_token":
            answer = grants.refresh(form.get("refresh_token", ""))
        else:
            return jsonify(error="unsupported_grant_type"), HTTPStatus.BAD_REQUEST
    except GrantError as error:
        return jsonify(error="invalid_grant", error_description=str(error)), HTTPStatus.BAD_REQUEST
    return jsonify(answer), HTTPStatus.OK


def _wrong(asked: Mapping[str, str]) -> str:
    if asked.get("client_id") != parts().options.client_id:
        return "There is no such client"
    if asked.get("response_type") != "code":
        return "The response type is not code"
    try:
        target = urlsplit(asked.get("redirect_uri", ""))
    except ValueError:
        return "The redirect URI is not an address"
    if target.scheme not in {"http", "https"} or not target.netloc or target.fragment:
        return "The redirect URI is not an http or https address without a fragment"
    if asked.get("code_challenge") and asked.get("code_challenge_method") != "S256":
        return "The challenge's method is not S256"
    return ""


def _scopes(asked: Mapping[str, str]) -> list[str]:
    return asked.get("scope", "").replace(",", " ").split()
