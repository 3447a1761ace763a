"""The parts of one sandbox, held by its Flask app."""

from dataclasses import dataclass

from flask import Flask, current_app

from sandbox.faults import Faults
from sandbox.grants import Grants
from sandbox.limits import Limiter, Tally
from sandbox.options import Directory, SandboxOptions
from sandbox.store import Store

_NAME = "sandbox"


@dataclass(frozen=True)
class Parts:
    """What the endpoints work with."""

    options: SandboxOptions
    directory: Directory
    store: Store
    faults: Faults
    limiter: Limiter
    tally: Tally
    grants: Grants


def install(app: Flask, held: Parts) -> None:
    """Give an app its parts."""
    app.extensions[_NAME] = held


def parts() -> Parts:
    """Give the parts of the app that serves the current request."""
    held: Parts = current_app.extensions[_NAME]
    return held
