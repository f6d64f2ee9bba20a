"""A reader's journey in a real browser through the real stack; screenshots are kept in build/screenshots."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Error, Page, Request, sync_playwright

from tests.stack.conftest import SCREENSHOTS
from tests.stack.local import LocalStack
from tests.stack.needs import chromium

# Chromium gives up its connections when a network comes or goes, and every stack has its own.
pytestmark = pytest.mark.alone

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


def journey(browser: Browser, stack: LocalStack, steps: Callable[[Page], None], **options: object) -> None:
    """Run `steps` on a page in a context of its own, and fail on whatever the browser complains about meanwhile.

    Containers that come and go change the machine's networks, which makes Chromium drop what it is loading; a journey
    that met that is walked again.
    """
    settings: dict[str, Any] = {"base_url": stack.url, "ignore_https_errors": True, "locale": "en-GB", **options}
    for attempt in range(5):
        context = browser.new_context(**settings)
        page = context.new_page()
        problems = complaints(page, stack.url)
        try:
            steps(page)
        except (AssertionError, Error):
            if attempt == 4 or not any("ERR_NETWORK_CHANGED" in problem for problem in problems):
                raise
            continue
        finally:
            context.close()
        if not any("ERR_NETWORK_CHANGED" in problem for problem in problems):
            assert problems == []
            return
    pytest.fail("the machine's networks changed during each of five tries")


def complaints(page: Page, origin: str) -> list[str]:
    """A list that fills with what goes wrong in the page: errors, failed requests, requests to other origins."""
    problems: list[str] = []

    def failed(request: Request) -> None:
        # A page that is left stops what it was still loading.
        if request.failure != "net::ERR_ABORTED":
            problems.append(f"{request.failure}: {request.url}")

    page.on("console", lambda message: problems.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("requestfailed", failed)
    page.on(
        "request",
        lambda request: problems.append(f"third party: {request.url}") if not request.url.startswith(origin) else None,
    )
    return problems


def keep(page: Page, stack: LocalStack, name: str) -> None:
    """Keep a screenshot of the page."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{stack.name}-{name}.png")


def test_a_reader_reads_an_article_and_comes_back(browser: Browser, stack: LocalStack) -> None:
    def steps(page: Page) -> None:
        page.goto("/")
        keep(page, stack, "front")
        title = page.locator("main article h2 a, main article h3 a").first
        text = title.inner_text()
        title.click()
        assert page.locator("h1").first.inner_text() == text
        keep(page, stack, "article")
        page.locator("header a").first.click()
        assert page.url.rstrip("/") == stack.url

    journey(browser, stack, steps)


def test_the_language_switch_turns_the_page_chinese_and_stays(browser: Browser, stack: LocalStack) -> None:
    def steps(page: Page) -> None:
        page.goto("/")
        page.locator('form[action="/i18n/setlang/"] button[value="zh-hans"]').first.click()
        assert str(page.locator("html").get_attribute("lang")).lower() == "zh-hans"
        page.reload()
        assert str(page.locator("html").get_attribute("lang")).lower() == "zh-hans"
        keep(page, stack, "front-zh")

    journey(browser, stack, steps)


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
    def steps(page: Page) -> None:
        page.goto("/")
        assert brightness(page) < 80
        keep(page, stack, "front-dark")
        page.locator('form[action="/preferences/theme/"] button[value="light"]').first.click()
        assert brightness(page) > 200
        page.reload()
        assert brightness(page) > 200

    journey(browser, stack, steps, color_scheme="dark")


@pytest.mark.parametrize("language", ["en-GB", "zh-CN"])
def test_no_page_scrolls_sideways(browser: Browser, stack: LocalStack, language: str) -> None:
    def steps(page: Page) -> None:
        page.goto("/")
        paths = {"/", *page.eval_on_selector_all("main a", "links => links.map(a => a.pathname)")}
        for path in sorted(paths, key=lambda path: (path.count("/"), path))[:25]:
            page.goto(path)
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 800})
                overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
                assert overflow <= 0, f"{path} is {overflow} px too wide at {width} px"
        page.goto("/")
        page.set_viewport_size({"width": 360, "height": 780})
        keep(page, stack, f"front-360-{language}")

    journey(browser, stack, steps, locale=language)


def log_in(page: Page, stack: LocalStack) -> None:
    """As the site's first administrator."""
    page.goto("/account/login/?next=/admin/")
    page.locator("#id_login").fill("admin")
    page.locator("#id_password").fill(stack.admin_password())
    page.locator("#id_password").press("Enter")
    page.wait_for_url("**/admin/")


@pytest.mark.parametrize("script", [True, False], ids=["with-javascript", "without-javascript"])
def test_an_author_writes_previews_saves_and_finds_the_revision(
    browser: Browser, stack: LocalStack, script: bool
) -> None:
    def steps(page: Page) -> None:
        log_in(page, stack)
        page.goto("/write/new/")
        page.locator("#id_title").fill("部署手记")
        page.locator("#id_body").fill("**“中文”**强调")
        page.locator("button[value=preview]").click()
        assert page.locator("section .prose strong").inner_text() == "“中文”"
        page.locator("button[value=save]").click()
        page.wait_for_url("**/write/*/")
        page.locator("#id_body").fill("第二稿")
        page.locator("button[value=save]").click()
        page.locator(".messages .message").first.wait_for()
        page.locator("a[href$='/revisions/']").click()
        assert page.locator(".desk h2").count() == 2
        page.locator(".desk h2 a").first.click()
        assert page.locator("ins").first.inner_text() == "第二稿"
        keep(page, stack, f"revision-{script}")

    journey(browser, stack, steps, java_script_enabled=script)


def test_the_editor_keeps_what_is_typed_and_warns_of_a_second_tab(browser: Browser, stack: LocalStack) -> None:
    def steps(page: Page) -> None:
        log_in(page, stack)
        page.goto("/write/new/")
        page.locator("#id_title").fill("Two tabs")
        page.keyboard.press("Control+s")
        page.wait_for_url("**/write/*/")
        page.locator("#id_body").fill("words")
        page.locator("#id_body").select_text()
        page.keyboard.press("Control+b")
        assert page.locator("#id_body").input_value() == "**words**"
        page.locator("[data-live]").click()
        page.locator("[data-preview] strong").wait_for()
        page.locator("[data-status]", has_text="kept since").wait_for()
        second = page.context.new_page()
        second.goto(page.url)
        second.locator("[data-status].wrong").wait_for()
        page.locator("[data-status].wrong").wait_for()
        second.locator("a[href='?unsaved']").click()
        assert second.locator("#id_body").input_value() == "**words**"
        keep(page, stack, "editor")

    journey(browser, stack, steps)


@pytest.mark.parametrize("script", [True, False], ids=["with-javascript", "without-javascript"])
def test_a_reader_votes_comments_answers_edits_and_deletes(browser: Browser, stack: LocalStack, script: bool) -> None:
    def steps(page: Page) -> None:
        log_in(page, stack)
        page.goto("/")
        page.locator("main article h2 a").first.click()
        page.wait_for_url("**/*-*/")
        loads: list[str] = []
        page.on("framenavigated", lambda frame: loads.append(frame.url))
        page.on("dialog", lambda dialog: dialog.accept())

        pressed = page.locator("#vote-up").get_attribute("aria-pressed")
        page.locator("#vote-up").click()
        page.locator(f"#vote-up:not([aria-pressed={pressed}])").wait_for()

        text = f"Well said, {script}, {time.monotonic_ns()}"
        page.locator("#comment-body").fill(f"{text} <b>")
        page.locator("#comment-form button").first.click()
        own = page.locator(".comment", has_text=text)
        own.wait_for()
        if script:
            assert page.evaluate("document.activeElement.innerText").startswith(own.inner_text()[:20])
            assert page.locator("#messages .message").count() == 1
            page.locator("#comment-body").fill("typed before")

        own.locator("a", has_text="Answer").click()
        page.locator("#comment-form h3[tabindex]").wait_for()
        if script:
            assert page.locator("#comment-body").input_value() == "typed before"
        page.locator("#comment-body").fill(f"An answer to {text}")
        page.locator("#comment-form button").first.click()
        answer = page.locator(".answers .comment", has_text=f"An answer to {text}")
        answer.wait_for()
        keep(page, stack, f"comments-{script}")

        answer.locator("a", has_text="Edit").click()
        page.locator("form[id^=edit] textarea").fill(f"Another answer to {text}")
        page.locator("form[id^=edit] button").click()
        changed = page.locator(".answers .comment", has_text=f"Another answer to {text}")
        changed.wait_for()

        changed.locator("a", has_text="Delete").click()
        if not script:
            page.locator("main form button").click()
        page.locator("#messages .message").wait_for()
        changed.wait_for(state="detached")
        assert page.locator(".answers .comment").count() >= 1
        assert bool(loads) is not script

    journey(browser, stack, steps, java_script_enabled=script)


def test_a_text_outlives_the_session_and_a_site_that_does_not_answer(browser: Browser, stack: LocalStack) -> None:
    def steps(page: Page) -> None:
        log_in(page, stack)
        page.goto("/")
        page.locator("main article h2 a").first.click()
        page.wait_for_url("**/*-*/")
        page.locator("#comment-body").fill("many words")
        page.evaluate("document.dispatchEvent(new Event('htmx:sendError'))")
        page.locator("#messages .message", has_text="Nothing is lost").wait_for()
        assert page.locator("#comment-body").input_value() == "many words"

        # A page of nginx's own, for a limit or an application that is away; of its status Chromium would complain.
        title = page.title()
        page.evaluate("document.getElementById('messages').replaceChildren()")
        own = {"Content-Type": "text/html", "HX-Reswap": "none"}
        refused = "<!doctype html><title>too often</title><main id=main><p>too often</p></main>"
        page.route("**/comments/**", lambda route: route.fulfill(status=200, headers=own, body=refused))
        page.locator("#comment-form button").first.click()
        page.locator("#messages .message", has_text="Nothing is lost").wait_for()
        assert page.locator("#comment-body").input_value() == "many words"
        assert page.title() == title

    journey(browser, stack, steps)


def picture(tmp_path: Path) -> Path:
    """A photograph, as far as the site can tell."""
    path = tmp_path / "sea.jpg"
    Image.linear_gradient("L").resize((1200, 800)).convert("RGB").save(path, "JPEG")
    return path


def sign_up(page: Page, stack: LocalStack, name: str) -> None:
    """A new account, through the link in the mail that the outbox keeps, to the first log-in."""
    address, password = f"{name}@example.org", "correct horse battery staple"
    page.goto("/account/signup/")
    page.locator("#id_username").fill(name)
    page.locator("#id_email").fill(address)
    page.locator("#id_password1").fill(password)
    # A person takes longer than the form asks for.
    page.wait_for_timeout(3500)
    page.locator("main button[type=submit]").click()
    page.wait_for_url("**/account/confirm-email/")
    mail = stack.psql(f"select text from config_outgoingmail where recipients::text like '%{address}%'")
    link = re.search(r"https?://\S+/account/confirm-email/\S+/", mail)
    assert link, mail
    page.goto(link[0])
    page.locator("main button[type=submit]").click()
    page.wait_for_url("**/account/login/**")
    page.locator("#id_login").fill(name)
    page.locator("#id_password").fill(password)
    page.locator("#id_password").press("Enter")
    page.locator("header .who", has_text=name).wait_for()


@pytest.mark.parametrize("script", [True, False], ids=["with-javascript", "without-javascript"])
def test_from_signing_up_to_being_found(browser: Browser, stack: LocalStack, tmp_path: Path, script: bool) -> None:
    """Sign up, verify, write with a picture, publish; a reader comments, the author approves, a vote, a search."""

    def steps(page: Page) -> None:
        name = f"writer{time.monotonic_ns()}"
        title = f"灯塔 {name}"
        sign_up(page, stack, name)

        if script:
            page.goto("/write/new/")
            page.locator("input[data-file]").set_input_files(picture(tmp_path))
            page.locator("[data-picture]", has_text="between the brackets").wait_for()
            page.locator("#id_body").press("End")
            text = page.locator("#id_body").input_value()
            assert text.startswith("![](/media/")
            text = text.replace("![]", "![The sea]", 1)
        else:
            page.goto("/write/pictures/")
            page.locator("#id_file").set_input_files(picture(tmp_path))
            page.locator("#id_alt").fill("The sea")
            page.locator("main form button[type=submit]").click()
            text = page.locator("input[readonly]").input_value()
            page.goto("/write/new/")
        assert text.startswith("![The sea](/media/")
        page.locator("#id_title").fill(title)
        page.locator("#id_body").fill(f"很远的**“灯塔”**在海边。\n\n{text}\n")
        page.locator("details", has=page.locator("#id_comment_policy")).locator("summary").click()
        page.locator("#id_comment_policy").select_option("approve")
        page.locator("button[value=publish]").click()
        page.wait_for_url("**/write/*/")
        page.goto(f"/{name}/")
        page.locator("main article h2 a").first.click()
        page.wait_for_url("**/*-*/")
        article = page.url
        assert page.locator(".prose strong").inner_text() == "“灯塔”"

        # The sizes come from the worker.
        for _second in range(60):
            if page.locator(".prose picture source[type='image/avif']").count():
                break
            page.wait_for_timeout(1000)
            page.reload()
        shown = page.locator(".prose picture img")
        assert shown.get_attribute("alt") == "The sea"
        assert (shown.get_attribute("width"), shown.get_attribute("height")) == ("1200", "800")
        assert shown.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
        keep(page, stack, f"picture-{script}")

        reader = page.context.browser.new_context(  # type: ignore[union-attr]
            base_url=stack.url, ignore_https_errors=True, locale="zh-CN", java_script_enabled=script
        )
        other = reader.new_page()
        log_in(other, stack)
        other.goto(article)
        other.locator("#comment-body").fill("写得好！")
        other.locator("#comment-form button").first.click()
        other.locator(".comment", has_text="写得好！").wait_for()
        pressed = other.locator("#vote-up").get_attribute("aria-pressed")
        other.locator("#vote-up").click()
        other.locator(f"#vote-up:not([aria-pressed={pressed}])").wait_for()

        anonymous = browser.new_context(base_url=stack.url, ignore_https_errors=True).new_page()
        anonymous.goto(article)
        assert anonymous.locator(".comment", has_text="写得好！").count() == 0
        page.goto("/write/comments/")
        page.locator("main input[type=checkbox]").first.check()
        page.locator("main button[value=show]").first.click()
        page.locator("#messages .message").first.wait_for()
        anonymous.reload()
        assert anonymous.locator(".comment", has_text="写得好！").count() == 1
        other.goto("/notifications/")
        assert title in other.locator("main").inner_text()

        anonymous.goto("/search/?q=灯塔")
        anonymous.locator("main a", has_text=title).first.click()
        assert anonymous.url == article
        anonymous.context.close()
        reader.close()

    journey(browser, stack, steps, java_script_enabled=script)
