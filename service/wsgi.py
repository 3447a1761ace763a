"""The web side for gunicorn alone: `gunicorn -c python:config.gunicorn service.wsgi:app`.

`bridge web` serves `cli.wsgi` instead, which can also log in to Spacebring.
"""

from service.app import create_app
from service.core.drainer import Drainer
from service.web import EXTENSION

app = create_app()
_web = app.extensions[EXTENSION]
Drainer(_web.spool, _web.ledger).start()
