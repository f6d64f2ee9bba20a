"""The WSGI entry of development: when the project cannot be imported, it shows why in the browser instead of dying.

The next good edit makes config.autoreload restart the server, which then imports the project itself again.
"""

from __future__ import annotations

import html
import sys
import traceback
from collections.abc import Callable, Iterable
from typing import Any

from config.autoreload import note_what_is_imported

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="2"><title>The project does not start</title></head>
<body><h1>The project does not start</h1>
<p>Mend the error below; this page reloads by itself.</p>
<h2>{summary}</h2><pre>{details}</pre></body></html>
"""


def broken(error: BaseException) -> Application:
    """A WSGI application that answers every request with `error` and its traceback, with status 500."""
    details = "".join(traceback.format_exception(error))
    summary = "".join(traceback.format_exception_only(error)).strip()
    print(details, file=sys.stderr)
    page = PAGE.format(summary=html.escape(summary), details=html.escape(details)).encode()

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        headers = [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(page)))]
        start_response("500 Internal Server Error", [*headers, ("Cache-Control", "no-store")])
        return [] if environ.get("REQUEST_METHOD") == "HEAD" else [page]

    return application


def load() -> Application:
    """The project's application, or one that shows why there is none. Django finds faults in URLs only when asked."""
    from django.conf import settings
    from django.urls import get_resolver

    from config.wsgi import application

    if not settings.DEBUG:
        raise RuntimeError("config.wsgi_dev is for DEBUG=1; use config.wsgi")
    get_resolver().url_patterns  # noqa: B018  (imports config.urls and with it every view)
    return application


note_what_is_imported()
try:
    application = load()
except (Exception, SystemExit) as error:  # noqa: BLE001  (whatever it is, the page says it)
    application = broken(error)
