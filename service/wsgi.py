"""The web side for gunicorn alone: `gunicorn -c python:config.gunicorn service.wsgi:app`.

`bridge web` serves `cli.wsgi` instead, which can also log in to Spacebring.
"""

from service.app import create_app, start_draining

app = start_draining(create_app())
