"""The files that deploy the bridge fit what they deploy, as far as this can be seen without a registry."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from cli.main import main

ROOT = Path(__file__).resolve().parents[2]


def lines(name: str) -> list[str]:
    return (ROOT / name).read_text("utf-8").splitlines()


def test_the_procfile_runs_a_check_before_web_and_worker() -> None:
    processes = dict(line.split(": ", 1) for line in lines("Procfile"))

    assert processes["release"] == "bin/bridge check"
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
