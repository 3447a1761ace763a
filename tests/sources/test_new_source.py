"""`make new-source` makes a source that is whole, and nothing that is there is written over."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from service.core.capture import write_http
from tests.fixtures_http import cases

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("cli", "config", "docs", "sandbox", "service", "tests", "workers", "README.md", "pyproject.toml")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the repository that may be written to."""
    for part in PARTS:
        source, target = ROOT / part, tmp_path / part
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target)
    return tmp_path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def made(folder: Path, *arguments: str) -> str:
    result = run(folder, "tests.new_source", *arguments)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.slow
def test_new_sources_pass_lint_and_the_contract_at_once(copy: Path) -> None:
    (multipart,) = [case for case in cases("form") if case.path.stem == "accepted__multipart"]
    (copy / "captured.http").write_bytes(write_http(multipart.request))

    made(copy, "inventedforms", "--label", "Invented Forms & Co.")
    made(copy, "inventedposts", "--capture", "captured.http")

    first = (copy / "tests" / "fixtures" / "inventedposts" / "accepted__first.http").read_bytes()
    assert first.endswith(multipart.request.body)
    modules = ["service/sources/inventedforms.py", "service/sources/inventedposts.py"]
    for tool in (
        ("ruff", "format", "--check", *modules),
        ("ruff", "check", *modules),
        ("mypy", *modules),
        ("pytest", "-q", "-p", "no:randomly", "-k", "invented", "tests/sources/test_contract.py"),
        ("pytest", "-q", "tests/sources/test_channels.py"),
        ("pytest", "-q", "-k", "the_readme_names", "tests/docs/test_docs.py"),
    ):
        result = run(copy, *tool)
        assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.slow
def test_nothing_is_written_over_and_golden_files_that_miss_are_written(copy: Path) -> None:
    golden = copy / "tests" / "fixtures" / "json" / "accepted__flat.json"
    text = golden.read_text("utf-8")
    golden.unlink()

    again = run(copy, "tests.new_source", "json")

    assert again.returncode == 1
    assert "is there already" in again.stderr
    assert "accepted__flat.json" in made(copy, "json", "--golden")
    assert golden.read_text("utf-8") == text


@pytest.mark.slow
def test_a_recorded_request_that_should_hold_is_signed_again_and_no_other(copy: Path) -> None:
    folder = copy / "tests" / "fixtures" / "tally"
    paths = sorted(folder.glob("*.http"))
    before = {path: path.read_bytes() for path in paths}
    changed = folder / "accepted__answers.http"
    changed.write_bytes(before[changed].replace(b"Tally-Signature: ", b"Tally-Signature: x"))
    (folder / "accepted__unsigned.http").write_bytes((folder / "forged__unsigned.http").read_bytes())

    printed = made(copy, "tally", "--sign")

    assert {path: path.read_bytes() for path in paths} == before
    assert "accepted__answers.http" in printed
    assert "accepted__unsigned.http" in printed
    assert "forged__unsigned.http" not in printed


@pytest.mark.slow
def test_a_request_that_no_signature_mends_is_named(copy: Path) -> None:
    folder = copy / "tests" / "fixtures" / "basin"
    (folder / "accepted__locked_out.http").write_bytes((folder / "forged__token.http").read_bytes())

    result = run(copy, "tests.new_source", "basin", "--sign")

    assert result.returncode == 1
    assert "basin/accepted__locked_out.http: does not hold" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("Acme",), "no name"),
        (("class",), "no name"),
        (("acme", "--label", '"'), "no label"),
        (("acme", "--golden"), "no source"),
        (("acme", "--sign"), "no source"),
    ],
)
def test_a_name_that_cannot_be_one_is_refused(arguments: tuple[str, ...], told: str) -> None:
    result = run(ROOT, "tests.new_source", *arguments)

    assert result.returncode == 2
    assert told in result.stderr


def test_a_capture_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mail.http"
    path.write_bytes(b"POST /hooks/x HTTP/1.1\r\nContent-Type: message/rfc822\r\n\r\nSubject: x")

    result = run(ROOT, "tests.new_source", "acme", "--capture", str(path))

    assert result.returncode == 1
    assert "only JSON and forms" in result.stderr
