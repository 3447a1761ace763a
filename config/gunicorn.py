"""Settings for `gunicorn -c python:config.gunicorn service.wsgi:app`."""
