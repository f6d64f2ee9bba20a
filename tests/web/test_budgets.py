"""What a page may weigh, and what may never be in one: nothing inline, nothing from elsewhere, on any page."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from django.test import Client

from tests.web.config.test_environment import WEB
from tests.web.routes import World, own_routes, undone

pytestmark = pytest.mark.django_db

LARGEST_BYTES = 30_000
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "form": "action", "use": "href"}
LOADING_LINKS = {"stylesheet", "icon", "preload", "manifest", "preconnect", "dns-prefetch"}


class Flaws(HTMLParser):
    """What is wrong with a page's markup, as `found`."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.open: list[str] = []
        self.ids: set[str] = set()
        self.inline = False

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """An element that closes itself, as those of SVG do."""
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Look at the element and its attributes."""
        values = dict(attributes)
        if len(values) < len(attributes):
            self.found.append(f"<{tag}> has an attribute twice")
        self.found += [f"<{tag} {name}>" for name in values if name.startswith("on") or name == "style"]
        if (name := values.get("id")) is not None:
            if name in self.ids:
                self.found.append(f"two elements are #{name}")
            self.ids.add(name)
        if tag == "style":
            self.found.append("<style>")
        self.inline = tag == "script" and "src" not in values and not str(values.get("type")).endswith("json")
        loads = values.get(LOADS.get(tag, "")) or ""
        if tag == "link" and LOADING_LINKS & set((values.get("rel") or "").split()):
            loads = values.get("href") or ""
        if urlsplit(loads).netloc not in ("", "testserver") or (tag == "form" and tag in self.open):
            self.found.append(self.get_starttag_text() or tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Every element is closed in its turn; HTML lets a few end by themselves, and ours do not."""
        if not self.open or self.open.pop() != tag:
            self.found.append(f"</{tag}> closes something else at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        """Scripts have no text of their own."""
        if self.inline and data.strip():
            self.found.append("an inline script")


@pytest.mark.parametrize("flawed", ["<p style=x>", "<p onclick=x>", "<script>x</script>", "<style>", "<b><i></b></i>"])
def test_a_flaw_is_found(flawed: str) -> None:
    flaws = Flaws()
    flaws.feed(flawed)
    assert flaws.found


@pytest.mark.parametrize("person", ["anonymous", "owner", "staff"])
def test_no_page_has_anything_inline_or_from_elsewhere(world: World, client: Client, person: str) -> None:
    world.log_in(client, person)
    found = {}
    for path in own_routes():
        for method in (client.get, client.post):
            with undone(client):
                response = method(world.address(path))
                if response.headers.get("Content-Type", "").startswith("text/html"):
                    flaws = Flaws()
                    flaws.feed(response.text)
                    if flaws.found:
                        found[path] = flaws.found
    assert found == {}


def test_the_stylesheet_is_small() -> None:
    assert (WEB / "static" / "site.css").stat().st_size < LARGEST_BYTES


def test_our_own_scripts_are_small() -> None:
    ours = [path for path in (WEB / "static").rglob("*.js") if "htmx" not in path.name]
    assert sum(path.stat().st_size for path in ours) < LARGEST_BYTES


def test_the_stylesheet_loads_nothing() -> None:
    assert (
        re.findall(r"@import|url\((?!['\"]?(?:data:|#))", (WEB / "static" / "site.css").read_text(encoding="utf-8"))
        == []
    )
