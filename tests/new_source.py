"""`make new-source NAME=x` makes module, fixtures and page; `make sign` and `make golden` keep the fixtures.

A new source is whole: it passes `make lint` and the contract test, and takes what was captured under a
token, until somebody teaches it the vendor's ways.
"""

from __future__ import annotations

import argparse
import importlib
import json
import keyword
import logging
import re
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from service.core.capture import ORIGIN, parse_http, write_http
from service.core.errors import Unauthorized
from service.core.forms import MULTIPART, URLENCODED
from service.core.registry import discover
from service.core.request import Headers, InboundRequest
from service.core.store import connect
from tests.conftest import serving
from tests.fixtures_http import FIXTURES, cases, sign_again
from tests.sources.test_contract import outcome, source_of
from tests.vendor_api import vendors_running

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.core.source import Source

ROOT = Path(__file__).resolve().parents[1]
JSON = "application/json"

MODULE = '''"""{label}: what it posts, as it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.core.answers import form_event, told
{imports}
from service.core.source import Part, Source, content_key

if TYPE_CHECKING:
    from service.core.events import InboundEvent
    from service.core.signing import Verified


class {kind}(Source):
    """What {label} posts.

    Authentication: the channel's `token`; not known whether {label} signs.

    Identity: the body itself, for a day.

    Answers: the usual ones; not known what {label} does on others.

    Docs: none read yet
    """

    name = "{name}"
    label = "{label}"
    content_types = ({types})

    def identify(self, verified: Verified) -> list[Part]:
        """Give the one event; raises UnreadableError where the body cannot be read."""
        {check}
        return [Part((content_key(verified.request),))]

    def parse(self, verified: Verified, part: Part) -> InboundEvent:
        """Make the event of whatever was filled in."""
        del part
{answers}
        return form_event(answers, self.options.fields, files=files)
'''
READS_JSON = {
    "imports": "from service.core.json_body import read_object",
    "check": "read_object(verified.request.body)",
    "answers": "        answers, files = told(read_object(verified.request.body))",
}
READS_FORM = {
    "imports": "from service.core.events import File\nfrom service.core.forms import read_form",
    "check": "read_form(verified.request)",
    "answers": """        form = read_form(verified.request)
        answers, files = told({key: form.text(key) for key, _ in form.fields})
        files += [File(each.filename, each.content_type, len(each.content)) for each in form.files]""",
}
PAGE = """# {name}

What {label} posts.

**At {label}**: paste the URL that `bridge channels` prints, with the token at its end.
**Lock**: `token`.

    [[channels]]
    name = "{name}"
    source = "{name}"
    token = "env:{variable}"

**On failure**: not known.
**Limits**: files are named, not kept; the same body twice within a day is one ticket.
**Never seen live**{captured}.
"""
CHANNEL = """name = "{name}"
source = "{name}"
token = "token-for-{name}-tests"
now = {now}
"""


@dataclass(frozen=True)
class Blank:
    """A source that is to be."""

    name: str
    label: str
    captured: InboundRequest | None = None

    @property
    def content_type(self) -> str:
        return JSON if self.captured is None else self.captured.content_type

    def files(self) -> dict[Path, bytes]:
        """Give everything that it consists of, but its golden files and its row in the README."""
        form = self.content_type in {URLENCODED, MULTIPART}
        types = f'"{URLENCODED}", "{MULTIPART}"' if form else f'"{self.content_type}",'
        words = {
            "name": self.name,
            "label": self.label,
            "kind": "".join(word[:1].upper() + word[1:] for word in re.findall(r"[A-Za-z0-9]+", self.label)),
            "types": types,
            "captured": ": made from one capture" if self.captured else "",
            "now": int(time.time()),
            "variable": f"{self.name.upper()}_TOKEN",
        }
        folder = FIXTURES / self.name
        texts = {
            ROOT / "service" / "sources" / f"{self.name}.py": MODULE.format(
                **words, **(READS_FORM if form else READS_JSON)
            ),
            ROOT / "docs" / "sources" / f"{self.name}.md": PAGE.format(**words),
            folder / "channel.toml": CHANNEL.format(**words),
        }
        second = self._made_up("It is cold", form=form)
        requests = {
            "accepted__first": self._first(second),
            "accepted__second": second,
            "forged__token": replace(
                second, headers=second.headers.replaced(X_Bridge_Token="token-of-another")
            ),
        }
        if form:
            requests["malformed__empty"] = replace(second, body=b"")
        else:
            requests["malformed__not_json"] = replace(second, body=b"{")
        return {
            **{path: text.encode() for path, text in texts.items()},
            **{folder / f"{name}.http": write_http(request) for name, request in requests.items()},
        }

    def _first(self, other: InboundRequest) -> InboundRequest:
        if self.captured is None:
            return self._made_up("The door sticks", form=False)
        headers = self.captured.headers.replaced(X_Bridge_Token=other.headers.get("X-Bridge-Token"))
        kept = (pair for pair in headers if pair[0].lower() != "authorization")
        return replace(self.captured, url=other.url, path_token="", headers=Headers.of(kept))

    def _made_up(self, message: str, *, form: bool) -> InboundRequest:
        pairs = [
            ("Host", "bridge.example"),
            ("User-Agent", "fixture/1.0"),
            ("Content-Type", URLENCODED if form else self.content_type),
            ("X-Bridge-Token", f"token-for-{self.name}-tests"),
        ]
        body = {"name": "Ann Lee", "email": "ann@example.com", "message": message}
        raw = (
            f"name=Ann+Lee&email=ann%40example.com&message={message.replace(' ', '+')}"
            if form
            else json.dumps(body)
        )
        return InboundRequest("POST", f"{ORIGIN}/hooks/{self.name}", Headers.of(pairs), raw.encode())


def make(blank: Blank) -> list[Path]:
    """Write the source's files; refuses to write over any."""
    files = blank.files()
    for path in files:
        if path.exists():
            raise SystemExit(f"{path.relative_to(ROOT)} is there already")
    for path, content in files.items():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    readme = ROOT / "README.md"
    readme.write_text(with_row(readme.read_text("utf-8"), blank), "utf-8")
    importlib.invalidate_caches()
    return [*files, readme, *golden(blank.name)]


def with_row(page: str, blank: Blank) -> str:
    """Give the page with a row for the source in its table of sources, in alphabetical order."""
    lines = page.split("\n")
    rows = [at for at, line in enumerate(lines) if re.match(r"\| \[\w+\]\(docs/sources/", line)]
    later = [at for at in rows if lines[at] > f"| [{blank.name}]"]
    row = f"| [{blank.name}](docs/sources/{blank.name}.md) | {blank.label} | token |"
    at = later[0] if later else rows[-1] + 1
    return "\n".join([*lines[:at], row, *lines[at:]])


def golden(source: str) -> list[Path]:
    """Write the golden file of each recorded request that has none."""
    written = []
    with serving() as server, connect(server.url) as redis, vendors_running() as vendors:
        for case in cases(source):
            path = case.path.with_suffix(".json")
            if not path.exists():
                redis.flushall()
                text = json.dumps(outcome(case, redis, vendors), indent=2, ensure_ascii=False)
                path.write_text(text + "\n", "utf-8")
                written.append(path)
    return written


def sign(source: str) -> list[Path]:
    """Sign each recorded request that should hold and does not, by the channel's secret and its `now`."""
    signer, signed = source_of(source), []
    for case in cases(source):
        if case.outcome not in {"forged", "stale"} and not _holds(signer, case.request):
            fresh = sign_again(signer, case.request)
            if not _holds(signer, fresh):
                raise SystemExit(
                    f"{case.path.relative_to(ROOT)}: does not hold, signed or not; "
                    "look at the locks in channel.toml, and at scheme() and sign()"
                )
            case.path.write_bytes(write_http(fresh))
            signed.append(case.path)
    return signed


def _holds(source: Source, request: InboundRequest) -> bool:
    try:
        source.verify(request)
    except Unauthorized:
        return False
    return True


def read_capture(path: Path) -> InboundRequest:
    request = parse_http(path.read_bytes())
    kind = request.content_type
    if kind not in {JSON, URLENCODED, MULTIPART} and not kind.endswith("+json"):
        raise SystemExit(
            f"{kind or 'no content type'}: only JSON and forms; begin with a copy of another source"
        )
    return request


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="make new-source", description=__doc__)
    parser.add_argument("name", help="a-z and 0-9, such as acmeforms")
    parser.add_argument("--label", default="", help="as the vendor writes it, such as 'Acme Forms'")
    parser.add_argument("--capture", type=Path, help="a file of `bridge capture`")
    parser.add_argument("--golden", action="store_true", help="write missing golden files only")
    parser.add_argument("--sign", action="store_true", help="sign the recorded requests again only")
    given = parser.parse_args(arguments)
    if not re.fullmatch(r"[a-z][a-z0-9]{1,30}", given.name) or keyword.iskeyword(given.name):
        parser.error(f"{given.name!r} is no name for a source: a-z and 0-9, a letter first")
    label = given.label or given.name.capitalize()
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9 .&-]{1,30}", label):
        parser.error(f"{label!r} is no label: letters, digits, spaces, a letter first")
    # What the web side logs of the requests is no news here.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    if given.sign or given.golden:
        if given.name not in discover():
            parser.error(f"there is no source {given.name!r}")
        paths = sign(given.name) if given.sign else golden(given.name)
    else:
        captured = read_capture(given.capture) if given.capture else None
        paths = make(Blank(given.name, label, captured))
    for path in paths:
        print(path.relative_to(ROOT))
    if given.sign:
        print("They hold now. Delete the golden file of each that says otherwise, and: make golden")
    else:
        print("Read the golden files: they say what must come of each. docs/adding-a-source.md goes on.")


if __name__ == "__main__":
    main()
