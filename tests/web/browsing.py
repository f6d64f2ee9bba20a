"""A real browser that looks at pages without a server: what it asks for was rendered by Django's test client before.

So the pages come from the test's own transaction, with their real headers (the content security policy too). The
browser has a thread of its own: Playwright's event loop and Django's database connections do not go together in one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from django.contrib.staticfiles import finders
from django.test import Client
from playwright.sync_api import Browser, Page, Route, sync_playwright

from tests.stack.needs import chromium
from tests.web.routes import World, own_routes, undone

ORIGIN = "https://testserver"
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class Answer(NamedTuple):
    """What the site said."""

    status: int
    headers: dict[str, str]
    body: bytes


def rendered(world: World, client: Client, language: str) -> dict[str, Answer]:
    """Every page that `client` gets, by its address, one for each route; and an error."""
    found = {}
    for address in [*(world.address(path) for path in own_routes()), "/nobody/"]:
        with undone(client):
            response = client.get(address, headers={"accept-language": language})
            if response.status_code in (200, 404) and response.headers["Content-Type"].startswith("text/html"):
                found[address] = Answer(response.status_code, dict(response.items()), response.content)
    return found


class Reader:
    """Chromium in a thread of its own."""

    def __init__(self) -> None:
        path = chromium()
        self.thread = ThreadPoolExecutor(1)
        self.playwright = self.do(lambda: sync_playwright().start())
        self.browser: Browser = self.do(lambda: self.playwright.chromium.launch(executable_path=path, args=FLAGS))

    def do(self, work: Callable[[], Any]) -> Any:
        """Do `work` in the browser's thread."""
        return self.thread.submit(work).result()

    def close(self) -> None:
        """End the browser and its thread."""
        self.do(self.browser.close)
        self.do(self.playwright.stop)
        self.thread.shutdown()

    @contextmanager
    def page(self, answers: dict[str, Answer], scheme: Any, width: int) -> Iterator[Page]:
        """A page that reads `answers`; only to be used in the browser's thread."""
        context = self.browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})

        def answer(route: Route) -> None:
            path = urlsplit(route.request.url).path
            if path.startswith("/static/"):
                found = Path(str(finders.find(path.removeprefix("/static/"))))
                route.fulfill(body=found.read_bytes(), content_type=TYPES[found.suffix])
            elif path in answers:
                status, headers, body = answers[path]
                route.fulfill(status=status, headers=headers, body=body)
            else:
                route.fulfill(status=404, body="")

        context.route("**/*", answer)
        try:
            yield context.new_page()
        finally:
            context.close()
