"""create_app(): the wiring of a stand-in Spacebring."""

from flask import Flask

from sandbox.api import api
from sandbox.control import control
from sandbox.faults import Faults
from sandbox.grants import Grants
from sandbox.limits import Tally, limiter
from sandbox.oauth import consent, token
from sandbox.options import ADMINISTRATOR, DEFAULT_NETWORK_ID, Directory, Membership, SandboxOptions
from sandbox.pages import pages
from sandbox.parts import Parts, install
from sandbox.store import Store

__all__ = ["ADMINISTRATOR", "DEFAULT_NETWORK_ID", "Membership", "SandboxOptions", "create_app"]

_MAX_BODY = 1_000_000


def create_app(options: SandboxOptions) -> Flask:
    """Make a sandbox with its own tickets, faults and limit.

    Raises `sqlite3.Error` when `options.data` cannot be opened.
    """
    app = Flask(__name__)
    # A dropped connection is an exception that the server must see; see `sandbox.connection.drop`.
    app.config["PROPAGATE_EXCEPTIONS"] = True
    app.config["MAX_CONTENT_LENGTH"] = _MAX_BODY
    store = Store(options.data)
    install(
        app,
        Parts(
            options=options,
            directory=Directory(options),
            store=store,
            faults=Faults(store),
            limiter=limiter(options.rate, strict=options.strict_window),
            tally=Tally(),
            grants=Grants(store, options),
        ),
    )
    for blueprint in (api, token, consent, control, pages):
        app.register_blueprint(blueprint)
    return app
