"""What the largest bodies cost: in the request (`verify` and `identify`) and in a worker (`parse`).

    python -m bench.bodies                      # all, each in a process of its own
    python -m bench.bodies --only postmark-json --size 25

The size is that of the file in the mail in MB (10^6 bytes); the body is what the vendor makes of it. A
`dense` body is itself of this size, and full of what takes a parser longest. A body over `ledger.max_body`
(60 MiB by default) is refused before any of this; a channel of `json` or `form` also parses in the request.

On two cores at 25 MB, in seconds: first with every line of a mail going through the standard library's
parser, escapes decoded by `urllib.parse` and JSON built without counting its pieces, then as it is now.

                           MB   verify       identify     parse
    mailgun-mime          37.0   0.77  0.57   0.76  0.22   1.81  1.00
    sendgrid-raw          34.2   0.00  0.00   0.02  0.02   1.53  0.61
    cloudflare-raw        34.2   0.00  0.00   0.02  0.02   0.96  0.52
    postmark-json         33.3   0.00  0.00   0.04  0.11   0.10  0.21
    postmark-raw          35.1   0.00  0.00   0.09  0.32   1.09  0.84
    mailersend-json       68.4   0.00  0.00   0.11  0.28   1.33  1.04
    forwardemail-json    149.3   0.00  0.00   0.08  0.08   9.82  6.82
    mandrill-raw          37.9   1.63  0.41   1.12  0.43   2.02  0.80
    sparkpost-raw         45.6   0.00  0.00   0.27  0.31   1.54  0.66
    json-dense            25.0   0.00  0.00   7.38  0.19   8.00  0.00
    json-dense-numbers    25.0   0.00  0.00   4.41  0.20  10.61  0.00
    mime-dense            25.0   0.00  0.00   0.01  0.01   9.23  0.78
    form-dense            25.0   0.00  0.00   6.10  0.44   4.61  0.64
"""

from __future__ import annotations

import argparse
import base64
import json
import multiprocessing
import random
import resource
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_from_bytes

from service.core import signing
from service.core.capture import ORIGIN
from service.core.errors import RequestError, UnreadableError
from service.core.events import InboundEvent
from service.core.registry import discover
from service.core.request import Headers, InboundRequest
from service.core.signing import Locks
from service.core.source import SourceOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BOUNDARY = "xYzZY"
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"
HEADERS = {"From": "Ann <ann@customer.example>", "To": "help@in.example", "Subject": "Printer"}
LISTED = [{"Name": name, "Value": value} for name, value in HEADERS.items()]

Body = tuple[str, str, bytes]


def content(size: int) -> bytes:
    """Give so many bytes that nothing can make shorter."""
    return random.Random(1).randbytes(size)


def lines(data: bytes) -> bytes:
    """Give base64 in lines, as mails have it."""
    return base64.encodebytes(data)


def text(data: bytes) -> str:
    """Give base64 in one line."""
    return base64.b64encode(data).decode()


def mime(size: int) -> bytes:
    """Give a raw mail with one file of this size."""
    head = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items()).encode()
    return (
        head + b"Message-ID: <a1@customer.example>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: text/plain\r\n\r\nIt burns.\r\n"
        b"--b\r\nContent-Type: image/png; name=p.png\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + lines(content(size)).replace(b"\n", b"\r\n")
        + b"--b--\r\n"
    )


def multipart(values: Mapping[str, bytes], file: bytes | None = None) -> bytes:
    """Give a form of these fields and one file."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + value + b"\r\n"
        for name, value in values.items()
    ]
    if file is not None:
        head = (
            'Content-Disposition: form-data; name="attachment1"; filename="p.png"\r\nContent-Type: image/png'
        )
        parts.append(f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + file + b"\r\n")
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def parsed(size: int) -> bytes:
    """Give what a vendor posts that took the mail apart into a form."""
    told = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items()).encode()
    return multipart({"headers": told, "text": b"It burns.", "plain": b"It burns."}, content(size))


def object_of(**values: Any) -> bytes:  # noqa: ANN401 - JSON is any
    """Give a JSON object."""
    return json.dumps(values).encode()


def postmark(size: int) -> bytes:
    """Give what Postmark posts."""
    file = {"Name": "p.png", "Content": text(content(size)), "ContentType": "image/png"}
    return object_of(
        MessageID="1", From=HEADERS["From"], TextBody="It burns.", Headers=LISTED, Attachments=[file]
    )


def cloudmailin(size: int) -> bytes:
    """Give what CloudMailin posts as JSON."""
    file = {"file_name": "p.png", "content": lines(content(size)).decode(), "content_type": "image/png"}
    return object_of(headers=HEADERS, plain="It burns.", attachments=[file])


def mailersend(size: int) -> bytes:
    """Give what MailerSend posts: each file stands in it twice."""
    file = {"file_name": "p.png", "content": text(content(size)), "content_type": "image/png"}
    data = {"id": "1", "text": "It burns.", "headers": HEADERS, "raw": mime(size).decode()}
    return object_of(type="inbound.message", data={**data, "attachments": [file]})


def forwardemail(size: int) -> bytes:
    """Give what Forward Email posts: each file stands in it twice, once as numbers."""
    file = {"filename": "p.png", "content": {"type": "Buffer", "data": list(content(size))}}
    return object_of(subject="Printer", text="It burns.", raw=mime(size).decode(), attachments=[file])


def mandrill(size: int) -> bytes:
    """Give what Mandrill posts."""
    event = [
        {"event": "inbound", "ts": 1, "msg": {"raw_msg": mime(size).decode(), "email": "help@in.example"}}
    ]
    return b"mandrill_events=" + quote_from_bytes(json.dumps(event).encode()).encode()


def sparkpost(size: int) -> bytes:
    """Give what SparkPost posts."""
    told = {"email_rfc822_is_base64": True, "email_rfc822": text(mime(size))}
    return json.dumps([{"msys": {"relay_message": {"content": told, "rcpt_to": "help@in.example"}}}]).encode()


def dense(opening: bytes, unit: bytes, closing: bytes, size: int) -> bytes:
    """Give a body full of one thing."""
    return opening + unit * (size // len(unit)) + closing


BODIES: dict[str, Callable[[int], Body]] = {
    "mailgun-multipart": lambda size: ("mailgun", MULTIPART, parsed(size)),
    "mailgun-mime": lambda size: ("mailgun", FORM, b"body-mime=" + quote_from_bytes(mime(size)).encode()),
    "mailgun-mime-multipart": lambda size: ("mailgun", MULTIPART, multipart({"body-mime": mime(size)})),
    "sendgrid-multipart": lambda size: ("sendgrid", MULTIPART, parsed(size)),
    "sendgrid-raw": lambda size: ("sendgrid", MULTIPART, multipart({"email": mime(size)})),
    "sendgrid-dense": lambda size: (
        "sendgrid",
        MULTIPART,
        multipart(
            {"headers": b"From: a@b.example", "text": b"x"}, f"\r\n--{BOUNDARY[:-1]}".encode() * (size // 8)
        ),
    ),
    "cloudmailin-json": lambda size: ("cloudmailin", JSON, cloudmailin(size)),
    "cloudmailin-multipart": lambda size: ("cloudmailin", MULTIPART, parsed(size)),
    "postmark-json": lambda size: ("postmark", JSON, postmark(size)),
    "postmark-raw": lambda size: (
        "postmark",
        JSON,
        object_of(MessageID="1", Headers=LISTED, RawEmail=mime(size).decode()),
    ),
    "cloudflare-raw": lambda size: ("cloudflare", "message/rfc822", mime(size)),
    "mailersend-json": lambda size: ("mailersend", JSON, mailersend(size)),
    "forwardemail-json": lambda size: ("forwardemail", JSON, forwardemail(size)),
    "mandrill-raw": lambda size: ("mandrill", FORM, mandrill(size)),
    "sparkpost-raw": lambda size: ("sparkpost", JSON, sparkpost(size)),
    "json-dense": lambda size: ("postmark", JSON, dense(b'{"a": [', b"[],", b"1]}", size)),
    "json-dense-ses": lambda size: ("ses", JSON, dense(b'{"a": [', b"[],", b"1]}", size)),
    "json-dense-numbers": lambda size: ("json", JSON, dense(b'{"text": "x", "a": [', b"1,", b"1]}", size)),
    "mime-dense": lambda size: (
        "cloudflare",
        "message/rfc822",
        dense(b"From: a@b.example\r\n\r\n", b"\n", b"", size),
    ),
    "form-dense": lambda size: ("form", FORM, dense(b"a=1", b"%41", b"", size)),
}


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Give the seconds and what came of the call, an error by its name."""
    begun = time.perf_counter()
    try:
        result = call()
    except (RequestError, UnreadableError) as error:
        result = type(error).__name__
    return time.perf_counter() - begun, result


def measure(name: str, size: int) -> None:
    """Print what one body costs."""
    source_name, content_type, body = BODIES[name](size * 1_000_000)
    options = SourceOptions("bench", Locks(secrets=(b"key-for-benchmarks",)), {}, topics=("arn:aws:sns:x",))
    source = discover()[source_name](options)
    url = f"{ORIGIN}/hooks/bench"
    request = InboundRequest("POST", url, Headers.of([("Content-Type", content_type)]), body)
    verified = signing.from_ledger(request)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    verify, _ = timed(lambda: source.verify(request))
    identify, parts = timed(lambda: source.identify(verified))
    kept, _ = timed(lambda: source.kept(request))
    parse, event = 0.0, parts
    if parts and not isinstance(parts, str):
        parse, event = timed(lambda: source.parse(verified, parts[0]))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    came = f"{len(event.files)} files" if isinstance(event, InboundEvent) else event
    print(
        f"{name:24} {len(body) / 1e6:6.1f} MB  verify {verify:5.2f}  identify {identify:5.2f}"
        f"  kept {kept:5.2f}  parse {parse:5.2f} s  +{grown:5.0f} MB  {came}",
        flush=True,
    )


def main() -> None:
    """Print seconds and the growth of the process, body by body."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=sorted(BODIES))
    parser.add_argument("--size", type=int, default=25)
    asked = parser.parse_args()
    for name in [asked.only] if asked.only else BODIES:
        # A process of its own: memory that one body took does not hide what the next takes.
        process = multiprocessing.get_context("spawn").Process(target=measure, args=(name, asked.size))
        process.start()
        process.join()


if __name__ == "__main__":
    main()
