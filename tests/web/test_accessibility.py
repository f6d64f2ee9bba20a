"""What keeps people out of a page: axe-core finds nothing on any, and everything is reached by keyboard.

Each page in four of the eight combinations of language, colour scheme and width: every two of these choices meet.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.test import Client
from playwright.sync_api import Page

from tests.web.browsing import ORIGIN, Reader, rendered
from tests.web.routes import World

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(600)]

LOOKS = [("en", "light", 1280), ("en", "dark", 360), ("zh-CN", "light", 360), ("zh-CN", "dark", 1280)]
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
FOCUSABLE = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']"
MARK = """selector => [...document.querySelectorAll(selector)]
    .filter(each => each.checkVisibility() && !each.disabled && each.tabIndex >= 0)
    .map((each, number) => { each.dataset.seen = number; return number })"""
# The button inside of a date field has a ring of its own, which a page cannot ask for.
HERE = """() => { const each = document.activeElement, style = getComputedStyle(each);
    const visible = style.outlineStyle != 'none' || style.boxShadow != 'none' || each.type == 'datetime-local';
    return [each.dataset.seen ?? '', visible, each.outerHTML] }"""


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    """One browser for all pages."""
    started = Reader()
    yield started
    started.close()


def violations(page: Page) -> list[str]:
    """What axe-core finds: the rule and where; and whether the page scrolls sideways."""
    found = Axe().run(page, options=RULES).response["violations"]
    problems = [f"{each['id']}: {node['target']} {node['html'][:120]}" for each in found for node in each["nodes"]]
    overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    return [*problems, f"{overflow} px too wide"] if overflow > 0 else problems


@pytest.mark.parametrize(("language", "scheme", "width"), LOOKS)
@pytest.mark.parametrize("person", ["anonymous", "owner"])
def test_axe_finds_nothing(
    world: World, client: Client, reader: Reader, person: str, language: str, scheme: str, width: int
) -> None:
    world.log_in(client, person)
    answers = rendered(world, client, language)

    def look() -> dict[str, list[str]]:
        found = {}
        with reader.page(answers, scheme, width) as page:
            for address in answers:
                page.goto(ORIGIN + address)
                found[address] = violations(page)
        return found

    assert {address: problems for address, problems in reader.do(look).items() if problems} == {}


@pytest.mark.parametrize("address", ["/", "/account/", "/write/", "/write/new/", "/search/"])
def test_the_keyboard_reaches_everything_and_is_never_trapped(
    world: World, client: Client, reader: Reader, address: str
) -> None:
    world.log_in(client, "owner")
    answers = rendered(world, client, "en")

    def walk() -> tuple[set[int], set[int], list[str]]:
        with reader.page(answers, "light", 1280) as page:
            page.goto(ORIGIN + address)
            wanted = page.evaluate(MARK, FOCUSABLE)
            reached, unseen = set(), []
            for _turn in range(2 * len(wanted) + 3):
                page.keyboard.press("Tab")
                number, visible, html = page.evaluate(HERE)
                if number:
                    reached.add(int(number))
                    unseen += [] if visible else [html[:120]]
            return set(wanted), reached, unseen

    wanted, reached, unseen = reader.do(walk)
    assert len(wanted) > 10
    assert reached == wanted
    assert unseen == []


def test_the_first_tab_leads_to_the_content(world: World, client: Client, reader: Reader) -> None:
    answers = rendered(world, client, "en")

    def walk() -> tuple[str, str]:
        with reader.page(answers, "light", 1280) as page:
            page.goto(ORIGIN + "/")
            page.keyboard.press("Tab")
            first = page.evaluate("document.activeElement.className")
            page.keyboard.press("Enter")
            return first, page.evaluate("document.activeElement.id")

    assert reader.do(walk) == ("skip", "main")


@pytest.mark.parametrize("width", [360, 1280])
def test_escape_closes_the_menu_and_gives_the_focus_back(
    world: World, client: Client, reader: Reader, width: int
) -> None:
    world.log_in(client, "owner")
    answers = rendered(world, client, "en")

    def walk() -> tuple[bool, bool, bool, bool]:
        with reader.page(answers, "light", width) as page:
            page.goto(ORIGIN + "/")
            page.focus(".menu summary")
            page.keyboard.press("Enter")
            opened = page.evaluate("document.querySelector('.menu').open")
            page.keyboard.press("Tab")
            inside = page.evaluate("document.activeElement.matches('.menu div a')")
            page.keyboard.press("Escape")
            closed = not page.evaluate("document.querySelector('.menu').open")
            return opened, inside, closed, page.evaluate("document.activeElement.matches('.menu summary')")

    assert reader.do(walk) == (True, True, True, True)
