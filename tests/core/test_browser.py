"""What a browser means by its request."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.values import InvalidValueError, origin, origin_of
from service.core.browser import leads_to, preferred


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/json", "json"),
        ("application/problem+json", "json"),
        ("Application/JSON; charset=utf-8", "json"),
        ("application/*", "json"),
        ("application/json, */*;q=0.5", "json"),
        ("application/json, */*", "json"),
        ("text/html, application/json", "json"),
        ("text/*, application/json;q=0.4, text/html;q=0.3", "json"),
        ("text/html;q=0.5, application/json; Q=0.500", "json"),
        ("nonsense,;q=,application/json;q=x", "json"),
        ("text/html, application/json;q=0.1", "page"),
        ("text/html", "page"),
        ("text/*", "page"),
        ("text/html, */*;q=0.8", "page"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "page"),
        ("text/html;q=0.5, */*", ""),
        ("*/*, application/json;q=0.9", ""),
        ("application/json;q=0", ""),
        ("text/html;q=0", ""),
        ("application/json;q=0, */*", ""),
        ("image/png", ""),
        ("*/*", ""),
        ("", ""),
    ],
)
def test_json_is_preferred_where_it_is_named_and_liked_as_much_as_a_page(accept: str, kind: str) -> None:
    assert preferred(accept) == kind


@given(st.text())
def test_any_header_has_an_answer(accept: str) -> None:
    assert preferred(accept) in {"json", "page", ""}


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("https://Shop.example:443", "https://shop.example"),
        ("http://shop.example:80/", "http://shop.example"),
        ("https://shop.example:80", "https://shop.example:80"),
        ("https://shop.example:", "https://shop.example"),
        ("https://[2001:DB8::1]:443/", "https://[2001:db8::1]"),
    ],
)
def test_the_port_that_goes_without_saying_makes_no_other_origin(url: str, same: str) -> None:
    assert origin(url) == origin_of(f"{url.rstrip('/')}/a?b#c") == same


@pytest.mark.parametrize(
    "url", ["ftp://a.example", "https://", "a.example", "https://a@b.example", "https://a b"]
)
def test_what_is_no_address_in_the_web_has_no_origin(url: str) -> None:
    assert origin_of(url) == ""
    assert not leads_to(url, ("https://b.example",))
    with pytest.raises(InvalidValueError):
        origin(url)
