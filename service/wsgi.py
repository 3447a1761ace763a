"""The WSGI entry for gunicorn: `gunicorn -c python:config.gunicorn service.wsgi:app`."""

from service.app import create_app

app = create_app()
