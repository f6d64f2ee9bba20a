"""The WSGI entry: `application`, for any WSGI server."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = get_wsgi_application()

from config import circuit  # noqa: E402  (it reads the settings)

circuit.install()
