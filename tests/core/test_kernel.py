"""The small parts of the kernel: errors, events, requests, signing, forms, the registry."""

from __future__ import annotations

import base64
import inspect
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.channels import load_config
from config.errors import ConfigError
from service.core import forms, signing
from service.core.blobs import DirectoryBlobs
from service.core.errors import Unauthorized, UnreadableError
from service.core.events import Answer, File, InboundEvent, InboundEventSchema, Sender
from service.core.registry import discover
from service.core.request import Headers, InboundRequest
from service.core.source import vendor_key
from service.core.wiring import open_doors, open_ledger

if TYPE_CHECKING:
    from pathlib import Path

    from redis import Redis

LOCATION = "3c90c3cc-0d44-4b50-8888-8dd25736052a"


def request(
    *pairs: tuple[str, str], url: str = "https://bridge.example/hooks/web", body: bytes = b"", token: str = ""
) -> InboundRequest:
    return InboundRequest("POST", url, Headers.of(pairs), body, token)


def multipart(*parts: bytes, boundary: str = "b") -> InboundRequest:
    body = b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"
    kind = f"multipart/form-data; boundary={boundary}" if boundary else "multipart/form-data"
    return request(("Content-Type", kind), body=body)


def test_an_event_is_the_same_after_a_round_trip_through_plain_data() -> None:
    event = InboundEvent(
        kind="email",
        sender=Sender("Ann", "ann@example.com"),
        answers=(Answer("Room", "Blue"),),
        files=(File("a.txt", size=3),),
        late_keys=("mail:1",),
    )

    assert InboundEventSchema().load(InboundEventSchema().dump(event)) == event


def test_what_opens_locks_is_not_stored() -> None:
    kept = request(
        ("Authorization", "Basic eDp5"),
        ("Cookie", "a=b"),
        ("Typeform-Signature", "sha256=x"),
        ("X-Bridge-Token", "secret-1"),
        ("X-Other", "stays"),
        url="https://user:secret-2@bridge.example/bridge/hooks/web/secret%2D3?token=secret-4&a=b",
        token="secret-3",
    ).without_secrets()

    assert kept.url == "https://bridge.example/bridge/hooks/web?a=b"
    assert kept.headers.pairs == (("X-Other", "stays"),)
    assert kept.path_token == ""


def test_only_signing_makes_a_verified_request() -> None:
    with pytest.raises(TypeError, match="signing only"):
        signing.Verified(request(), object())


def test_locks_never_show_what_opens_them() -> None:
    locks = signing.Locks((b"hidden",), (b"hidden:hidden",), (b"hidden",))

    assert "hidden" not in repr(locks)
    assert locks
    assert not signing.Locks()


@pytest.mark.parametrize(
    "opened",
    [
        request(token="right"),
        request(("X-Intake-Token", "right")),
        request(("Authorization", "Basic " + base64.b64encode(b"anybody:right").decode())),
        request(url="https://bridge.example/hooks/web?token=right"),
        request(("Authorization", "Bearer right")),
        request(("X-Bridge-Token", "right")),
    ],
)
def test_a_token_may_come_in_several_places(opened: InboundRequest) -> None:
    assert signing.verify(opened, signing.Locks(tokens=(b"old", b"right"))).request is opened


@pytest.mark.parametrize("header", ["", "Basic", "Basic %%%", "Basic ü", "Bearer x", "Basic eDp6"])
def test_a_wrong_password_of_any_form_is_refused(header: str) -> None:
    with pytest.raises(Unauthorized) as refused:
        signing.verify(request(("Authorization", header)), signing.Locks(basic=(b"user:password",)))

    assert refused.value.reason == "basic"


def test_every_lock_must_hold() -> None:
    locks = signing.Locks(basic=(b"user:password",), tokens=(b"right",))
    basic = ("Authorization", f"Basic {base64.b64encode(b'user:password').decode()}")

    signing.verify(request(basic, token="right"), locks)
    with pytest.raises(Unauthorized, match="token"):
        signing.verify(request(basic), locks)


def test_a_secret_for_a_source_that_does_not_sign_cannot_hold() -> None:
    with pytest.raises(Unauthorized, match="does not sign"):
        signing.verify(request(), signing.Locks(secrets=(b"x",)))


@pytest.mark.parametrize(("digest", "encoding"), [("sha256", "hex"), ("sha1", "base64")])
def test_a_signature_holds_for_its_message_alone(digest: str, encoding: str) -> None:
    def read(given: InboundRequest) -> signing.Signed:
        return signing.Signed([given.headers.get("X-Sig")], given.body)

    scheme = signing.HmacScheme(read, digest, "hex" if encoding == "hex" else "base64")
    signature = scheme.sign(b"body", b"key")

    scheme.check(request(("X-Sig", signature), body=b"body"), [b"old", b"key"], 0)
    with pytest.raises(Unauthorized, match="wrong"):
        scheme.check(request(("X-Sig", signature), body=b"other"), [b"key"], 0)
    with pytest.raises(Unauthorized, match="missing"):
        scheme.check(request(body=b"body"), [b"key"], 0)


@pytest.mark.parametrize("stamp", ["", "x", "-1", "1.5", "9" * 20, "²"])
def test_a_time_that_is_no_number_is_refused(stamp: str) -> None:
    with pytest.raises(Unauthorized, match="not a number"):
        signing.Window(10, 10).check(stamp, 0)


def test_a_window_has_two_sides() -> None:
    window = signing.Window(back=10, ahead=5, unit=0.001)

    window.check("1000000", 1010)
    window.check("1000000", 995)
    for now in (1010.1, 994.9):
        with pytest.raises(Unauthorized, match="too far"):
            window.check("1000000", now)


def test_a_multipart_part_may_hold_bytes_of_any_charset() -> None:
    form = forms.read_form(
        multipart(
            b'Content-Disposition: form-data; name="a"\r\n\r\ncaf\xe9',
            b'Content-Disposition: form-data; name="f"; filename="r\xe9.pdf"\r\n\r\n%PDF',
            b'Content-Disposition: form-data; name="a"\r\n\r\nlast',
        )
    )

    assert (form.text("a"), form.all("a"), "a" in form, "b" in form) == (
        "last",
        [b"caf\xe9", b"last"],
        True,
        False,
    )
    assert (form.files[0].filename, form.files[0].content_type) == ("ré.pdf", "application/octet-stream")


@pytest.mark.parametrize(
    "broken",
    [
        request(("Content-Type", "text/plain"), body=b"a=b"),
        request(),
        multipart(boundary=""),
        request(("Content-Type", "multipart/form-data; boundary=b"), body=b"--b\r\nno"),
        request(("Content-Type", "multipart/form-data; boundary=b"), body=b"rubbish"),
        request(("Content-Type", "application/x-www-form-urlencoded"), body=b"&".join([b"a=b"] * 6000)),
        multipart(*[b'Content-Disposition: form-data; name="a"\r\n\r\n'] * (forms.MAX_FIELDS + 1)),
        multipart(b'Content-Disposition: form-data; name="a"' + b";" * forms.MAX_PARAMETERS + b"\r\n\r\n"),
    ],
)
def test_a_body_that_is_no_form_raises(broken: InboundRequest) -> None:
    with pytest.raises(UnreadableError):
        forms.read_form(broken)


@given(st.lists(st.tuples(st.text(min_size=1), st.binary()), max_size=5), st.binary(max_size=40))
def test_a_form_is_read_or_refused_whatever_the_bytes(
    fields: list[tuple[str, bytes]], rubbish: bytes
) -> None:
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=b"):
        body = b"&".join(name.encode("utf-8", "replace") + b"=" + value for name, value in fields) + rubbish
        try:
            form = forms.read_form(request(("Content-Type", kind), body=body))
        except UnreadableError:
            continue
        assert all(isinstance(name, str) for name, _ in form.fields)


def test_a_module_without_exactly_one_source_of_its_name_fails_at_boot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "some_sources"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "empty.py").touch()
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ConfigError, match="exactly one Source, named 'empty'"):
        discover("some_sources")
    sys.modules.pop("some_sources.empty")


def test_an_id_too_long_or_unprintable_becomes_a_hash() -> None:
    assert vendor_key("id", "a" * 200).value == f"id:{'a' * 200}"
    assert vendor_key("id", "a" * 201).value.startswith("id:sha256:")
    assert vendor_key("id", "a\n").value.startswith("id:sha256:")


def config(channel: str, ledger: str = "") -> str:
    return f'[spacebring]\nlocation = "{LOCATION}"\n{ledger}\n[[channels]]\nname = "web"\n{channel}'


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("", "topics: is missing; Amazon SES needs it"),
        ('topics = ["arn:aws:sns:eu-west-1:111111111111:x"]\ncertificate = "none"', "certificate: "),
    ],
    ids=["missing", "wrong"],
)
def test_what_a_source_needs_is_named(more: str, said: str) -> None:
    configured = load_config(config(f'source = "ses"\ntoken = "0123456789abcdef"\n{more}'), environ={})

    with pytest.raises(ConfigError, match=said):
        open_doors(configured)


def test_a_source_that_does_not_exist_is_named_with_those_that_do() -> None:
    configured = load_config(config('source = "zzzz"\npublic = true'), environ={})

    with pytest.raises(ConfigError, match="there are: " + ", ".join(sorted(discover()))):
        open_doors(configured)


def test_a_secret_for_a_source_without_signatures_is_a_problem() -> None:
    configured = load_config(config('source = "json"\nsecret = "a-secret-of-some-length"'), environ={})

    with pytest.raises(ConfigError, match="does not sign its requests"):
        open_doors(configured)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('source = "postmark"\nfields = { email = "q3" }', "fields: Postmark makes no use of it; remove it"),
        ('source = "json"\nredirects = "https://a.example"', "redirects: JSON makes no use of it; remove it"),
        ('source = "json"\ntopics = "a"', "topics: JSON makes no use of it; remove it"),
        ('source = "tally"\ncertificate = "a"', "certificate: Tally makes no use of it; remove it"),
        (
            'source = "form"\nreaction = "a"\napi_token = "b"',
            "reaction: HTML form makes no use of it; remove it",
        ),
        ('source = "json"\nfields = { mail = "q3" }', "fields.mail: unknown key; did you mean 'email'?"),
    ],
)
def test_what_a_source_makes_no_use_of_is_a_problem(more: str, said: str) -> None:
    configured = load_config(config(f'{more}\ntoken = "0123456789abcdef"'), environ={})

    with pytest.raises(ConfigError) as caught:
        open_doors(configured)

    assert caught.value.problems == (f"channels[0] (web).{said}",)


@pytest.mark.parametrize("name", sorted(discover()))
def test_a_source_takes_the_fields_that_it_reads(name: str) -> None:
    kind = discover()[name]
    text = "".join(inspect.getsource(base) for base in kind.__mro__ if base.__module__.startswith("service."))

    assert ("fields" in kind.takes) == ("options.fields" in text)


def test_large_bodies_go_to_a_directory_where_the_configuration_says_so(redis: Redis, tmp_path: Path) -> None:
    text = config('source = "form"\npublic = true', f'[ledger]\nblobs = "directory:{tmp_path}"')

    ledger = open_ledger(redis, load_config(text, environ={}))

    assert isinstance(ledger._blobs, DirectoryBlobs)


def test_sources_that_never_sign_give_a_request_back_unchanged() -> None:
    (door,) = open_doors(load_config(config('source = "form"\npublic = true'), environ={})).values()
    plain = request()

    assert door.source.sign(plain, b"secret") is plain
