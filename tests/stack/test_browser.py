"""A reader's journey in a real browser through the real stack; screenshots are kept in build/screenshots."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Error, Page, sync_playwright

from tests.stack.conftest import SCREENSHOTS
from tests.stack.local import LocalStack
from tests.stack.needs import chromium

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDTHS = (360, 768, 1280, 1440)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield started
        started.close()


def opened(browser: Browser, stack: LocalStack, **options: object) -> tuple[Page, list[str]]:
    """A page in a context of its own, and the list that collects what goes wrong in it."""
    context = browser.new_context(
        base_url=stack.url,
        ignore_https_errors=True,
        **{"locale": "en-GB", **options},  # type: ignore[arg-type]
    )
    page = context.new_page()
    problems: list[str] = []

    def note(problem: str) -> None:
        # A page that is left stops what it was still loading; containers that come and go change the networks.
        if "ERR_ABORTED" not in problem and "ERR_NETWORK_CHANGED" not in problem:
            problems.append(problem)

    page.on("console", lambda message: note(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: note(str(error)))
    page.on("requestfailed", lambda request: note(f"{request.failure}: {request.url}"))
    page.on(
        "request",
        lambda request: note(f"third party: {request.url}") if not request.url.startswith(stack.url) else None,
    )
    return page, problems


def visit(page: Page, path: str) -> None:
    """Open `path`; again when the machine's networks changed meanwhile, which containers do that come and go."""
    for _ in range(3):
        try:
            page.goto(path)
        except Error as error:
            if "ERR_NETWORK_CHANGED" not in error.message:
                raise
        else:
            return
    page.goto(path)


def keep(page: Page, stack: LocalStack, name: str) -> None:
    """Keep a screenshot of the page."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{stack.name}-{name}.png")


def test_a_reader_reads_an_article_and_comes_back(browser: Browser, stack: LocalStack) -> None:
    page, problems = opened(browser, stack)
    visit(page, "/")
    keep(page, stack, "front")
    title = page.locator("main article h2 a, main article h3 a").first
    text = title.inner_text()
    title.click()
    assert page.locator("h1").first.inner_text() == text
    keep(page, stack, "article")
    page.locator("header a").first.click()
    assert page.url.rstrip("/") == stack.url
    assert problems == []


def test_the_language_switch_turns_the_page_chinese_and_stays(browser: Browser, stack: LocalStack) -> None:
    page, problems = opened(browser, stack)
    visit(page, "/")
    page.locator('form[action="/i18n/setlang/"] button[value="zh-hans"]').first.click()
    assert page.locator("html").get_attribute("lang").lower() == "zh-hans"  # type: ignore[union-attr]
    page.reload()
    assert page.locator("html").get_attribute("lang").lower() == "zh-hans"  # type: ignore[union-attr]
    keep(page, stack, "front-zh")
    assert problems == []


def brightness(page: Page) -> float:
    """The mean of the page's background colour, 0 (black) to 255."""
    colour = page.evaluate(
        """() => {
            const canvas = document.createElement('canvas').getContext('2d');
            canvas.fillStyle = getComputedStyle(document.body).backgroundColor;
            canvas.fillRect(0, 0, 1, 1);
            return Array.from(canvas.getImageData(0, 0, 1, 1).data);
        }"""
    )
    return sum(colour[:3]) / 3


def test_dark_follows_the_system_and_the_choice_overrides_it(browser: Browser, stack: LocalStack) -> None:
    page, problems = opened(browser, stack, color_scheme="dark")
    visit(page, "/")
    assert brightness(page) < 80
    keep(page, stack, "front-dark")
    page.locator('form[action="/preferences/theme/"] button[value="light"]').first.click()
    assert brightness(page) > 200
    page.reload()
    assert brightness(page) > 200
    assert problems == []


@pytest.mark.parametrize("language", ["en-GB", "zh-CN"])
def test_no_page_scrolls_sideways(browser: Browser, stack: LocalStack, language: str) -> None:
    page, problems = opened(browser, stack, locale=language)
    visit(page, "/")
    paths = ["/", *set(page.eval_on_selector_all("main a", "links => links.map(a => a.pathname)"))]
    for path in sorted(paths, key=lambda path: (path.count("/"), path))[:25]:
        visit(page, path)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert overflow <= 0, f"{path} is {overflow} px too wide at {width} px"
    visit(page, "/")
    page.set_viewport_size({"width": 360, "height": 780})
    keep(page, stack, f"front-360-{language}")
    assert problems == []
