"""The files that deploy the bridge fit what they deploy, as far as this can be seen without a registry."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
import time
import tomllib
from contextlib import ExitStack
from fnmatch import fnmatch
from importlib import metadata
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import pytest
import requests
from packaging.requirements import Requirement

from cli.main import main
from cli.run import locations
from config.channels import load_config
from sandbox.app import create_app
from sandbox.options import DEFAULT_NETWORK_ID, SandboxOptions
from sandbox.server import running
from tests.conftest import free_port

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flask import Response
    from redis import Redis

    from tests.conftest import Valkey

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("bin", "cli", "config", "sandbox", "service", "workers")


def lines(name: str) -> list[str]:
    return (ROOT / name).read_text("utf-8").splitlines()


def test_the_procfile_runs_a_check_before_web_and_worker() -> None:
    processes = dict(line.split(": ", 1) for line in lines("Procfile"))

    assert processes["release"] == "bin/bridge check --release"
    assert processes["web"] == "bin/bridge web"
    assert processes["worker"].startswith("bin/bridge worker --processes ")


def test_the_command_runs_from_the_source_tree_without_being_installed() -> None:
    command = [sys.executable, str(ROOT / "bin" / "bridge"), "--help"]

    shown = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/")

    assert all(name in shown.stdout for name in main.commands)


def test_the_image_runs_as_nobody_special_and_says_whether_it_is_healthy() -> None:
    words = [line.split()[0] for line in lines("Dockerfile") if re.match(r"[A-Z]+ ", line)]
    user = next(line for line in lines("Dockerfile") if line.startswith("USER "))

    assert words.count("FROM") == 2
    assert "HEALTHCHECK" in words
    assert user != "USER root"


def test_every_source_of_the_image_is_not_kept_out_of_it() -> None:
    kept_out = {line.rstrip("/") for line in lines(".dockerignore")}

    assert not kept_out & {"service", "workers", "config", "cli", "sandbox", "bin", "requirements.txt"}


@pytest.mark.parametrize(("name", "extra"), [("requirements.txt", False), ("requirements-dev.txt", True)])
def test_every_dependency_is_pinned_with_hashes_and_without_an_index(name: str, *, extra: bool) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = project["dependencies"] + (project["optional-dependencies"]["dev"] if extra else [])
    text = (ROOT / name).read_text("utf-8")
    pinned = dict(re.findall(r"^([a-z0-9-]+)(?:\[\S+\])?==(\S+)", text, re.MULTILINE))

    assert {re.split(r"[<>=;]", one)[0] for one in wanted} <= pinned.keys()
    assert text.count("--hash=sha256:") >= len(pinned)
    assert not re.search(r"^--|://", text, re.MULTILINE)


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_extra_that_a_dependency_asks_for_is_pinned_with_it(name: str) -> None:
    # Without it, an older pip takes the newest version for `package[extra]`, which has no hash here.
    pinned = [Requirement(line.rstrip("\\ ")) for line in lines(name) if re.match(r"[a-z]", line)]
    extras = {one.name: one.extras for one in pinned}
    asked = [Requirement(text) for one in pinned for text in metadata.requires(one.name) or ()]

    wanted = [one for one in asked if one.extras and (not one.marker or one.marker.evaluate({"extra": ""}))]

    assert wanted
    assert [one for one in wanted if not one.extras <= extras[one.name]] == []


def test_a_wheel_holds_every_package_and_every_file_of_it() -> None:
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    folders = [ROOT / package.replace(".", "/") for package in tool["packages"]]
    given = {
        file
        for package, patterns in tool["package-data"].items()
        for pattern in patterns
        for file in (ROOT / package.replace(".", "/")).glob(pattern)
    }

    found = {file for folder in folders for file in (ROOT / folder.relative_to(ROOT).parts[0]).rglob("*")}
    files = {file for file in found if file.is_file() and "__pycache__" not in file.parts}

    assert {file.parent for file in files if file.suffix == ".py"} == set(folders)
    assert {file for file in files if file.suffix != ".py"} == given


def test_what_runs_imports_nothing_that_only_development_installs() -> None:
    installed = set(
        re.findall(r"^([a-z0-9-]+)", (ROOT / "requirements.txt").read_text("utf-8"), re.MULTILINE)
    )
    files = [file for folder in PACKAGES for file in (ROOT / folder).rglob("*.py")]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text("utf-8")))]
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)]

    foreign = {name.partition(".")[0] for name in names} - set(PACKAGES) - sys.stdlib_module_names
    foreign -= {"_typeshed", "typing_extensions"}  # for the type checker only
    owners = metadata.packages_distributions()

    assert "flask" in foreign
    assert [
        name for name in foreign if not installed & {one.lower().replace("_", "-") for one in owners[name]}
    ] == []


def kept_out(path: Path, patterns: Iterable[str]) -> bool:
    """Whether `docker build` leaves a path out: https://docs.docker.com/build/concepts/context/#dockerignore-files."""
    names = path.relative_to(ROOT).parts
    return any(
        fnmatch(name, pattern.removeprefix("**/"))
        for pattern in patterns
        for name in (names if pattern.startswith("**/") else names[:1])
    )


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """The working tree as the image has it."""
    patterns = lines(".dockerignore")
    folder = tmp_path / "app"

    def left_out(parent: str, names: list[str]) -> list[str]:
        return [name for name in names if kept_out(Path(parent, name), patterns)]

    shutil.copytree(ROOT, folder, ignore=left_out)
    return folder


def test_no_secret_or_cache_of_the_working_tree_reaches_the_image(image: Path) -> None:
    names = {file.name for file in image.iterdir()}

    assert {"bin", "bridge.toml", *PACKAGES} <= names
    assert not {name for name in names if name.startswith(".")} | names & {"data", "tests", "bench", "build"}


@pytest.mark.slow
def test_the_image_files_a_ticket_and_is_healthy(image: Path, valkey: Valkey, redis: Redis) -> None:
    config = load_config(str(ROOT / "bridge.toml"), environ={})
    sandbox, filed = create_app(SandboxOptions(locations=locations(config))), Event()

    @sandbox.after_request
    def _seen(answer: Response) -> Response:
        if answer.status_code == 201:
            filed.set()
        return answer

    check = json.loads(re.findall(r"CMD (\[.*-c.*\])", (ROOT / "Dockerfile").read_text("utf-8"))[0])
    with running(sandbox) as spacebring, ExitStack() as stack:
        environment = {
            "PATH": f"{image / 'bin'}:{Path(sys.executable).parent}:/usr/bin:/bin",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PORT": str(free_port()),
            "REDIS_URL": valkey.url,
            "SPACEBRING_URL": spacebring,
            "SPACEBRING_TOKEN": "sandbox-token",
            "SPACEBRING_NETWORK_ID": DEFAULT_NETWORK_ID,
        }
        before = sorted(image.rglob("*"))
        for command in (["bridge", "web"], ["bridge", "worker", "--processes", "1"]):
            # The real command line, looked up in the image's PATH.
            program = shutil.which(command[0], path=environment["PATH"])
            process = subprocess.Popen([str(program), *command[1:]], cwd=image, env=environment)
            stack.callback(process.wait, 60)
            stack.callback(process.terminate)
        deadline = time.monotonic() + 60
        while subprocess.run(check, env=environment, stderr=subprocess.DEVNULL, check=False).returncode:
            assert time.monotonic() < deadline

        form = {"email": "ann@example.com", "message": "The Wi-Fi is down"}
        answer = requests.post(f"http://127.0.0.1:{environment['PORT']}/hooks/website", data=form, timeout=30)

        assert answer.headers["X-Bridge-Status"] == "accepted"
        assert filed.wait(60)
        assert sorted(image.rglob("*")) == before
